//! `mailwire_cancel`: ends a blocking call from another thread or from a signal handler.

use std::sync::Arc;

use mailwire::blocking::Cancel;

use crate::call::look;
use crate::guard;

/// Ends the calls that it was given to, from any thread or from a signal handler. Once signalled it stays so: a call that
/// begins afterwards ends at once.
///
/// It counts who holds it, apart from the calls' objects, so that it may be signalled while they are being freed. Every
/// function takes it const: any number of threads may use one.
///
/// Since 0.1.
pub struct mailwire_cancel(Cancel);

/// A cancel token that was not signalled, held once.
///
/// Give it back with mailwire_cancel_unref. Returns NULL if the process can open no more descriptors.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_cancel_new() -> *mut mailwire_cancel {
    look(std::ptr::null_mut(), || {
        let cancel = Arc::new(mailwire_cancel(Cancel::new()?));
        Ok(Arc::into_raw(cancel).cast_mut())
    })
}

/// Holds a cancel token once more and returns it. NULL: NULL.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_cancel_ref(
    cancel: *const mailwire_cancel,
) -> *mut mailwire_cancel {
    if !cancel.is_null() {
        // SAFETY: it was made by `mailwire_cancel_new`, and the caller holds it.
        guard::quietly(|| unsafe { Arc::increment_strong_count(cancel) });
    }
    cancel.cast_mut()
}

/// Gives a cancel token back; the last one frees it. NULL is allowed.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_cancel_unref(cancel: *const mailwire_cancel) {
    if !cancel.is_null() {
        // SAFETY: it was made by `mailwire_cancel_new`, and the caller gives up one hold of it.
        guard::quietly(|| unsafe { Arc::decrement_strong_count(cancel) });
    }
}

/// Ends the calls that the token was given to, now and in future: they return MAILWIRE_ERR_CANCELLED within 50 ms. NULL is
/// allowed.
///
/// Thread: any, and signal handlers: it makes one system call and keeps errno.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_cancel_signal(cancel: *const mailwire_cancel) {
    // No guard here: catching a panic is nothing for a signal handler, and there is no panic to catch.
    // SAFETY: the pointer is NULL or a token, as the header asks.
    if let Some(cancel) = unsafe { cancel.as_ref() } {
        cancel.0.signal();
    }
}

/// A token that a call was given, held for the call.
pub(crate) struct CancelIn(Option<Arc<mailwire_cancel>>);

impl CancelIn {
    /// # Safety
    /// `pointer` is NULL or a token that the caller holds.
    pub(crate) unsafe fn new(pointer: *const mailwire_cancel) -> Self {
        Self((!pointer.is_null()).then(|| {
            // SAFETY: not NULL, and else as the caller promises; the count that is taken here is given back on drop.
            unsafe {
                Arc::increment_strong_count(pointer);
                Arc::from_raw(pointer)
            }
        }))
    }

    pub(crate) fn get(&self) -> Option<&Cancel> {
        self.0.as_ref().map(|token| &token.0)
    }
}
