//! One call that sends one message: for scripts and for programs that send seldom.

use std::ffi::{c_char, c_void};

use mailwire::blocking::Call;
use mailwire::client::Options;
use mailwire::message::Mail;
use mailwire::proto::{Envelope, InvalidEnvelope};

use crate::argument::{BytesIn, Out, TextIn, TextsIn};
use crate::call::{ErrorOut, call};
use crate::client::{new_client, send};
use crate::error::mailwire_error;
use crate::failure::Failure;
use crate::report::mailwire_report;
use crate::status::mailwire_status;

/// Sends one ready-made message and closes the connection.
///
/// url is as for mailwire_client_options_from_url, sender and recipients as for mailwire_message; recipients points to count
/// texts. message is its header and body. report may be NULL; else it gets a report, to be freed with mailwire_report_free, as
/// for mailwire_client_send.
///
/// Returns what mailwire_client_options_from_url, mailwire_client_new and mailwire_client_send return, above all MAILWIRE_OK if
/// the server accepted the message for every recipient, and MAILWIRE_ERR_PARTIAL if only for some.
/// Thread: any.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_send(
    url: *const c_char,
    sender: *const c_char,
    recipients: *const *const c_char,
    count: usize,
    message: *const c_void,
    length: usize,
    report: *mut *mut mailwire_report,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, report, url, sender, recipients, message) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("report", report, std::ptr::null_mut()),
            TextIn::new("url", url),
            TextIn::new("sender", sender),
            TextsIn::new("recipients", recipients, count),
            BytesIn::new("message", message, length),
        )
    };
    call("mailwire_send", &err, || {
        let options = Options::from_url(url.required()?)?;
        let envelope = envelope(sender.required()?, &recipients.required()?)?;
        let message = message.required()?;
        let client = new_client(options)?;
        send(&client, &envelope, message, Call::default(), &report)
    })
}

/// Sends one plain text and closes the connection. The header is made from sender, recipients and subject; all of these and
/// the text are UTF-8.
///
/// url is as for mailwire_client_options_from_url, sender and recipients as for mailwire_message; recipients points to count
/// texts. subject has one line. report may be NULL; else it gets a report, to be freed with mailwire_report_free, as for
/// mailwire_client_send.
///
/// Returns what mailwire_client_options_from_url, mailwire_client_new and mailwire_client_send return, above all MAILWIRE_OK if
/// the server accepted the message for every recipient, and MAILWIRE_ERR_PARTIAL if only for some.
/// Thread: any.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_send_text(
    url: *const c_char,
    sender: *const c_char,
    recipients: *const *const c_char,
    count: usize,
    subject: *const c_char,
    text: *const c_char,
    report: *mut *mut mailwire_report,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, report, url, sender, recipients, subject, text) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("report", report, std::ptr::null_mut()),
            TextIn::new("url", url),
            TextIn::new("sender", sender),
            TextsIn::new("recipients", recipients, count),
            TextIn::new("subject", subject),
            TextIn::new("text", text),
        )
    };
    call("mailwire_send_text", &err, || {
        let options = Options::from_url(url.required()?)?;
        let (sender, recipients) = (sender.required()?, recipients.required()?);
        let envelope = envelope(sender, &recipients)?;
        let mut mail = Mail::new();
        mail.from(sender)?;
        for recipient in recipients {
            mail.to(recipient)?;
        }
        mail.subject(subject.required()?)?;
        mail.text(text.required()?)?;
        let built = mail.build()?;
        let parameters = built.envelope().parameters().clone();
        let envelope = envelope.with_parameters(parameters);
        let client = new_client(options)?;
        send(
            &client,
            &envelope,
            built.content(),
            Call::default(),
            &report,
        )
    })
}

fn envelope(sender: &str, recipients: &[&str]) -> Result<Envelope, Failure> {
    if recipients.is_empty() {
        return Err(Failure::Argument("recipients", "are none"));
    }
    Envelope::parse(sender, recipients).map_err(|error: InvalidEnvelope| {
        let name = if error.recipient.is_some() {
            "recipients"
        } else {
            "sender"
        };
        Failure::invalid(name, error)
    })
}
