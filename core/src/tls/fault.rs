//! What a failed handshake means, in words for people who never read a TLS standard.

use std::error::Error as StdError;
use std::io;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

use super::pin::WrongKey;
use super::self_signed::SelfSigned;
use crate::error::{Error, Phase, Status};

/// How TLS began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// From the first byte.
    Implicit,
    /// After STARTTLS was accepted.
    StartTls,
}

/// A client's handshake with `name` failed.
pub(crate) fn client_fault(error: io::Error, name: &ServerName<'_>, start: Start) -> Error {
    let (status, text) = match rustls_error(&error) {
        Some(rustls::Error::InvalidCertificate(why)) => certificate_fault(why, name),
        Some(rustls::Error::InvalidMessage(why)) if is_not_tls(*why) => (
            Status::Tls,
            match start {
                Start::Implicit => "the server does not speak TLS on this port: use tls=required for STARTTLS, or another port (465 is usual)",
                Start::StartTls => "what the server sent after its reply to STARTTLS is not TLS",
            }
            .to_owned(),
        ),
        Some(rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )) => (
            Status::Tls,
            "the server speaks only versions of TLS older than 1.2, which are no longer safe: it must be brought up to date"
                .to_owned(),
        ),
        Some(other) => (Status::Tls, session_fault(other, "server")),
        None => {
            let (status, text) = broken(&error, "server");
            let hint = match (status, start) {
                (Status::ConnectionLost, Start::Implicit) => {
                    ": it may not speak TLS on this port (STARTTLS is tls=required), or not serve this host; else try again later"
                }
                (Status::ConnectionLost, Start::StartTls) => {
                    ": TLS may not be set up there, which its operator has to mend; else try again later"
                }
                _ => "",
            };
            (status, format!("{text}{hint}"))
        }
    };
    Error::new(status, text).at(Phase::Tls).with_source(error)
}

/// A server's handshake with a client failed.
pub(crate) fn server_fault(error: io::Error) -> Error {
    let (status, text) = match rustls_error(&error) {
        Some(rustls::Error::InvalidCertificate(why)) => {
            (Status::CertificateInvalid, client_certificate_fault(why))
        }
        Some(rustls::Error::InvalidMessage(why)) if is_not_tls(*why) => {
            (Status::Tls, "the client does not speak TLS here".to_owned())
        }
        Some(other) => (Status::Tls, session_fault(other, "client")),
        None => broken(&error, "client"),
    };
    Error::new(status, text).at(Phase::Tls).with_source(error)
}

/// The TLS library's own error, where `error` carries one.
pub(crate) fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What went wrong between us and a `peer` ("server" or "client"), whose certificate is not the reason.
pub(crate) fn session_fault(error: &rustls::Error, peer: &str) -> String {
    match error {
        rustls::Error::AlertReceived(alert) => alert_fault(*alert, peer),
        rustls::Error::PeerIncompatible(why) => {
            format!("the {peer} and we have no way of encryption in common ({why:?})")
        }
        rustls::Error::DecryptError => {
            format!("what came from the {peer} was changed on its way, or is damaged")
        }
        rustls::Error::NoCertificatesPresented => format!("the {peer} shows no certificate"),
        rustls::Error::FailedToGetCurrentTime => "this machine's clock cannot be read".to_owned(),
        other => format!("the {peer} broke the rules of TLS: {other}"),
    }
}

/// The peer went away instead of finishing the handshake, or the network failed.
fn broken(error: &io::Error, peer: &str) -> (Status, String) {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => (
            Status::ConnectionLost,
            format!("the {peer} closed the connection in the middle of the TLS handshake"),
        ),
        _ => (Status::Io, format!("the connection failed: {error}")),
    }
}

/// Whether bytes of this kind come from a program that does not speak TLS at all, as an SMTP greeting does.
fn is_not_tls(why: InvalidMessage) -> bool {
    matches!(
        why,
        InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload
    )
}

fn certificate_fault(why: &CertificateError, name: &ServerName<'_>) -> (Status, String) {
    let wanted = name.to_str();
    match why {
        CertificateError::Expired => (
            Status::CertificateExpired,
            "the server's certificate has expired: its operator must renew it".to_owned(),
        ),
        CertificateError::ExpiredContext { not_after, .. } => (
            Status::CertificateExpired,
            format!(
                "the server's certificate expired on {}: its operator must renew it (or this machine's clock is wrong)",
                date(*not_after)
            ),
        ),
        CertificateError::NotValidYet => (
            Status::CertificateNotYetValid,
            "the server's certificate is not valid yet: is this machine's clock right?".to_owned(),
        ),
        CertificateError::NotValidYetContext { not_before, .. } => (
            Status::CertificateNotYetValid,
            format!(
                "the server's certificate is valid only from {} on: is this machine's clock right?",
                date(*not_before)
            ),
        ),
        CertificateError::UnknownIssuer => (
            Status::CertificateUntrusted,
            "the server's certificate leads to no trusted root: if you know its authority, give the CA's file with ca=/…"
                .to_owned(),
        ),
        CertificateError::NotValidForName => (
            Status::CertificateName,
            format!(
                "the server's certificate is not for {wanted}: connect by a name it is for, or say with tls_name which one you mean"
            ),
        ),
        CertificateError::NotValidForNameContext { presented, .. } => {
            (Status::CertificateName, wrong_name(&wanted, presented))
        }
        other if cause_of::<SelfSigned>(other).is_some() => (
            Status::CertificateUntrusted,
            "the server's certificate is self-signed, so nobody vouches for it: if you know it to be the server's, give its file with \
             ca=/… or its key with pin"
                .to_owned(),
        ),
        other => match cause_of(other) {
            Some(WrongKey { seen }) => (
                Status::CertificateUntrusted,
                format!(
                    "the server's key {seen} is none that was given with pin: if its operator has changed the key, ask for the new \
                     one's pin; if not, someone stands in between"
                ),
            ),
            None => (Status::CertificateInvalid, invalid(other)),
        },
    }
}

/// A cause that our own verifiers have found.
fn cause_of<T: StdError + 'static>(why: &CertificateError) -> Option<&T> {
    match why {
        CertificateError::Other(other) => other.0.downcast_ref(),
        _ => None,
    }
}

/// A certificate for other names. `presented` comes from the peer: it is shown escaped, and not all of a long list.
fn wrong_name(wanted: &str, presented: &[String]) -> String {
    const SHOWN: usize = 5;
    if presented.is_empty() {
        return format!(
            "the server's certificate has no subjectAltName, and a name in its subject (CN) does not count: \
             its operator must renew it for {wanted}"
        );
    }
    let mut names = presented
        .iter()
        .take(SHOWN)
        .map(|name| bare_name(name))
        .collect::<Vec<_>>()
        .join(", ");
    if presented.len() > SHOWN {
        names.push_str(", …");
    }
    format!(
        "the server's certificate is for {names}, not for {wanted}: connect by a name it is for, or say with tls_name which one you mean"
    )
}

/// A name without the words that say of which kind it is: `DnsName("a.example")`, `IpAddress(192.0.2.1)`.
fn bare_name(shown: &str) -> String {
    let inside = shown
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or(shown);
    inside.trim_matches('"').escape_debug().to_string()
}

fn invalid(why: &CertificateError) -> String {
    let what = match why {
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            return wrong_purpose();
        }
        CertificateError::Revoked => "was revoked by its authority",
        CertificateError::BadSignature => {
            "is not signed by the authority that it names, or its server does not hold its key"
        }
        CertificateError::BadEncoding => "is damaged: it cannot be read",
        CertificateError::UnhandledCriticalExtension => {
            "has a critical extension that is not understood here"
        }
        CertificateError::Other(other) => return other_fault(other.0.as_ref()),
        other => return format!("the server's certificate cannot be accepted: {other}"),
    };
    format!("the server's certificate {what}: its operator must replace it")
}

fn wrong_purpose() -> String {
    "the server's certificate was made for another purpose than a server (extended key usage lacks serverAuth): its operator must \
     replace it"
        .to_owned()
}

/// Reasons that have no name of their own in rustls. Their types are of crates that are none of ours: only their words are known.
fn other_fault(why: &(dyn StdError + Send + Sync + 'static)) -> String {
    let words = why.to_string();
    if words.contains("CaUsedAsEndEntity") {
        return "the server shows a certificate authority's own certificate (CA:TRUE), as `openssl req -x509` makes it: \
                it needs one of its own, without CA:TRUE"
            .to_owned();
    }
    if words.contains("EKU") || words.contains("extended key usage") {
        return wrong_purpose();
    }
    format!("the server's certificate cannot be accepted: {words}")
}

fn client_certificate_fault(why: &CertificateError) -> String {
    let what = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet"
        }
        CertificateError::UnknownIssuer => "leads to none of the roots for clients",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "was made for another purpose than a client (extended key usage lacks clientAuth)"
        }
        other => return format!("the client's certificate cannot be accepted: {other}"),
    };
    format!("the client's certificate {what}")
}

/// An alert (RFC 8446 section 6): the peer says what it does not like.
fn alert_fault(alert: AlertDescription, peer: &str) -> String {
    let what = match alert {
        AlertDescription::CertificateRequired => "it wants a certificate and none was shown",
        AlertDescription::UnknownCA => "it does not trust the authority of our certificate",
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => "it does not accept our certificate",
        AlertDescription::CertificateExpired => "our certificate has expired",
        AlertDescription::CertificateRevoked => "our certificate was revoked",
        AlertDescription::AccessDenied => "it does not let the owner of our certificate in",
        AlertDescription::UnrecognisedName => "it does not know the host name that was asked for",
        AlertDescription::ProtocolVersion => "it has no version of TLS in common with us",
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "it has no way of encryption in common with us"
        }
        AlertDescription::InternalError => "something failed on its side",
        _ => return format!("the {peer} ended TLS with the alert {alert:?}"),
    };
    format!("the {peer} ended TLS with the alert {alert:?}: {what}")
}

/// A day as `2026-11-23`, in UTC. By Howard Hinnant's way of counting from the first of March, where leap days come last.
fn date(time: UnixTime) -> String {
    let days = time.as_secs() / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_709_164_800, "2024-02-29"),
            (4_107_542_400, "2100-03-01"),
            (4_107_542_399, "2100-02-28"),
        ] {
            assert_eq!(
                date(UnixTime::since_unix_epoch(Duration::from_secs(seconds))),
                expected
            );
        }
    }

    #[test]
    fn names_from_a_certificate_cannot_break_the_line() {
        let text = wrong_name("a.example", &["DnsName(\"x\r\n220 y\")".to_owned()]);
        assert!(text.contains(r"x\r\n220 y"), "{text}");
        assert!(!text.contains('\n'));
    }

    #[test]
    fn a_long_list_of_names_is_cut() {
        let names: Vec<String> = (0..9)
            .map(|n| format!("DnsName(\"n{n}.example\")"))
            .collect();
        let text = wrong_name("a.example", &names);
        assert!(text.contains("n4.example, …"), "{text}");
        assert!(!text.contains("n5.example"));
    }
}
