//! One AUTH exchange on a connection (RFC 4954 section 4): base64 lines around a SASL mechanism.

use super::outbox::Outbox;
use super::{Answers, Connection, Event};
use crate::proto::mask::Mask;
use crate::proto::{Reply, Violation, limits};
use crate::sasl::{ClientExchange, MAX_RESPONSE, SaslError, Secret, base64};

/// RFC 4954 section 4: with a longer line the initial response has to wait until the server asks for it. CRLF counts.
const COMMAND_LINE: usize = 512;

#[derive(Debug)]
pub(super) struct Authentication {
    exchange: ClientExchange,
    /// An initial response that was too long for the command.
    held: Option<Secret>,
    /// Challenges so far.
    steps: usize,
    /// Why `*` was sent.
    cancelled: Option<SaslError>,
}

impl Authentication {
    /// Queues the AUTH command.
    pub(super) fn begin(
        mut exchange: ClientExchange,
        outbox: &mut Outbox,
        mask: &mut Mask,
    ) -> Self {
        let verb = b"AUTH ";
        let name = exchange.name().to_owned();
        let name = name.as_bytes();
        let initial = exchange.initial_response();
        let held = match initial {
            None => {
                outbox.push_secret(&[verb, name], &[]);
                None
            }
            Some(initial) => {
                hide_response(&exchange, &initial, mask);
                let text = base64::encode_initial_response(initial.expose());
                if verb.len() + name.len() + 1 + text.expose().len() + 2 <= COMMAND_LINE {
                    outbox.push_secret(&[verb, name, b" "], text.expose());
                    None
                } else {
                    outbox.push_secret(&[verb, name], &[]);
                    Some(initial)
                }
            }
        };
        Self {
            exchange,
            held,
            steps: 0,
            cancelled: None,
        }
    }

    /// The response to a 334. The error says why the exchange cannot go on.
    fn respond(&mut self, challenge: &Reply) -> Result<Secret, SaslError> {
        self.steps += 1;
        if self.steps > limits::AUTH_STEPS {
            return Err(SaslError::UnexpectedChallenge);
        }
        let challenge = base64::decode(challenge.text().trim().as_bytes())?;
        let response = match self.held.take() {
            Some(held) => held,
            None => self.exchange.respond(challenge.expose())?,
        };
        // A server would cut it off, or close.
        if response.expose().len() > MAX_RESPONSE {
            return Err(SaslError::TooLong);
        }
        Ok(response)
    }

    /// Whether a success is to be believed: nobody cancelled, and the mechanism has come to its end.
    fn is_satisfied(&self) -> bool {
        self.cancelled.is_none() && self.held.is_none() && self.exchange.is_complete()
    }

    /// What is known about a failure besides the reply.
    fn failure(&self) -> Option<&SaslError> {
        self.cancelled.as_ref().or(self.exchange.failure())
    }
}

/// Keeps what is said in an exchange from being shown, should the server say it back: a proof can be tried against passwords. These
/// mechanisms say names, or the password by itself, which the driver has told.
fn hide_response(exchange: &ClientExchange, response: &Secret, mask: &mut Mask) {
    if !matches!(exchange.name(), "LOGIN" | "EXTERNAL" | "ANONYMOUS") {
        mask.add(response.expose());
        // Should the server encode the line as it has heard it.
        mask.add(base64::encode(response.expose()).expose());
    }
}

impl Connection {
    /// A reply to AUTH or to one of the lines that follow it.
    pub(super) fn take_auth_reply(
        &mut self,
        said: &Reply,
        reply: Reply,
    ) -> Result<Option<Event>, Violation> {
        let wrong = |reply| {
            Err(Violation::WrongReply {
                command: Answers::Auth.name(),
                reply,
            })
        };
        let Some(authentication) = &mut self.authentication else {
            return wrong(reply);
        };
        if reply.code() == 334 && authentication.cancelled.is_none() {
            match authentication.respond(said) {
                Ok(response) => {
                    hide_response(&authentication.exchange, &response, &mut self.mask);
                    let text = base64::encode(response.expose());
                    self.outbox.push_secret(&[], text.expose());
                }
                Err(error) => {
                    // RFC 4954 section 4: a lone asterisk cancels; the server answers 501.
                    authentication.cancelled = Some(error);
                    self.outbox.push(b"*\r\n");
                }
            }
            self.expect(Answers::Auth);
            return Ok(None);
        }
        let failure = authentication.failure().cloned();
        self.auth_failure = failure.map(|failure| match failure {
            SaslError::Server(said) => SaslError::Server(self.mask.hide(&said).into_owned()),
            other => other,
        });
        // RFC 4954 section 6: 235 alone says that the login succeeded.
        let is_believed = reply.code() == 235 && authentication.is_satisfied();
        if reply.is_intermediate() || (reply.is_positive() && !is_believed) {
            return wrong(reply);
        }
        self.authenticated = reply.is_positive();
        self.authentication = None;
        Ok(Some(Event::Auth(reply)))
    }
}
