//! Where there is no memory for an error, there is one that needs none. A test of its own, because it replaces the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;

use mailwire_ffi::error::{
    mailwire_error_free, mailwire_error_message, mailwire_error_phase, mailwire_error_status,
};
use mailwire_ffi::message::{
    mailwire_message_free, mailwire_message_new, mailwire_message_set_content,
    mailwire_message_set_sender,
};
use mailwire_ffi::status::{
    MAILWIRE_ERR_INVALID_ARGUMENT, MAILWIRE_ERR_NOMEM, MAILWIRE_OK, MAILWIRE_PHASE_NONE,
};

thread_local! {
    static NO_MEMORY: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, which gives nothing to a thread that wants it so.
struct Allocator;

// SAFETY: what is not refused is done by the system's allocator.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if NO_MEMORY.get() {
            ptr::null_mut()
        } else {
            // SAFETY: as the caller promises.
            unsafe { System.alloc(layout) }
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

#[test]
fn the_error_for_lack_of_memory_needs_none() {
    let message = mailwire_message_new();
    let mut err = ptr::null_mut();
    let content = [0_u8; 64];

    // SAFETY: the message is fresh, the texts are NUL-terminated, and `err` is a place for an error.
    unsafe {
        // Once before, so that what is made once is made.
        assert_eq!(
            mailwire_message_set_sender(message, ptr::null(), &raw mut err),
            MAILWIRE_ERR_INVALID_ARGUMENT
        );
        mailwire_error_free(err);

        NO_MEMORY.set(true);
        let refused = mailwire_message_set_sender(message, ptr::null(), &raw mut err);
        let first = err;
        let content = content.as_ptr().cast();
        let too_large = mailwire_message_set_content(message, content, 64, &raw mut err);
        let second = err;
        NO_MEMORY.set(false);

        assert_eq!(refused, MAILWIRE_ERR_INVALID_ARGUMENT);
        assert_eq!(too_large, MAILWIRE_ERR_NOMEM);
        assert_eq!(first, second);
        assert_eq!(mailwire_error_status(first), MAILWIRE_ERR_NOMEM);
        assert_eq!(mailwire_error_phase(first), MAILWIRE_PHASE_NONE);
        assert_eq!(
            CStr::from_ptr(mailwire_error_message(first)),
            c"memory ran out"
        );
        mailwire_error_free(first);
        mailwire_error_free(second);

        assert_eq!(
            mailwire_message_set_content(message, content, 64, &raw mut err),
            MAILWIRE_OK
        );
        mailwire_message_free(message);
    }
}
