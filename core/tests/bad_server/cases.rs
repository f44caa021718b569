//! All that a server can do with STARTTLS, and what each policy makes of it.

use mailwire::{Phase, Status};

/// What the server does, and what that comes to.
pub(crate) struct Case {
    /// The reply to EHLO in clear.
    pub(crate) hello: &'static str,
    pub(crate) start: Start,
    /// The reply to EHLO under TLS.
    pub(crate) secure_hello: &'static str,
    /// With the policies `required` and `opportunistic`, each without a login and with one. `None`: the message is accepted.
    pub(crate) results: [Option<(Status, Phase)>; 4],
}

/// What comes of STARTTLS.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// Says this, and goes on in clear as if nothing had been.
    Says(&'static str),
    /// Says 220, and goes on in clear where TLS should begin.
    InClear,
    /// Closes, with a reply or without.
    Closes(&'static str),
    /// Says 220, and then nothing.
    Stalls,
    Tls,
    /// TLS with a certificate that nobody trusts.
    Untrusted,
}

const OFFERED: &str = "250-bad.example\n250-STARTTLS\n250-PIPELINING\n250 AUTH PLAIN LOGIN\n";
const STRIPPED: &str = "250-bad.example\n250-XXXXXXXX\n250 AUTH PLAIN LOGIN\n";
const WITH_LOGIN: &str = "250-bad.example\n250-PIPELINING\n250 AUTH PLAIN\n";
const NOT_OFFERED: Option<(Status, Phase)> = Some((Status::TlsNotOffered, Phase::StartTls));
const INSECURE: Option<(Status, Phase)> = Some((Status::AuthInsecure, Phase::Auth));

const fn all(status: Status, phase: Phase) -> [Option<(Status, Phase)>; 4] {
    [Some((status, phase)); 4]
}

const fn case(start: Start, results: [Option<(Status, Phase)>; 4]) -> Case {
    Case {
        hello: OFFERED,
        start,
        secure_hello: WITH_LOGIN,
        results,
    }
}

const fn refused(reply: &'static str) -> Case {
    case(Start::Says(reply), all(Status::TlsRefused, Phase::StartTls))
}

const fn refused_hello(hello: &'static str) -> Case {
    let hello_refused = Some((Status::Permanent, Phase::Hello));
    Case {
        hello,
        ..case(
            Start::Tls,
            [hello_refused, hello_refused, None, hello_refused],
        )
    }
}

const fn under_tls(secure_hello: &'static str, results: [Option<(Status, Phase)>; 4]) -> Case {
    Case {
        secure_hello,
        ..case(Start::Tls, results)
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let with_login = |fault| [None, Some(fault), None, Some(fault)];
    let hello_refused = Some((Status::Permanent, Phase::Hello));
    vec![
        // The good one, which proves that the others fail for their own reasons.
        case(Start::Tls, [None; 4]),
        // Stripped, or never there.
        Case {
            hello: STRIPPED,
            ..case(Start::Tls, [NOT_OFFERED, NOT_OFFERED, None, INSECURE])
        },
        // EHLO refused so that only HELO is left, in which there is no STARTTLS.
        refused_hello("500 5.5.1 what\n"),
        refused_hello("502 5.5.1 what\n"),
        refused_hello("504 5.5.1 what\n"),
        refused_hello("550 5.7.1 no\n"),
        // Offered and refused.
        refused("454 4.7.0 not now\n"),
        refused("500 5.5.1 what\n"),
        refused("501 5.5.4 what\n"),
        refused("502 5.5.1 what\n"),
        refused("503 5.5.1 no\n"),
        refused("530 5.7.0 no\n"),
        refused("554 5.7.1 no\n"),
        case(
            Start::Says("421 4.3.2 going down\n"),
            all(Status::Transient, Phase::StartTls),
        ),
        // What is no refusal and starts no TLS either.
        case(
            Start::Says("250 ok\n"),
            all(Status::Protocol, Phase::StartTls),
        ),
        case(
            Start::Says("354 go on\n"),
            all(Status::Protocol, Phase::StartTls),
        ),
        // Injected behind the 220, whole and in part.
        case(
            Start::Says("220 go\n250-bad.example\n250 AUTH PLAIN\n"),
            all(Status::Protocol, Phase::StartTls),
        ),
        case(
            Start::Says("220 go\n2"),
            all(Status::Protocol, Phase::StartTls),
        ),
        case(Start::InClear, all(Status::Tls, Phase::Tls)),
        case(
            Start::Closes(""),
            all(Status::ConnectionLost, Phase::StartTls),
        ),
        case(
            Start::Closes("220 go\n"),
            all(Status::ConnectionLost, Phase::Tls),
        ),
        case(Start::Stalls, all(Status::Timeout, Phase::Tls)),
        case(
            Start::Untrusted,
            all(Status::CertificateInvalid, Phase::Tls),
        ),
        // What was offered in clear does not hold under TLS.
        under_tls(
            "250 bad.example\n",
            with_login((Status::AuthNotOffered, Phase::Auth)),
        ),
        under_tls(
            "250-bad.example\n250 AUTH GSSAPI\n",
            with_login((Status::AuthMechanism, Phase::Auth)),
        ),
        under_tls(
            "250-bad.example\n250-STARTTLS\n250-SIZE 9\n250 AUTH PLAIN\n",
            all(Status::TooLarge, Phase::Mail),
        ),
        under_tls(
            "502 5.5.1 what\n",
            [hello_refused, hello_refused, None, hello_refused],
        ),
    ]
}
