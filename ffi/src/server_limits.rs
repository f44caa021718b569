//! The setters of `mailwire_server_options` for its name, protocol, threads, sizes and times.

use std::ffi::c_char;

use mailwire::proto::Protocol;

use crate::argument::{TextIn, limit};
use crate::call::{ErrorOut, call};
use crate::error::mailwire_error;
use crate::handle;
use crate::server_options::mailwire_server_options;
use crate::status::mailwire_status;

/// The name that the server greets with. By default the machine's own name.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_hostname(
    options: *mut mailwire_server_options,
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
    call("mailwire_server_options_set_hostname", &err, || {
        options?.set_hostname(name.required()?)?;
        Ok(())
    })
}

/// Whether LMTP is spoken (RFC 2033), where the end of a message is answered for each recipient, instead of SMTP.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_lmtp(
    options: *mut mailwire_server_options,
    lmtp: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_lmtp", &err, || {
        options?.set_protocol(if lmtp { Protocol::Lmtp } else { Protocol::Smtp });
        Ok(())
    })
}

/// Whether a message comes piece by piece while it arrives (MAILWIRE_EVENT_BODY, _CHUNK, _END_OF_DATA) instead of whole
/// (MAILWIRE_EVENT_MESSAGE).
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_stream(
    options: *mut mailwire_server_options,
    stream: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_stream", &err, || {
        options?.set_stream(stream);
        Ok(())
    })
}

/// The number of threads that do the I/O. 1 by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_threads(
    options: *mut mailwire_server_options,
    threads: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_threads", &err, || {
        options?.set_workers(threads)?;
        Ok(())
    })
}

/// The most octets of a message. 50 MiB by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_max_message_size(
    options: *mut mailwire_server_options,
    octets: u64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_max_message_size", &err, || {
        options?.set_max_message_size(octets)?;
        Ok(())
    })
}

/// The most recipients of a message. 1000 by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_max_recipients(
    options: *mut mailwire_server_options,
    recipients: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_max_recipients", &err, || {
        options?.set_max_recipients(recipients)?;
        Ok(())
    })
}

/// The most connections at a time; 1000 by default. Those beyond are greeted with 421. Where TLS comes first, or a proxy has not sent
/// its header yet, nothing can be said: they are closed without a word.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_max_connections(
    options: *mut mailwire_server_options,
    connections: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_max_connections", &err, || {
        options?.set_max_connections(connections)?;
        Ok(())
    })
}

/// The most connections at a time from one address; of IPv6, from one /64 network; 100 by default. Those beyond are greeted with 421,
/// or closed without a word where TLS comes first. A proxy of the option "proxy_protocol" or "xclient" is not counted, but whom it
/// tells: what is too many is answered 421 and closed.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_connections_per_address(
    options: *mut mailwire_server_options,
    connections: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call(
        "mailwire_server_options_set_connections_per_address",
        &err,
        || {
            options?.set_connections_per_address(connections)?;
            Ok(())
        },
    )
}

/// The most octets of messages that are held in memory, over all sessions, where each piece counts for 768 more; in a transaction
/// recipients beyond the first 16 count too. 256 MiB by default.
/// Of it one address may have a part, which mailwire_server_options_set sets as body_memory_per_address: a quarter by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_body_memory(
    options: *mut mailwire_server_options,
    octets: u64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_body_memory", &err, || {
        options?.set_body_memory(octets)?;
        Ok(())
    })
}

/// How long an event may stay unanswered before the client is told 451 (454 at AUTH and LOOKUP, 421 at CONNECT), in milliseconds. 300,000
/// by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_answer_timeout(
    options: *mut mailwire_server_options,
    milliseconds: i64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_answer_timeout", &err, || {
        let time = limit("milliseconds", milliseconds)?;
        options?.set_answer_timeout(time)?;
        Ok(())
    })
}

/// How long a client may take for its next command or its next octets, in milliseconds. 300,000 by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_idle_timeout(
    options: *mut mailwire_server_options,
    milliseconds: i64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_idle_timeout", &err, || {
        let time = limit("milliseconds", milliseconds)?;
        options?.set_idle_timeout(time)?;
        Ok(())
    })
}
