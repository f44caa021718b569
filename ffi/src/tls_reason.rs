//! What was wrong with TLS, for those who want to tell their users more than "TLS failed".

use std::error::Error;
use std::ffi::{CStr, c_char};
use std::io;

use mailwire::Status;

use crate::status::mailwire_status;

/// What was wrong with TLS: one of MAILWIRE_TLS_REASON_... Expect values that you do not know.
pub type mailwire_tls_reason = i32;

/// The error is not about TLS.
pub const MAILWIRE_TLS_REASON_NONE: mailwire_tls_reason = 0;
/// The handshake failed, or TLS broke afterwards.
pub const MAILWIRE_TLS_REASON_HANDSHAKE: mailwire_tls_reason = 1;
/// TLS is required and the server does not offer STARTTLS.
pub const MAILWIRE_TLS_REASON_NOT_OFFERED: mailwire_tls_reason = 2;
/// The server offered STARTTLS and then refused it.
pub const MAILWIRE_TLS_REASON_REFUSED: mailwire_tls_reason = 3;
/// The server's certificate has expired.
pub const MAILWIRE_TLS_REASON_EXPIRED: mailwire_tls_reason = 4;
/// The server's certificate is not valid yet.
pub const MAILWIRE_TLS_REASON_NOT_YET_VALID: mailwire_tls_reason = 5;
/// The server's certificate does not lead to a trusted root.
pub const MAILWIRE_TLS_REASON_UNTRUSTED: mailwire_tls_reason = 6;
/// The server's certificate is for another name.
pub const MAILWIRE_TLS_REASON_NAME: mailwire_tls_reason = 7;
/// The server's certificate is wrong in another way: its purpose, signature or form.
pub const MAILWIRE_TLS_REASON_INVALID: mailwire_tls_reason = 8;
/// A certificate, key or root given by the caller cannot be used.
pub const MAILWIRE_TLS_REASON_CONFIGURATION: mailwire_tls_reason = 9;

const REASONS: [(Status, mailwire_tls_reason, &CStr); 9] = [
    (
        Status::Tls,
        MAILWIRE_TLS_REASON_HANDSHAKE,
        c"MAILWIRE_TLS_REASON_HANDSHAKE",
    ),
    (
        Status::TlsNotOffered,
        MAILWIRE_TLS_REASON_NOT_OFFERED,
        c"MAILWIRE_TLS_REASON_NOT_OFFERED",
    ),
    (
        Status::TlsRefused,
        MAILWIRE_TLS_REASON_REFUSED,
        c"MAILWIRE_TLS_REASON_REFUSED",
    ),
    (
        Status::CertificateExpired,
        MAILWIRE_TLS_REASON_EXPIRED,
        c"MAILWIRE_TLS_REASON_EXPIRED",
    ),
    (
        Status::CertificateNotYetValid,
        MAILWIRE_TLS_REASON_NOT_YET_VALID,
        c"MAILWIRE_TLS_REASON_NOT_YET_VALID",
    ),
    (
        Status::CertificateUntrusted,
        MAILWIRE_TLS_REASON_UNTRUSTED,
        c"MAILWIRE_TLS_REASON_UNTRUSTED",
    ),
    (
        Status::CertificateName,
        MAILWIRE_TLS_REASON_NAME,
        c"MAILWIRE_TLS_REASON_NAME",
    ),
    (
        Status::CertificateInvalid,
        MAILWIRE_TLS_REASON_INVALID,
        c"MAILWIRE_TLS_REASON_INVALID",
    ),
    (
        Status::TlsConfiguration,
        MAILWIRE_TLS_REASON_CONFIGURATION,
        c"MAILWIRE_TLS_REASON_CONFIGURATION",
    ),
];

pub(crate) fn of_status(status: mailwire_status) -> mailwire_tls_reason {
    REASONS
        .iter()
        .find(|(of, ..)| of.number() == status)
        .map_or(MAILWIRE_TLS_REASON_NONE, |(_, reason, _)| *reason)
}

pub(crate) fn name(reason: mailwire_tls_reason) -> *const c_char {
    REASONS
        .iter()
        .find(|(_, of, _)| *of == reason)
        .map_or(c"MAILWIRE_TLS_REASON_NONE", |(.., name)| *name)
        .as_ptr()
}

/// The number of the alert that the peer sent, from an error's causes; -1 if there is none.
pub(crate) fn alert(cause: Option<&(dyn Error + 'static)>) -> i32 {
    let mut next = cause;
    while let Some(error) = next {
        // An I/O error does not show what it wraps among its causes.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::AlertReceived(alert)) = wrapped.or(error.downcast_ref()) {
            return u8::from(*alert).into();
        }
        next = error.source();
    }
    -1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_is_found_bare_and_wrapped() {
        let alert_error = || rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
        assert_eq!(alert(Some(&alert_error())), 48);
        let wrapped = io::Error::new(io::ErrorKind::InvalidData, alert_error());
        assert_eq!(alert(Some(&wrapped)), 48);
        assert_eq!(alert(Some(&io::Error::other("no"))), -1);
        assert_eq!(alert(None), -1);
    }
}
