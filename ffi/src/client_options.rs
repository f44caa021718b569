//! `mailwire_client_options`: how a client reaches its server and what it does there.

use std::ffi::{c_char, c_void};
use std::path::Path;

use mailwire::client::Options;
use mailwire::proto::Protocol;
use mailwire::sasl::Credentials;

use crate::argument::{BytesIn, Out, TextIn};
use crate::call::{ErrorOut, call, look};
use crate::error::mailwire_error;
use crate::failure::Failure;
use crate::handle::{self, Handle, object};
use crate::names;
use crate::status::mailwire_status;

/// How a client reaches its server and what it does there. Secure from the start: TLS as MAILWIRE_TLS_AUTO has it, certificates
/// verified against the system's roots, no password in clear, no wait without end.
///
/// Each setter checks at once and copies what it is given. A client keeps a copy, so that options may be changed, used
/// again and freed at any time.
///
/// Since 0.1.
pub struct mailwire_client_options(Handle<Options>);

object!(mailwire_client_options, Options, "options");

/// When a client uses TLS: one of MAILWIRE_TLS_... It decides whether to encrypt, never whether to verify: a failed handshake
/// is an error, and nothing falls back to clear.
pub type mailwire_tls_policy = i32;

/// Implicit on port 465, required on port 587 or with credentials, else opportunistic.
pub const MAILWIRE_TLS_AUTO: mailwire_tls_policy = 0;
/// TLS from the first byte, usual on port 465.
pub const MAILWIRE_TLS_IMPLICIT: mailwire_tls_policy = 1;
/// STARTTLS, or an error before anything of the mail is sent.
pub const MAILWIRE_TLS_REQUIRED: mailwire_tls_policy = 2;
/// STARTTLS where the server offers it, else in clear.
pub const MAILWIRE_TLS_OPPORTUNISTIC: mailwire_tls_policy = 3;
/// Never.
pub const MAILWIRE_TLS_NONE: mailwire_tls_policy = 4;

/// The defaults. A server must be set before a client can be made.
///
/// Free it with mailwire_client_options_free. Returns NULL only if memory has run out.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_client_options_new() -> *mut mailwire_client_options {
    look(std::ptr::null_mut(), || Ok(handle::to_c(Options::new())))
}

/// Options from a URL: smtp://, submission://, smtps:// or lmtp:// with user:password@host:port, or lmtp+unix:///path. User
/// and password are percent-encoded. Every other option may stand behind a question mark, by the names that
/// mailwire_client_option_name gives, as in "smtp://user:secret@mail.example.org:587?tls=required&timeout=30".
///
/// Without a port it is 587 with a password, else 25; 587 for submission, 465 for smtps and 24 for lmtp. The password is never
/// repeated in an error.
///
/// options gets new options, to be freed with mailwire_client_options_free, or NULL on failure.
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a certificate file that cannot be
/// used; MAILWIRE_ERR_INTERNAL.
/// Thread: any.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_from_url(
    url: *const c_char,
    options: *mut *mut mailwire_client_options,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, url) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("options", options, std::ptr::null_mut()),
            TextIn::new("url", url),
        )
    };
    call("mailwire_client_options_from_url", &err, || {
        let options = options.required()?;
        let made = Options::from_url(url.required()?)?;
        options.write(handle::to_c(made));
        Ok(())
    })
}

/// Frees options. NULL is allowed.
///
/// Thread: any, while nobody else uses these options.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_free(options: *mut mailwire_client_options) {
    // SAFETY: the pointer is NULL or options, as the header asks.
    unsafe { handle::free(options) };
}

/// The name of an option that mailwire_client_options_set and URLs know, by its index from 0; NULL behind the last one.
///
/// The text is never freed.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_client_option_name(index: usize) -> *const c_char {
    look(std::ptr::null(), || {
        Ok(names::at(
            &names::CLIENT,
            Options::names().iter().copied(),
            index,
        ))
    })
}

/// Sets an option by its name, from text. Times are seconds, as "2.5"; switches are "true" or "false".
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
/// MAILWIRE_ERR_MISUSE if another call is using the options; MAILWIRE_ERR_INTERNAL. After a failure the options are as
/// before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set(
    options: *mut mailwire_client_options,
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
    call("mailwire_client_options_set", &err, || {
        options?.set(name.required()?, value.required()?)?;
        Ok(())
    })
}

/// The server's host name or IP address, and its port. Port 0 is the usual one: 587 with credentials, 465 under implicit TLS, 24
/// with LMTP, and else 25.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_server(
    options: *mut mailwire_client_options,
    host: *const c_char,
    port: u16,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, host) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("host", host),
        )
    };
    call("mailwire_client_options_set_server", &err, || {
        let port = (port != 0).then_some(port);
        options?.set_server(host.required()?, port)?;
        Ok(())
    })
}

/// A socket in the file system instead of a host, as LMTP servers have it.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_unix_socket(
    options: *mut mailwire_client_options,
    path: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, path) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("path", path),
        )
    };
    call("mailwire_client_options_set_unix_socket", &err, || {
        options?.set_unix_socket(Path::new(path.required()?))?;
        Ok(())
    })
}

/// Whether LMTP is spoken (RFC 2033), where the server answers for each recipient, instead of SMTP.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_lmtp(
    options: *mut mailwire_client_options,
    lmtp: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_lmtp", &err, || {
        options?.set_protocol(if lmtp { Protocol::Lmtp } else { Protocol::Smtp });
        Ok(())
    })
}

/// Log in with this user name and password. The copy of the password is overwritten when it is no longer needed. It leaves only
/// under TLS unless mailwire_client_options_set_allow_plaintext_auth says otherwise.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_credentials(
    options: *mut mailwire_client_options,
    user: *const c_char,
    secret: *const c_void,
    secret_length: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, user, secret) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("user", user),
            BytesIn::new("secret", secret, secret_length),
        )
    };
    call("mailwire_client_options_set_credentials", &err, || {
        let credentials = Credentials::new(user.required()?, secret.required()?);
        let credentials = credentials.map_err(|error| Failure::invalid("credentials", error))?;
        options?.set_credentials(credentials);
        Ok(())
    })
}

/// Use this SASL mechanism, as "SCRAM-SHA-256" or "PLAIN", and no other; of several with commas between, the strongest
/// that can be used. By default the strongest that server, TLS and credentials allow.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_mechanism(
    options: *mut mailwire_client_options,
    mechanism: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, mechanism) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("mechanism", mechanism),
        )
    };
    call("mailwire_client_options_set_mechanism", &err, || {
        options?.set("auth", mechanism.required()?)?;
        Ok(())
    })
}

/// Dangerous: lets the password travel in clear, where anyone on the way can read it.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_allow_plaintext_auth(
    options: *mut mailwire_client_options,
    allow: bool,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call(
        "mailwire_client_options_set_allow_plaintext_auth",
        &err,
        || {
            options?.set_allow_plaintext_auth(allow);
            Ok(())
        },
    )
}

/// When TLS is used: one of MAILWIRE_TLS_... MAILWIRE_TLS_AUTO by default.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_tls(
    options: *mut mailwire_client_options,
    policy: mailwire_tls_policy,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call("mailwire_client_options_set_tls", &err, || {
        let name = match policy {
            MAILWIRE_TLS_AUTO => "auto",
            MAILWIRE_TLS_IMPLICIT => "implicit",
            MAILWIRE_TLS_REQUIRED => "required",
            MAILWIRE_TLS_OPPORTUNISTIC => "opportunistic",
            MAILWIRE_TLS_NONE => "none",
            _ => {
                return Err(Failure::Argument(
                    "policy",
                    "is not one of MAILWIRE_TLS_...",
                ));
            }
        };
        options?.set("tls", name)?;
        Ok(())
    })
}

/// A file of root certificates in PEM. The client then trusts these and no others.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
/// MAILWIRE_ERR_MISUSE if another call is using the options; MAILWIRE_ERR_INTERNAL. After a failure the options are as
/// before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_ca_file(
    options: *mut mailwire_client_options,
    path: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, path) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("path", path),
        )
    };
    call("mailwire_client_options_set_ca_file", &err, || {
        options?.set("ca", path.required()?)?;
        Ok(())
    })
}

/// A file in PEM with the client's own certificate and its key, shown where the server asks for one.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_TLS_CONFIGURATION for a file that cannot be used;
/// MAILWIRE_ERR_MISUSE if another call is using the options; MAILWIRE_ERR_INTERNAL. After a failure the options are as
/// before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_set_certificate(
    options: *mut mailwire_client_options,
    path: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, path) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("path", path),
        )
    };
    call("mailwire_client_options_set_certificate", &err, || {
        options?.set("client_cert", path.required()?)?;
        Ok(())
    })
}

/// Dangerous: accepts any certificate from anyone. Whoever stands between can then read the mail and the password, and change both.
/// For a server with a certificate of its own making, use mailwire_client_options_set_ca_file.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_client_options_danger_accept_any_certificate(
    options: *mut mailwire_client_options,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options) = unsafe { (ErrorOut::of(err), handle::exclusive(options)) };
    call(
        "mailwire_client_options_danger_accept_any_certificate",
        &err,
        || {
            options?.set("verify", "false")?;
            Ok(())
        },
    )
}
