//! `mailwire_message`: an envelope and the message's bytes.

use std::ffi::{c_char, c_void};

use mailwire::proto::{Envelope, ForwardPath, Recipient, ReversePath};

use crate::argument::{BytesIn, TextIn};
use crate::call::{ErrorOut, call, look};
use crate::error::mailwire_error;
use crate::failure::Failure;
use crate::handle::{self, Handle, object};
use crate::status::mailwire_status;

/// A message to send: who sends it, who is to get it, and its header and body as bytes.
///
/// One call at a time may change it; any number may send it at the same time.
///
/// Since 0.1.
pub struct mailwire_message(Handle<Message>);

object!(mailwire_message, Message, "message");

/// What is behind a `mailwire_message`.
#[derive(Default)]
pub(crate) struct Message {
    sender: Option<ReversePath>,
    recipients: Vec<ForwardPath>,
    content: Option<Vec<u8>>,
}

impl Message {
    /// The envelope; an error if something was not given yet.
    pub(crate) fn envelope(&self) -> Result<Envelope, Failure> {
        let sender = self.sender.clone().ok_or(Failure::Misuse(
            "the message has no sender: mailwire_message_set_sender sets it",
        ))?;
        if self.recipients.is_empty() {
            return Err(Failure::Misuse(
                "the message has no recipient: mailwire_message_add_recipient adds one",
            ));
        }
        let mut envelope = Envelope::new(sender);
        for recipient in &self.recipients {
            envelope.push(Recipient::new(recipient.clone()));
        }
        Ok(envelope)
    }

    /// The message's bytes; an error if they were not given yet.
    pub(crate) fn content(&self) -> Result<&[u8], Failure> {
        self.content.as_deref().ok_or(Failure::Misuse(
            "the message has no content: mailwire_message_set_content sets it",
        ))
    }
}

/// A message without sender, recipients and content.
///
/// Free it with mailwire_message_free. Returns NULL only if memory has run out.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_message_new() -> *mut mailwire_message {
    look(std::ptr::null_mut(), || {
        Ok(handle::to_c(Message::default()))
    })
}

/// Frees a message. NULL is allowed.
///
/// Thread: any. Calls that are still sending it go on.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_message_free(message: *mut mailwire_message) {
    // SAFETY: the pointer is NULL or a message, as the header asks.
    unsafe { handle::free(message) };
}

/// Sets the sender (the reverse-path of MAIL, where notices of failure go), as "a@example.org". The empty text is the null
/// reverse-path. It is copied.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for what is no address; MAILWIRE_ERR_MISUSE if another
/// call is using the message; MAILWIRE_ERR_INTERNAL. After a failure the old sender stays.
/// Thread: any, one call at a time on a message.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_message_set_sender(
    message: *mut mailwire_message,
    sender: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, message, sender) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(message),
            TextIn::new("sender", sender),
        )
    };
    call("mailwire_message_set_sender", &err, || {
        let sender = sender.required()?.parse();
        message?.sender = Some(sender.map_err(|error| Failure::invalid("sender", error))?);
        Ok(())
    })
}

/// Adds a recipient (a forward-path of RCPT), as "b@example.net". It is copied.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for what is no address; MAILWIRE_ERR_MISUSE if another
/// call is using the message; MAILWIRE_ERR_INTERNAL. After a failure the recipients are as before.
/// Thread: any, one call at a time on a message.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_message_add_recipient(
    message: *mut mailwire_message,
    recipient: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, message, recipient) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(message),
            TextIn::new("recipient", recipient),
        )
    };
    call("mailwire_message_add_recipient", &err, || {
        let recipient = recipient.required()?.parse();
        let recipient = recipient.map_err(|error| Failure::invalid("recipient", error))?;
        message?.recipients.push(recipient);
        Ok(())
    })
}

/// Removes all recipients, so that the same content can go to others.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_MISUSE if another call is using the message;
/// MAILWIRE_ERR_INTERNAL.
/// Thread: any, one call at a time on a message.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_message_clear_recipients(
    message: *mut mailwire_message,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, message) = unsafe { (ErrorOut::of(err), handle::exclusive(message)) };
    call("mailwire_message_clear_recipients", &err, || {
        message?.recipients.clear();
        Ok(())
    })
}

/// Sets the message's header and body, as they are to be sent. They are copied. A line end that is not CRLF becomes one as
/// it is sent, or is refused if the option line_ends says so. NULL is allowed if length is 0.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_MISUSE if another call is using the message;
/// MAILWIRE_ERR_NOMEM; MAILWIRE_ERR_INTERNAL. After a failure the old content stays.
/// Thread: any, one call at a time on a message.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_message_set_content(
    message: *mut mailwire_message,
    content: *const c_void,
    length: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, message, content) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(message),
            BytesIn::new("content", content, length),
        )
    };
    call("mailwire_message_set_content", &err, || {
        let content = content.required()?;
        let mut copy = Vec::new();
        copy.try_reserve_exact(content.len())
            .map_err(|_| Failure::NoMemory)?;
        copy.extend_from_slice(content);
        message?.content = Some(copy);
        Ok(())
    })
}
