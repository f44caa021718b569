//! `mailwire_client`: a pool of connections that any number of threads send through.

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, OnRefused, Options};
use mailwire::proto::Envelope;

use crate::argument::Out;
use crate::call::{ErrorOut, call};
use crate::cancel::{CancelIn, mailwire_cancel};
use crate::client_options::mailwire_client_options;
use crate::error::mailwire_error;
use crate::failure::Failure;
use crate::handle::{self, Handle, object};
use crate::message::mailwire_message;
use crate::report::{self, mailwire_report};
use crate::status::mailwire_status;

/// A client: a pool of connections to one server. Every function takes it const: any number of threads may send through one
/// at the same time. No thread runs behind it, but for a short one while a host name is looked up.
///
/// Since 0.1.
pub struct mailwire_client(Handle<Client>);

object!(mailwire_client, Client, "client");

/// A client with these options, which are checked as a whole and copied. Nothing is connected before the first message.
///
/// client gets the new client, to be freed with mailwire_client_free, or NULL on failure.
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for options that do not fit together;
/// MAILWIRE_ERR_AUTH_INSECURE if the password would travel in clear; MAILWIRE_ERR_MISUSE if another call is changing the options;
/// MAILWIRE_ERR_INTERNAL.
/// Thread: any.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_new(
    options: *const mailwire_client_options,
    client: *mut *mut mailwire_client,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, client, options) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("client", client, std::ptr::null_mut()),
            handle::shared(options),
        )
    };
    call("mailwire_client_new", &err, || {
        let client = client.required()?;
        client.write(handle::to_c(new_client(options?.clone())?));
        Ok(())
    })
}

/// Frees a client and closes its connections. NULL is allowed. In a forked child it closes the child's descriptors and nothing
/// else: the parent's connections go on.
///
/// Thread: any. Calls that are still sending through it go on, and the last one closes it.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_free(client: *mut mailwire_client) {
    // SAFETY: the pointer is NULL or a client, as the header asks.
    unsafe { handle::free(client) };
}

/// Sends one message, over a kept connection if there is one.
///
/// cancel may be NULL; signalled, it ends the call. report may be NULL; else it gets a report, to be freed with
/// mailwire_report_free, on success and on failure, once the server was told the sender; before that it gets NULL. The
/// message's content is not copied.
///
/// Returns MAILWIRE_OK if the server accepted the message for every recipient. MAILWIRE_ERR_PARTIAL: some recipients were
/// accepted and others were not, see the report. MAILWIRE_ERR_PERMANENT: all failed, and trying again will not help.
/// MAILWIRE_ERR_TRANSIENT: all failed, and some may work later. Nothing that may have been accepted is ever sent again by
/// itself: if mailwire_error_delivery is MAILWIRE_DELIVERY_UNKNOWN, do not send it again blindly.
/// Before anything is sent: MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE for a message without sender, recipient or content;
/// MAILWIRE_ERR_FORKED; MAILWIRE_ERR_CLOSED; MAILWIRE_ERR_TOO_LARGE; MAILWIRE_ERR_NOT_SUPPORTED.
/// From the network: MAILWIRE_ERR_DNS; MAILWIRE_ERR_CONNECTION_REFUSED; MAILWIRE_ERR_CONNECTION_LOST; MAILWIRE_ERR_IO;
/// MAILWIRE_ERR_TIMEOUT; MAILWIRE_ERR_CANCELLED; MAILWIRE_ERR_PROTOCOL.
/// From TLS: MAILWIRE_ERR_TLS; MAILWIRE_ERR_TLS_NOT_OFFERED; MAILWIRE_ERR_TLS_REFUSED; MAILWIRE_ERR_TLS_CONFIGURATION;
/// MAILWIRE_ERR_CERTIFICATE_EXPIRED; MAILWIRE_ERR_CERTIFICATE_NOT_YET_VALID; MAILWIRE_ERR_CERTIFICATE_UNTRUSTED;
/// MAILWIRE_ERR_CERTIFICATE_NAME; MAILWIRE_ERR_CERTIFICATE_INVALID.
/// From AUTH: MAILWIRE_ERR_AUTH_REJECTED; MAILWIRE_ERR_AUTH_MECHANISM; MAILWIRE_ERR_AUTH_NOT_OFFERED;
/// MAILWIRE_ERR_AUTH_INSECURE; MAILWIRE_ERR_AUTH_REQUIRED.
/// MAILWIRE_ERR_INTERNAL.
/// Thread: any number at the same time, on one client and with one message.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_send(
    client: *const mailwire_client,
    message: *const mailwire_message,
    cancel: *const mailwire_cancel,
    report: *mut *mut mailwire_report,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, report, client, message, cancel) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("report", report, std::ptr::null_mut()),
            handle::shared(client),
            handle::shared(message),
            CancelIn::new(cancel),
        )
    };
    call("mailwire_client_send", &err, || {
        let (client, message) = (client?, message?);
        let call = Call {
            cancel: cancel.get(),
            ..Call::default()
        };
        send(
            &client,
            &message.envelope()?,
            message.content()?,
            call,
            &report,
        )
    })
}

/// Says goodbye on the connections that are kept. Calls under way end as they would; later ones return MAILWIRE_ERR_CLOSED.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_INTERNAL.
/// Thread: any.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_close(
    client: *const mailwire_client,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, client) = unsafe { (ErrorOut::of(err), handle::shared(client)) };
    call("mailwire_client_close", &err, || {
        client?.close();
        Ok(())
    })
}

/// A client as C has it: what is not accepted for every recipient is never MAILWIRE_OK.
pub(crate) fn new_client(mut options: Options) -> Result<Client, Failure> {
    options.set_on_refused(OnRefused::RaiseIfAny);
    Ok(Client::new(options)?)
}

/// Sends, and writes the report on success and failure alike.
pub(crate) fn send(
    client: &Client,
    envelope: &Envelope,
    content: &[u8],
    call: Call<'_>,
    report: &Out<*mut mailwire_report>,
) -> Result<(), Failure> {
    let result = client.send(envelope, Content::bytes(content), call);
    let outcome = match &result {
        Ok(outcome) => Some(outcome),
        Err(error) => error.outcome(),
    };
    if let Some(outcome) = outcome
        && report.is_given()
        // A report for which there is no memory is no reason to call a message that was sent a failure.
        && let Ok(made) = report::to_c(outcome)
    {
        report.write(made);
    }
    result?;
    Ok(())
}
