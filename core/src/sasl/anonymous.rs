//! ANONYMOUS (RFC 4505): no proof, but perhaps a word on who it is, for the server's log.

use stringprep::tables;

use super::exchange::{ClientMechanism, ServerMechanism, Step};
use super::{Credentials, Mechanism, SaslError, Secret};

/// The most characters of a trace (section 2).
const LONGEST: usize = 255;

/// Whether a text can be a trace: the prohibitions of the profile of stringprep in section 3, which maps and normalises nothing.
pub(super) fn is_trace(text: &str) -> bool {
    let prohibited = |c| {
        tables::ascii_control_character(c)
            || tables::non_ascii_control_character(c)
            || tables::private_use(c)
            || tables::non_character_code_point(c)
            || tables::surrogate_code(c)
            || tables::inappropriate_for_plain_text(c)
            || tables::change_display_properties_or_deprecated(c)
            || tables::tagging_character(c)
    };
    text.chars().count() <= LONGEST && !text.contains(prohibited)
}

/// The client's side: one message, once.
pub(super) struct Client(Option<Secret>);

impl Client {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self(Some(Secret::new(credentials.username())))
    }
}

impl ClientMechanism for Client {
    fn name(&self) -> &str {
        Mechanism::Anonymous.name()
    }

    fn initial_response(&mut self) -> Option<Secret> {
        self.0.take()
    }

    fn respond(&mut self, _: &[u8]) -> Result<Secret, SaslError> {
        self.0.take().ok_or(SaslError::UnexpectedChallenge)
    }

    fn is_complete(&self) -> bool {
        self.0.is_none()
    }
}

/// The server's side: one message, once.
#[derive(Default)]
pub(super) struct Server {
    over: bool,
}

impl ServerMechanism for Server {
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        if std::mem::replace(&mut self.over, true) {
            return Err(SaslError::UnexpectedResponse);
        }
        let trace = str::from_utf8(response)
            .map_err(|_| SaslError::Malformed("ANONYMOUS takes UTF-8 only"))?;
        Ok(Step::Credentials(Credentials::anonymous(trace)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{InvalidCredentials, Proof};

    #[test]
    fn rfc_4505_section_4_examples() {
        for trace in ["sirhc", "", "anonymous@example.com"] {
            let mut client = Client::new(&Credentials::anonymous(trace).unwrap());
            let message = client.initial_response().unwrap();
            assert_eq!(message.expose(), trace.as_bytes());
            assert!(client.is_complete());
            let mut server = Server::default();
            let Ok(Step::Credentials(got)) = server.step(message.expose()) else {
                panic!("no credentials")
            };
            assert_eq!((got.proof(), got.username()), (Proof::Nothing, trace));
            assert!(server.step(b"").is_err());
        }
    }

    #[test]
    fn a_trace_is_short_and_printable() {
        let longest = "ä".repeat(255);
        assert!(Credentials::anonymous(longest.as_str()).is_ok());
        for trace in [
            longest + "a",
            "a\r\nb".into(),
            "\0".into(),
            "\u{202E}".into(),
            "\u{85}".into(),
            "\u{E000}".into(),
            "\u{FDD0}".into(),
            "\u{FFFD}".into(),
            "\u{E0020}".into(),
        ] {
            let refused = Credentials::anonymous(trace.as_str()).err();
            assert_eq!(refused, Some(InvalidCredentials::Trace), "{trace:?}");
            assert!(Server::default().step(trace.as_bytes()).is_err());
        }
        assert!(Server::default().step(b"\xff").is_err());
    }
}
