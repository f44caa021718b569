//! `mailwire_error`: why a call failed, with everything that is known about it.

use std::alloc::Layout;
use std::ffi::c_char;
use std::fmt::Display;

use mailwire::{Error, Phase, Status};

use crate::argument::Out;
use crate::failure::Failure;
use crate::guard;
use crate::report::{MAILWIRE_DELIVERY_NOT_TRIED, mailwire_delivery};
use crate::status::{MAILWIRE_OK, MAILWIRE_PHASE_NONE, mailwire_phase, mailwire_status};
use crate::text::{EMPTY, Text, Texts};
use crate::tls_reason::{self, MAILWIRE_TLS_REASON_NONE, mailwire_tls_reason};

/// Why a call failed.
///
/// It never changes, so any number of threads may read it at the same time. It belongs to whoever made the call; free it
/// with mailwire_error_free. Every accessor takes NULL and then returns the same as for what is absent.
///
/// Since 0.1.
pub struct mailwire_error {
    status: mailwire_status,
    texts: Texts,
    message: Text,
    cause: Text,
    peer: Text,
    reply: Vec<Text>,
    command: &'static str,
    phase: mailwire_phase,
    smtp_code: i32,
    enhanced: Option<mailwire::proto::EnhancedStatus>,
    os_errno: i32,
    tls_alert: i32,
    recipient: usize,
    transient: bool,
    delivery: mailwire_delivery,
}

/// What is told when there is no memory to tell anything in.
static OUT_OF_MEMORY: mailwire_error = mailwire_error::new(Status::NoMemory);

/// Frees an error. NULL is allowed. Set your pointer to NULL afterwards.
///
/// Thread: any, while nobody else uses this error.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_free(error: *mut mailwire_error) {
    if error.is_null() || error.cast_const() == &raw const OUT_OF_MEMORY {
        return;
    }
    // SAFETY: not NULL and not the static one, so `to_c` boxed it; the caller gives it up.
    guard::quietly(|| drop(unsafe { Box::from_raw(error) }));
}

/// The status of an error: the same number that the call returned. MAILWIRE_ERR_NOMEM if there was no memory for more, whatever
/// the call returned. NULL: MAILWIRE_OK.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_status(error: *const mailwire_error) -> mailwire_status {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(MAILWIRE_OK, |error| error.status)
}

/// One line for people: the function, the peer, the phase, what happened, and what the peer said. NULL: empty.
///
/// The text is UTF-8, never NULL, and lives as long as the error.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_message(error: *const mailwire_error) -> *const c_char {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    match unsafe { error.as_ref() } {
        None => EMPTY,
        Some(error) if std::ptr::eq(error, &raw const OUT_OF_MEMORY) => c"memory ran out".as_ptr(),
        Some(error) => error.texts.get(error.message),
    }
}

/// What lies behind the failure, as the operating system or TLS words it; empty if nothing does.
///
/// The text is one line of UTF-8, never NULL, and lives as long as the error.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_cause_message(
    error: *const mailwire_error,
) -> *const c_char {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { text(error, |error| error.cause) }
}

/// The peer, as host:port or the path of a socket; empty if there was none.
///
/// The text is never NULL, and lives as long as the error.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_peer(error: *const mailwire_error) -> *const c_char {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { text(error, |error| error.peer) }
}

/// The phase of the session, or MAILWIRE_PHASE_NONE if there was no session.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_phase(error: *const mailwire_error) -> mailwire_phase {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(MAILWIRE_PHASE_NONE, |error| error.phase)
}

/// The command that was under way, as "RCPT"; empty if there was none.
///
/// The text is never NULL and is never freed.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_command(error: *const mailwire_error) -> *const c_char {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(EMPTY, |error| error.command.as_ptr().cast())
}

/// The code of the server's reply, as 550; 0 if no reply is the reason.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_smtp_code(error: *const mailwire_error) -> i32 {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(0, |error| error.smtp_code)
}

/// The enhanced status code of the server's reply, as 5, 1 and 1. Returns whether there is one; if not, all three are set
/// to 0. Each of the three pointers may be NULL.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_enhanced(
    error: *const mailwire_error,
    status_class: *mut i32,
    subject: *mut i32,
    detail: *mut i32,
) -> bool {
    // SAFETY: the pointers are NULL or as the header asks.
    unsafe {
        let status = error.as_ref().and_then(|error| error.enhanced);
        write_enhanced(status, status_class, subject, detail)
    }
}

/// The number of lines of the server's reply; 0 if no reply is the reason.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_reply_count(error: *const mailwire_error) -> usize {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(0, |error| error.reply.len())
}

/// A line of the server's reply, without codes; empty if there is no such line. What was not printable is written as \xNN.
///
/// The text is never NULL, and lives as long as the error.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_reply_line(
    error: *const mailwire_error,
    index: usize,
) -> *const c_char {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe {
        text(error, |error| {
            error.reply.get(index).copied().unwrap_or(Text::ABSENT)
        })
    }
}

/// The operating system's error number (errno); 0 if none is the reason.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_os_errno(error: *const mailwire_error) -> i32 {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(0, |error| error.os_errno)
}

/// The number of the TLS alert that the peer sent (RFC 8446 section 6); -1 if none is the reason.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_tls_alert(error: *const mailwire_error) -> i32 {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(-1, |error| error.tls_alert)
}

/// What was wrong with TLS, or MAILWIRE_TLS_REASON_NONE.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_tls_reason(
    error: *const mailwire_error,
) -> mailwire_tls_reason {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(MAILWIRE_TLS_REASON_NONE, |error| {
        tls_reason::of_status(error.status)
    })
}

/// The name of what was wrong with TLS, as "MAILWIRE_TLS_REASON_EXPIRED".
///
/// The text is never NULL and is never freed.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_tls_reason_name(
    error: *const mailwire_error,
) -> *const c_char {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    tls_reason::name(unsafe { mailwire_error_tls_reason(error) })
}

/// The index of the recipient that the error is about, in the order in which they were added; SIZE_MAX if it is about no
/// single one.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_recipient_index(error: *const mailwire_error) -> usize {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(usize::MAX, |error| error.recipient)
}

/// Whether the same call may succeed later without a change, and cannot make a second copy: false if the message was accepted for
/// some recipient, or may have been. mailwire_report_retry_at tells who may be sent it again then.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_is_transient(error: *const mailwire_error) -> bool {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.is_some_and(|error| error.transient)
}

/// What became of the message: MAILWIRE_DELIVERY_NOT_TRIED if its transaction had not begun. MAILWIRE_DELIVERY_UNKNOWN means
/// that the server may or may not have accepted it: do not send it again blindly.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_error_delivery(
    error: *const mailwire_error,
) -> mailwire_delivery {
    // SAFETY: the pointer is NULL or an error, as the header asks.
    unsafe { error.as_ref() }.map_or(MAILWIRE_DELIVERY_NOT_TRIED, |error| error.delivery)
}

/// The error to give out where there is no memory for one.
pub(crate) fn out_of_memory() -> *mut mailwire_error {
    // It is never written to: every function takes errors as `const`, and `mailwire_error_free` knows it.
    (&raw const OUT_OF_MEMORY).cast_mut()
}

/// An error for C, or the one for lack of memory.
pub(crate) fn to_c(function: &'static str, failure: &Failure) -> *mut mailwire_error {
    let Ok(error) = mailwire_error::from_failure(function, failure) else {
        return out_of_memory();
    };
    let layout = Layout::new::<mailwire_error>();
    // SAFETY: the type has a size.
    let place = unsafe { std::alloc::alloc(layout) };
    #[allow(
        clippy::cast_ptr_alignment,
        reason = "the layout asks for the alignment"
    )]
    let place = place.cast::<mailwire_error>();
    if place.is_null() {
        return out_of_memory();
    }
    // SAFETY: the place is fresh, large enough and aligned; it is as a box would be.
    unsafe { place.write(error) };
    place
}

/// Writes the parts of an enhanced status code where the caller wants them, and returns whether there is one.
///
/// # Safety
/// Each pointer is NULL or a place for a number.
pub(crate) unsafe fn write_enhanced(
    status: Option<mailwire::proto::EnhancedStatus>,
    status_class: *mut i32,
    subject: *mut i32,
    detail: *mut i32,
) -> bool {
    let parts = status.map_or([0; 3], |status| {
        [
            status.class().into(),
            status.subject().into(),
            status.detail().into(),
        ]
    });
    for (pointer, part) in [status_class, subject, detail].into_iter().zip(parts) {
        // SAFETY: as the caller promises.
        unsafe { Out::new("enhanced", pointer, 0) }.write(part);
    }
    status.is_some()
}

impl mailwire_error {
    const fn new(status: Status) -> Self {
        Self {
            status: status as mailwire_status,
            texts: Texts::new(),
            message: Text::ABSENT,
            cause: Text::ABSENT,
            peer: Text::ABSENT,
            reply: Vec::new(),
            command: "\0",
            phase: MAILWIRE_PHASE_NONE,
            smtp_code: 0,
            enhanced: None,
            os_errno: 0,
            tls_alert: -1,
            recipient: usize::MAX,
            transient: false,
            delivery: MAILWIRE_DELIVERY_NOT_TRIED,
        }
    }

    /// Fails where memory runs out.
    fn from_failure(function: &'static str, failure: &Failure) -> Result<Self, Failure> {
        let mut error = Self::new(failure.status());
        error.message = error.texts.add(format_args!("{function}: {failure}"))?;
        error.transient = matches!(failure, Failure::NoEvent);
        if let Some(engine) = failure.engine() {
            error.describe(engine)?;
        }
        Ok(error)
    }

    /// One that is no failure of a call, but what something else has to tell, to which it belongs.
    pub(crate) fn lent(engine: &Error) -> Result<Box<Self>, Failure> {
        let mut error = Self::new(engine.status());
        error.message = error.texts.add(engine)?;
        error.describe(engine)?;
        Ok(Box::new(error))
    }

    /// Writes down what the engine knows, but for its status and text.
    fn describe(&mut self, engine: &Error) -> Result<(), Failure> {
        let cause = std::error::Error::source(engine);
        self.cause = self
            .texts
            .add_some(cause.map(|cause| cause as &dyn Display))?;
        self.tls_alert = tls_reason::alert(cause);
        self.peer = self.texts.add_some(engine.peer())?;
        self.phase = engine.phase().map_or(MAILWIRE_PHASE_NONE, Phase::number);
        self.command = engine.phase().map_or("\0", command);
        if let Some(reply) = engine.reply() {
            self.smtp_code = reply.code().into();
            self.enhanced = reply.enhanced();
            for line in reply.lines() {
                let line = self.texts.add(line)?;
                self.reply.try_reserve(1).map_err(|_| Failure::NoMemory)?;
                self.reply.push(line);
            }
        }
        self.os_errno = engine.os_errno().unwrap_or(0);
        self.recipient = engine.recipient_index().unwrap_or(usize::MAX);
        self.transient = engine.is_transient();
        if let Some(outcome) = engine.outcome() {
            self.delivery = outcome.delivery().number();
        }
        Ok(())
    }
}

/// The command of a phase, NUL-terminated.
fn command(phase: Phase) -> &'static str {
    match phase {
        Phase::Hello => "EHLO\0",
        Phase::StartTls => "STARTTLS\0",
        Phase::Auth => "AUTH\0",
        Phase::Mail => "MAIL\0",
        Phase::Rcpt => "RCPT\0",
        Phase::Data | Phase::Body | Phase::EndOfData => "DATA\0",
        Phase::Quit => "QUIT\0",
        _ => "\0",
    }
}

/// # Safety
/// `error` is NULL or an error.
unsafe fn text(
    error: *const mailwire_error,
    which: impl FnOnce(&mailwire_error) -> Text,
) -> *const c_char {
    // SAFETY: as the caller promises.
    unsafe { error.as_ref() }.map_or(EMPTY, |error| error.texts.get(which(error)))
}
