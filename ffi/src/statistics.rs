//! `mailwire_statistics`: a snapshot of what a server has done so far.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use mailwire::server::Statistics;

use crate::argument::{Out, TextIn};
use crate::call::{ErrorOut, call, look};
use crate::error::mailwire_error;
use crate::failure::Failure;
use crate::handle::{self, Handle, object};
use crate::names;
use crate::server::mailwire_server;
use crate::status::mailwire_status;
use crate::text::EMPTY;

/// A snapshot of a server's numbers since it began: sessions, messages, refusals by reason, octets, TLS, logins, and what is
/// going on now. It never changes.
///
/// Since 0.1.
pub struct mailwire_statistics(Handle<Snapshot>);

object!(mailwire_statistics, Snapshot, "statistics");

/// What is behind a `mailwire_statistics`.
pub(crate) struct Snapshot {
    numbers: Statistics,
    /// Made when it is first asked for.
    prometheus: OnceLock<CString>,
}

/// Takes a snapshot of a server's numbers.
///
/// statistics gets it, to be freed with mailwire_statistics_free, or NULL on failure. It outlives the server.
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any, also while others pull events.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_statistics(
    server: *const mailwire_server,
    statistics: *mut *mut mailwire_statistics,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, statistics, server) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("statistics", statistics, std::ptr::null_mut()),
            handle::shared(server),
        )
    };
    call("mailwire_server_statistics", &err, || {
        let place = statistics.required()?;
        place.write(handle::to_c(Snapshot {
            numbers: server?.statistics(),
            prometheus: OnceLock::new(),
        }));
        Ok(())
    })
}

/// Frees a snapshot. NULL is allowed.
///
/// Thread: any, while nobody else uses this snapshot.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_statistics_free(statistics: *mut mailwire_statistics) {
    // SAFETY: the pointer is NULL or a snapshot, as the header asks.
    unsafe { handle::free(statistics) };
}

/// The name of a number in every snapshot, by its index from 0, as "messages"; NULL behind the last one. The names are
/// "sessions", "open_sessions", "messages", "octets", "refused_senders", "refused_recipients", "refused_messages", a number for each
/// reason of a refusal and each end of a session, "failed_logins" with those that nobody could judge, and more; later versions add to
/// them.
///
/// The text is never freed.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_statistics_name(index: usize) -> *const c_char {
    look(std::ptr::null(), || {
        let none = Statistics::default();
        let all: Vec<_> = none.values().map(|(name, _)| name).collect();
        Ok(names::at(&names::STATISTICS, all, index))
    })
}

/// A number of the snapshot by its name, which is one of those that mailwire_statistics_name gives.
///
/// value gets the number, or 0 on failure.
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for a name that no number has; MAILWIRE_ERR_INTERNAL.
/// Thread: any.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_statistics_value(
    statistics: *const mailwire_statistics,
    name: *const c_char,
    value: *mut u64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, value, statistics, name) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("value", value, 0),
            handle::shared(statistics),
            TextIn::new("name", name),
        )
    };
    call("mailwire_statistics_value", &err, || {
        let (place, name) = (value.required()?, name.required()?);
        let statistics = statistics?;
        let mut values = statistics.numbers.values();
        let (_, number) = values
            .find(|(known, _)| *known == name)
            .ok_or(Failure::Argument(
                "name",
                "is none that mailwire_statistics_name gives",
            ))?;
        place.write(number);
        Ok(())
    })
}

/// The whole snapshot in the text format of Prometheus, version 0.0.4, to be served as "text/plain; version=0.0.4". NULL: the
/// empty text.
///
/// The text is never NULL, and lives as long as the snapshot.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_statistics_prometheus(
    statistics: *const mailwire_statistics,
) -> *const c_char {
    // SAFETY: the pointer is NULL or a snapshot, as the header asks.
    let statistics = unsafe { handle::shared(statistics) };
    look(EMPTY, || {
        let statistics = statistics?;
        let made = || CString::new(statistics.numbers.to_prometheus()).unwrap_or_default();
        Ok(statistics.prometheus.get_or_init(made).as_ptr())
    })
}
