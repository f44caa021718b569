//! What a `mailwire_event` tells of what the client sent: envelope, content, and commands that the program answers.

use std::ffi::{c_char, c_void};

use mailwire::blocking::EventKind;

use crate::call::look;
use crate::event::{Held, mailwire_event, pointer, text};
use crate::handle;
use crate::text::{EMPTY, Text};

/// The sender (reverse-path), of MAIL and of what has an envelope; empty for the null reverse-path.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_sender(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.sender) }
}

/// The number of recipients: those that RCPT asks about, or those of the envelope, which were accepted.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_recipient_count(event: *const mailwire_event) -> usize {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(event?.recipients.len()))
}

/// A recipient (forward-path); empty if there is no such one.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_recipient_at(
    event: *const mailwire_event,
    index: usize,
) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe {
        text(event, |held| {
            held.recipients
                .get(index)
                .map_or(Text::ABSENT, |recipient| recipient.path)
        })
    }
}

/// The number of parameters of MAIL, of MAIL and of what has an envelope.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_parameter_count(event: *const mailwire_event) -> usize {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(event?.parameters(None).count))
}

/// A parameter of MAIL, as "SIZE=1000", "RET=HDRS" or "SMTPUTF8", with its keyword in capitals; empty if there is no such one. Those
/// that stand for the extensions of "extensions" have been checked. A keyword comes once.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_parameter_at(
    event: *const mailwire_event,
    index: usize,
) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.parameter(None, index)) }
}

/// The number of parameters of RCPT for a recipient, by its index as in mailwire_event_recipient_at; 0 if there is no such recipient.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_recipient_parameter_count(
    event: *const mailwire_event,
    recipient: usize,
) -> usize {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(event?.parameters(Some(recipient)).count))
}

/// A parameter of RCPT for a recipient, as "NOTIFY=NEVER" or "ORCPT=rfc822;joe@example.org", with its keyword in capitals; empty if
/// there is no such one.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_recipient_parameter_at(
    event: *const mailwire_event,
    recipient: usize,
    index: usize,
) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.parameter(Some(recipient), index)) }
}

/// The id of the message that MESSAGE, BODY, CHUNK, END_OF_DATA or DISCARDED is about, as it stands in its Received field and in the
/// usual reply, "queued as", which mailwire_report_queue_id reads on the client's side: 32 hexadecimal digits. Empty unless the option
/// "received" is set.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_queue_id(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.queue_id) }
}

/// The content of MESSAGE and CHUNK, as it came, with CRLF as line end and without the dots that SMTP adds. It may hold NUL, and
/// no NUL ends it: mailwire_event_content_length says how long it is. The first call makes one piece of a large message,
/// a copy that does not count towards "body_memory"; the option "stream" gives such messages as CHUNK, without a copy.
///
/// It is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_content(event: *const mailwire_event) -> *const c_void {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(EMPTY.cast(), || Ok(pointer(content(event?.lend()))))
}

/// The number of octets of the content.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_content_length(event: *const mailwire_event) -> usize {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(content(event?.lend()).len()))
}

/// The size in octets: of MAIL what the client declared with SIZE, of MESSAGE and CHUNK that of the content, of END_OF_DATA that
/// of all pieces. 0 if none is known.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_size(event: *const mailwire_event) -> u64 {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || {
        let event = event?;
        Ok(match event.event.kind() {
            EventKind::Mail { parameters, .. } => parameters.size.unwrap_or(0),
            EventKind::EndOfData { size, .. } => *size,
            _ => content(event.lend()).len() as u64,
        })
    })
}

/// The verb of a command that is not known.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_verb(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.verb) }
}

/// The argument of VRFY, EXPN, HELP or ETRN, or of a command that is not known.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_argument(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.argument) }
}

fn content(held: &Held) -> &[u8] {
    match held.event.kind() {
        EventKind::Message { content, .. } => content,
        EventKind::Chunk(content) => content,
        _ => &[],
    }
}
