//! The setters of `mailwire_client_options` for names, addresses, times and numbers.

use std::ffi::c_char;

use crate::argument::{self, TextIn, limit};
use crate::call::{ErrorOut, call};
use crate::client_options::mailwire_client_options;
use crate::error::mailwire_error;
use crate::handle;
use crate::status::mailwire_status;

/// The name said in EHLO: a domain name or an address literal. By default this host's full name if it has one, else the
/// connection's own address.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_local_hostname(
    options: *mut mailwire_client_options,
    name: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, name) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("name", name),
        )
    };
    call("mailwire_client_options_set_local_hostname", &err, || {
        options?.set_local_hostname(name.required()?)?;
        Ok(())
    })
}

/// The IP address of this host that connections come from.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_source_address(
    options: *mut mailwire_client_options,
    address: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, address) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("address", address),
        )
    };
    call("mailwire_client_options_set_source_address", &err, || {
        options?.set("source_address", address.required()?)?;
        Ok(())
    })
}

/// The longest wait for a connection to open, in milliseconds. 10,000 by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_connect_timeout(
    options: *mut mailwire_client_options,
    milliseconds: i64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_connect_timeout", &err, || {
        let time = limit("milliseconds", milliseconds)?;
        options?.set_connect_timeout(time)?;
        Ok(())
    })
}

/// The longest single wait for the server, in milliseconds, in every phase but the reply to the end of data, which has 600
/// seconds. MAILWIRE_NO_TIMEOUT stands for the default: the values of RFC 5321 section 4.5.3.2, 2 to 5 minutes.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_timeout(
    options: *mut mailwire_client_options,
    milliseconds: i64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_timeout", &err, || {
        let time = argument::milliseconds("milliseconds", milliseconds)?;
        options?.set_timeout(time)?;
        Ok(())
    })
}

/// The most that a whole call may take, in milliseconds. MAILWIRE_NO_TIMEOUT, the default, sets no limit.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_deadline(
    options: *mut mailwire_client_options,
    milliseconds: i64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_deadline", &err, || {
        let time = argument::milliseconds("milliseconds", milliseconds)?;
        options?.set_deadline(time)?;
        Ok(())
    })
}

/// Whether a message with a CR or LF that is not part of a CRLF is refused. By default it becomes CRLF as it is sent.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_refuse_bare_line_ends(
    options: *mut mailwire_client_options,
    refuse: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call(
        "mailwire_client_options_set_refuse_bare_line_ends",
        &err,
        || {
            options?.set("line_ends", if refuse { "refuse" } else { "normalise" })?;
            Ok(())
        },
    )
}

/// Send to all recipients or to none: nothing that can complete the message leaves before every one was accepted.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_all_or_nothing(
    options: *mut mailwire_client_options,
    all_or_nothing: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_all_or_nothing", &err, || {
        options?.set_all_or_nothing(all_or_nothing);
        Ok(())
    })
}

/// The most connections that a client has open at a time. 8 by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_max_connections(
    options: *mut mailwire_client_options,
    connections: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_max_connections", &err, || {
        options?.set_max_connections(connections)?;
        Ok(())
    })
}

/// How long a kept connection may be idle, in milliseconds. 60,000 by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_idle_timeout(
    options: *mut mailwire_client_options,
    milliseconds: i64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_idle_timeout", &err, || {
        let time = limit("milliseconds", milliseconds)?;
        options?.set_idle_timeout(time);
        Ok(())
    })
}

/// How old a kept connection may get, in milliseconds. An hour by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_max_age(
    options: *mut mailwire_client_options,
    milliseconds: i64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_max_age", &err, || {
        let time = limit("milliseconds", milliseconds)?;
        options?.set_max_age(time);
        Ok(())
    })
}

/// How many messages a kept connection carries before it is replaced. 1000 by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_max_messages(
    options: *mut mailwire_client_options,
    messages: u32,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_max_messages", &err, || {
        options?.set_max_messages(messages)?;
        Ok(())
    })
}
