//! Why a disposition could not take a message, as an event tells it.

use crate::call::look;
use crate::error::mailwire_error;
use crate::event::mailwire_event;
use crate::handle;

/// Why a message was not taken: what was attempted, on which path or at which server, in which phase, what the system or that server
/// said, and what to try. It is for whoever runs the server: the client was told 451 or 452, or what the next server said of us, and
/// nothing of this. The phase, the peer and the reply are those of the next server of a relay.
///
/// All mailwire_error_... functions read it. It belongs to the event and lives as long as that: do not free it. NULL, which those
/// functions take too, unless the event is of MAILWIRE_EVENT_FAULT.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_fault(
    event: *const mailwire_event,
) -> *const mailwire_error {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(std::ptr::null(), || {
        let fault = event?.lend().fault.as_deref();
        Ok(fault.map_or(std::ptr::null(), std::ptr::from_ref))
    })
}
