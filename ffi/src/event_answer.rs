//! How a `mailwire_event` is answered.

use std::ffi::c_char;

use mailwire::proto::{EnhancedStatus, Reply};

use crate::argument::TextIn;
use crate::call::{ErrorOut, call};
use crate::error::mailwire_error;
use crate::event::{Held, mailwire_event};
use crate::failure::Failure;
use crate::handle;
use crate::status::mailwire_status;

/// Accepts: the client gets the usual reply, as 250. All that the event still owes is answered. For a message this
/// makes you responsible for it. Nobody waits for an answer once the session has ended, or the client was told 451 as
/// it had waited for long. MAILWIRE_OK does not say that the client gets the answer: one that has hung up meanwhile is
/// noticed when the reply is sent, and will send its message again.
///
/// Returns MAILWIRE_OK, also for an event that owes nothing; MAILWIRE_ERR_INVALID_ARGUMENT for NULL;
/// MAILWIRE_ERR_MISUSE if another call is using the event; MAILWIRE_ERR_CLOSED if nobody waits for it any more;
/// MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any, one call at a time on an event.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_accept(
    event: *mut mailwire_event,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, event) = unsafe { (ErrorOut::of(err), handle::exclusive(event)) };
    call("mailwire_event_accept", &err, || {
        let mut held = event?;
        if held.event.owed() > 0 {
            held.event.accept()?;
        }
        Ok(())
    })
}

/// Refuses with the usual reply for what is asked: a connection and a message by 554 5.7.1, AUTH by 535 5.7.8, HELLO and
/// MAIL by 550 5.7.1, RCPT, VRFY and EXPN by 550 5.1.1, HELP by 502 5.5.1, ETRN by 459 4.7.1, an unknown command by
/// 500 5.5.1. A LOOKUP is refused for now, by 454 4.7.0: accept one of a user who is not there, or the client learns
/// that. All that the event still owes is answered. At a piece of a message,
/// MAILWIRE_EVENT_CHUNK, the message is refused in the middle: no more of it is kept, MAILWIRE_EVENT_DISCARDED comes
/// behind the last piece, and the client is told at the end of its data.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_MISUSE if the event owes nothing, or
/// another call is
/// using it; MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any, one call at a time on an event.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_reject(
    event: *mut mailwire_event,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, event) = unsafe { (ErrorOut::of(err), handle::exclusive(event)) };
    call("mailwire_event_reject", &err, || {
        let mut held = event?;
        owing(&mut held)?.event.reject()?;
        Ok(())
    })
}

/// Answers with a reply: its code, as 550, or to accept 250, or 251 to RCPT; its enhanced status code, as "5.1.1", or
/// NULL or the empty text for none; its text, in printable ASCII, with LF between lines if it has several. All that the
/// event still owes is answered. At a piece of a message, MAILWIRE_EVENT_CHUNK, a code of 4yz or 5yz refuses the message as mailwire_event_reject does.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for what is no reply; MAILWIRE_ERR_MISUSE if the
/// event owes nothing, if the code does not fit what is asked, or if another call is using the event;
/// MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any, one call at a time on an event.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_reply(
    event: *mut mailwire_event,
    code: i32,
    enhanced: *const c_char,
    text: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, event, enhanced, text) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(event),
            TextIn::new("enhanced", enhanced),
            TextIn::new("text", text),
        )
    };
    call("mailwire_event_reply", &err, || {
        let reply = reply(code, &enhanced, &text)?;
        let mut held = event?;
        owing(&mut held)?.event.reply(reply)?;
        Ok(())
    })
}

/// Accepts one of several: the recipient at index.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for an index that is not there; MAILWIRE_ERR_MISUSE
/// if that one
/// was answered already, or another call is using the event; MAILWIRE_ERR_CLOSED if nobody waits for it any more;
/// MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any, one call at a time on an event.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_accept_at(
    event: *mut mailwire_event,
    index: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, event) = unsafe { (ErrorOut::of(err), handle::exclusive(event)) };
    call("mailwire_event_accept_at", &err, || {
        event?.event.reply_at(index, None)?;
        Ok(())
    })
}

/// Answers one of several with a reply: the recipient at index. The reply is as for mailwire_event_reply.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL, for what is no reply, and for an index that is not
/// there;
/// MAILWIRE_ERR_MISUSE if that one was answered already, if the code does not fit what is asked, or if another call is
/// using the
/// event; MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any, one call at a time on an event.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_reply_at(
    event: *mut mailwire_event,
    index: usize,
    code: i32,
    enhanced: *const c_char,
    text: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, event, enhanced, text) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(event),
            TextIn::new("enhanced", enhanced),
            TextIn::new("text", text),
        )
    };
    call("mailwire_event_reply_at", &err, || {
        let reply = reply(code, &enhanced, &text)?;
        event?.event.reply_at(index, Some(reply))?;
        Ok(())
    })
}

fn owing(held: &mut Held) -> Result<&mut Held, Failure> {
    if held.event.owed() == 0 && !held.event.can_refuse() {
        return Err(Failure::Misuse("the event owes no answer"));
    }
    Ok(held)
}

fn reply(code: i32, enhanced: &TextIn<'_>, text: &TextIn<'_>) -> Result<Reply, Failure> {
    let code = u16::try_from(code).map_err(|_| Failure::Argument("code", "is no reply code"))?;
    let reply = Reply::multiline(code, text.required()?.split('\n'))
        .map_err(|error| Failure::invalid("reply", error))?;
    match enhanced.optional()? {
        None | Some("") => Ok(reply),
        Some(enhanced) => {
            let enhanced = EnhancedStatus::parse(enhanced)
                .ok_or(Failure::Argument("enhanced", "is not of the form 5.1.1"))?;
            reply
                .with_enhanced(enhanced)
                .map_err(|error| Failure::invalid("enhanced", error))
        }
    }
}
