//! `mailwire_server_options`: where a server listens, whom it lets in, and what it asks the program.

use std::ffi::{c_char, c_void};

use mailwire::sasl::ScramKeys;
use mailwire::server::{Hooks, Options};
use mailwire::tls::ServerTls;

use crate::argument::{BytesIn, TextIn};
use crate::call::{ErrorOut, call, look};
use crate::error::mailwire_error;
use crate::failure::Failure;
use crate::handle::{self, Handle, object};
use crate::names;
use crate::server_disposition::{DISPOSITION, ServerOptions};
use crate::status::mailwire_status;

/// Where a server listens, whom it lets in, and what it asks the program.
///
/// Each setter checks at once and copies what it is given. A server keeps a copy, so that options may be changed, used
/// again and freed at any time.
///
/// Since 0.1.
pub struct mailwire_server_options(Handle<ServerOptions>);

object!(mailwire_server_options, ServerOptions, "options");

/// What a program wants to be asked: MAILWIRE_HOOK_... joined by "|".
pub type mailwire_hooks = u32;

/// Nothing but whole messages.
pub const MAILWIRE_HOOK_NONE: mailwire_hooks = 0;
/// A client has connected.
pub const MAILWIRE_HOOK_CONNECT: mailwire_hooks = 1;
/// EHLO, HELO or LHLO.
pub const MAILWIRE_HOOK_HELLO: mailwire_hooks = 2;
/// AUTH, for users who are not in the server's own table. With it AUTH is offered.
pub const MAILWIRE_HOOK_AUTH: mailwire_hooks = 4;
/// MAIL.
pub const MAILWIRE_HOOK_MAIL: mailwire_hooks = 8;
/// RCPT.
pub const MAILWIRE_HOOK_RCPT: mailwire_hooks = 16;
/// A transaction was given up; informs.
pub const MAILWIRE_HOOK_RESET: mailwire_hooks = 32;
/// VRFY.
pub const MAILWIRE_HOOK_VERIFY: mailwire_hooks = 64;
/// EXPN.
pub const MAILWIRE_HOOK_EXPAND: mailwire_hooks = 128;
/// HELP.
pub const MAILWIRE_HOOK_HELP: mailwire_hooks = 256;
/// A command that is not known.
pub const MAILWIRE_HOOK_UNKNOWN: mailwire_hooks = 512;
/// QUIT; informs.
pub const MAILWIRE_HOOK_QUIT: mailwire_hooks = 1024;
/// The connection is gone; informs.
pub const MAILWIRE_HOOK_DISCONNECT: mailwire_hooks = 2048;
/// What is kept of users who are not in the server's own table (MAILWIRE_EVENT_LOOKUP). With it SCRAM is offered, and CRAM-MD5 if the
/// option "mechanisms" names it.
pub const MAILWIRE_HOOK_LOOKUP: mailwire_hooks = 4096;
/// ETRN. With it ETRN is offered.
pub const MAILWIRE_HOOK_ETRN: mailwire_hooks = 8192;
/// A message that a disposition could not take (MAILWIRE_EVENT_FAULT); informs.
pub const MAILWIRE_HOOK_FAULT: mailwire_hooks = 16384;

/// The defaults. Unless an address to listen on is added, it is a free port of 127.0.0.1.
///
/// Free it with mailwire_server_options_free. Returns NULL only if memory has run out.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_server_options_new() -> *mut mailwire_server_options {
    look(std::ptr::null_mut(), || {
        Ok(handle::to_c(ServerOptions::new()))
    })
}

/// Frees options. NULL is allowed.
///
/// Thread: any, while nobody else uses these options.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_free(options: *mut mailwire_server_options) {
    // SAFETY: the pointer is NULL or options, as the header asks.
    unsafe { handle::free(options) };
}

/// The name of an option that mailwire_server_options_set knows, by its index from 0; NULL behind the last one.
///
/// The text is never freed.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_server_option_name(index: usize) -> *const c_char {
    look(std::ptr::null(), || {
        let all = Options::names().iter().copied().chain([DISPOSITION]);
        Ok(names::at(&names::SERVER, all, index))
    })
}

/// Sets an option by its name, from text. SERVER_OPTIONS.md, installed in share/doc/mailwire, lists all names with
/// their values and defaults.
///
/// Switches are "true", "yes", "on" or "1", or "false", "no", "off" or "0", in any case of letters;
/// times are seconds, as "300" or "0.5"; sizes are octets, as "1048576", "1024K" or "1M". Lists are separated by commas, and no element
/// is empty; of networks and "extensions" there may be none at all. Blanks around a value and around the elements of a list do not count,
/// but for "user", whose password may have them. "tls" is "certificate.pem,key.pem" or one file with both, and comes before "tls_sni",
/// "host.example,certificate.pem,key.pem", and "client_ca", a file of roots: setting it again forgets these. "disposition" is as
/// mailwire_server_options_set_disposition has it. "received" puts a Received field (RFC 5321 section 4.4) in front of each message,
/// with the id that mailwire_event_queue_id tells; where the disposition is a relay it is put there whatever "received" says.
///
/// "decoy_secret" is 64 hexadecimal digits, 32 random octets, from which the salts of SCRAM are made for users who are not there. By
/// default they are made of the private key of "tls", as it is when the server begins, so that servers with one key make up the same
/// ones, also after a stop; without TLS they change with each start, which tells who is not there. Set it there, and where the key
/// changes or servers with several keys stand for one another. Keep it as secret as the users' keys; no error repeats it.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
/// MAILWIRE_ERR_IO for a "disposition" whose folder cannot be used; MAILWIRE_ERR_MISUSE if another call is using the
/// options; MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set(
    options: *mut mailwire_server_options,
    name: *const c_char,
    value: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, name, value) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("name", name),
            TextIn::new("value", value),
        )
    };
    call("mailwire_server_options_set", &err, || {
        options?.set_any(name.required()?, value.required()?)?;
        Ok(())
    })
}

/// Adds an address to listen on: "127.0.0.1:2525", "[::1]:0" (port 0: a free one), "unix:/path", "fd:3" or "systemd".
///
/// The path of a Unix socket has at most 107 octets; names without a file, which begin with @ elsewhere, are not taken. The file stays
/// when the server has ended: the next server on it replaces it.
///
/// "fd:3" is a descriptor that a parent process has left open: a listening socket of TCP or a Unix stream socket. It stays open as long
/// as this process runs, and becomes non-blocking for all who share it. "systemd" is all sockets that systemd's socket activation has
/// handed over (sd_listen_fds(3)); LISTEN_PID and LISTEN_FDS are read from the environment now, and stay set.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT, also where a descriptor cannot be listened on or was added already, or systemd
/// has handed over nothing; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_add_listener(
    options: *mut mailwire_server_options,
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
    call("mailwire_server_options_add_listener", &err, || {
        options?.listen(address.required()?)?;
        Ok(())
    })
}

/// The files in PEM with the server's certificate chain, its own certificate first, and with its private key; they may be the
/// same file. With them STARTTLS is offered.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
/// MAILWIRE_ERR_MISUSE if another call is using the options; MAILWIRE_ERR_INTERNAL. After a failure the options are as
/// before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_certificate(
    options: *mut mailwire_server_options,
    certificate: *const c_char,
    key: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, certificate, key) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("certificate", certificate),
            TextIn::new("key", key),
        )
    };
    call("mailwire_server_options_set_certificate", &err, || {
        let mut options = options?;
        let tls = ServerTls::from_pem_files(certificate.required()?, key.required()?)?;
        options.set_tls(tls);
        Ok(())
    })
}

/// Adds a user who may log in, with the password. The library then answers AUTH for this user by itself. AUTH is offered as soon
/// as there is a user, MAILWIRE_HOOK_AUTH or MAILWIRE_HOOK_LOOKUP.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_add_user(
    options: *mut mailwire_server_options,
    name: *const c_char,
    secret: *const c_void,
    secret_length: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, name, secret) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("name", name),
            BytesIn::new("secret", secret, secret_length),
        )
    };
    call("mailwire_server_options_add_user", &err, || {
        let (name, secret) = (name.required()?, secret.required()?);
        options?.add_user(name, secret.into())?;
        Ok(())
    })
}

/// Adds a user who may log in, with what mailwire_scram_keys_text gave instead of the password. May be called once for each
/// mechanism. Such a user can log in by SCRAM with these mechanisms, and by PLAIN and LOGIN at the price of salting once more.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_add_user_keys(
    options: *mut mailwire_server_options,
    name: *const c_char,
    keys: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, name, keys) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("name", name),
            TextIn::new("keys", keys),
        )
    };
    call("mailwire_server_options_add_user_keys", &err, || {
        let (name, keys) = (name.required()?, keys.required()?);
        let keys = ScramKeys::from_text(keys).map_err(|error| Failure::invalid("keys", error))?;
        options?.add_user_keys(name, keys)?;
        Ok(())
    })
}

/// What the program wants to be asked: MAILWIRE_HOOK_... joined by "|". All else is answered by the library, in the usual way.
/// MAILWIRE_HOOK_NONE by default. Messages always come, but where a disposition takes them.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_hooks(
    options: *mut mailwire_server_options,
    hooks: mailwire_hooks,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_hooks", &err, || {
        let hooks = Hooks::from_bits(hooks).ok_or(Failure::Argument(
            "hooks",
            "has a bit that is none of MAILWIRE_HOOK_...",
        ))?;
        options?.set_hooks(hooks);
        Ok(())
    })
}

/// Whether TLS begins with the connection, without STARTTLS. Needs a certificate.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_implicit_tls(
    options: *mut mailwire_server_options,
    implicit: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_implicit_tls", &err, || {
        options?.set_implicit_tls(implicit);
        Ok(())
    })
}

/// Whether nothing but STARTTLS is served in clear. Needs a certificate.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_require_tls(
    options: *mut mailwire_server_options,
    required: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_require_tls", &err, || {
        options?.set_require_tls(required);
        Ok(())
    })
}

/// Whether MAIL is refused until the client has logged in.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_require_auth(
    options: *mut mailwire_server_options,
    required: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_server_options_set_require_auth", &err, || {
        options?.set_auth_required(required);
        Ok(())
    })
}

/// Dangerous: lets passwords travel in clear, where anyone on the way can read them.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_allow_plaintext_auth(
    options: *mut mailwire_server_options,
    allow: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call(
        "mailwire_server_options_set_allow_plaintext_auth",
        &err,
        || {
            options?.set_allow_plaintext_auth(allow);
            Ok(())
        },
    )
}
