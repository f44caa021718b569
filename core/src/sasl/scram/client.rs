//! The client's side of SCRAM.

use std::mem;
use std::sync::Arc;

use super::message::{ServerFirst, read_server_final, write_name};
use super::{LEAST_ITERATIONS, MOST_ITERATIONS, ScramHash};
use crate::sasl::exchange::ClientMechanism;
use crate::sasl::salted::Salted;
use crate::sasl::{
    ChannelBinding, ClientContext, Credentials, InvalidCredentials, Mechanism, SaslError, Secret,
    base64,
};

/// The client's side: it proves the password, and is not content before the server has proven it too.
pub(in crate::sasl) struct Client {
    mechanism: Mechanism,
    hash: ScramHash,
    /// The gs2-header (RFC 5801 section 4), and the octets that bind to TLS.
    header: String,
    binding: Vec<u8>,
    bare: String,
    nonce: String,
    password: Secret,
    salted: Arc<Salted>,
    state: State,
}

enum State {
    /// Nothing was said.
    Start,
    /// `server-first-message` is awaited.
    First,
    /// `server-final-message` is awaited, with this signature.
    Final(Secret),
    /// The server has proven itself.
    Proven,
    Failed,
}

impl Client {
    pub(in crate::sasl) fn new(
        mechanism: Mechanism,
        hash: ScramHash,
        credentials: &Credentials,
        context: &ClientContext,
    ) -> Result<Self, SaslError> {
        let (username, password) = credentials
            .prepared()
            .ok_or(InvalidCredentials::UnpreparedPassword)?;
        let nonce = context
            .nonce
            .as_ref()
            .ok_or(SaslError::Missing("a nonce"))?;
        // RFC 5802 section 6: what is said here is under the proof, so that nobody on the way can take the stronger mechanism
        // from the server's list unseen.
        let (flag, binding) = match (mechanism.is_bound_to_tls(), &context.binding) {
            (true, ChannelBinding::Exporter(octets)) => ("p=tls-exporter", octets.to_vec()),
            (true, _) => {
                return Err(SaslError::Missing(
                    "a TLS connection that it can be bound to",
                ));
            }
            (false, ChannelBinding::NotOffered) => ("y", Vec::new()),
            (false, ChannelBinding::Exporter(_) | ChannelBinding::Impossible) => ("n", Vec::new()),
        };
        let header = match credentials.authorization_identity() {
            Some(identity) => format!("{flag},a={},", write_name(identity)),
            None => format!("{flag},,"),
        };
        Ok(Self {
            mechanism,
            hash,
            header,
            binding,
            bare: format!("n={},r={}", write_name(&username), nonce.as_str()),
            nonce: nonce.as_str().to_owned(),
            password,
            salted: Arc::clone(credentials.salted()),
            state: State::Start,
        })
    }

    fn prove(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        let first = read_server_first(challenge)?;
        // Section 5.1: the server's nonce is ours and more, so that the exchange is not an old one.
        if !first.nonce.starts_with(&self.nonce) || first.nonce.len() == self.nonce.len() {
            return Err(SaslError::Rejected(
                "the server's nonce does not extend the client's",
            ));
        }
        let hash = self.hash;
        let salted = self
            .salted
            .password(&self.password, hash, &first.salt, first.iterations);
        let c = base64::encode(Secret::concat(&[self.header.as_bytes(), &self.binding]).expose());
        let without_proof = [b"c=", c.expose(), b",r=", first.nonce.as_bytes()].concat();
        let auth_message: &[&[u8]] = &[self.bare.as_bytes(), b",", challenge, b",", &without_proof];
        let client_key = hash.client_key(&salted);
        let stored_key = hash.hash(client_key.expose());
        let client_signature = hash.hmac(stored_key.expose(), auth_message);
        let proof =
            base64::encode(super::hash::xor(&client_key, client_signature.expose()).expose());
        let server_key = hash.server_key(&salted);
        self.state = State::Final(hash.hmac(server_key.expose(), auth_message));
        Ok(Secret::concat(&[&without_proof, b",p=", proof.expose()]))
    }
}

/// `server-first-message`, with a number of iterations that a client does.
fn read_server_first(challenge: &[u8]) -> Result<ServerFirst<'_>, SaslError> {
    let first = ServerFirst::read(challenge)?;
    if first.iterations < LEAST_ITERATIONS {
        return Err(SaslError::Rejected(
            "the server asks for fewer than 4096 iterations, which would give the password away",
        ));
    }
    if first.iterations > MOST_ITERATIONS {
        return Err(SaslError::Rejected(
            "the server asks for more iterations than are done for anybody",
        ));
    }
    Ok(first)
}

/// What takes long of the answer to this challenge, to be done ahead of it on any thread: the credentials remember the outcome. `None`
/// if there is nothing to do.
#[cfg_attr(
    not(feature = "io"),
    allow(dead_code, reason = "the client with I/O asks for it")
)]
pub(in crate::sasl) fn salting(
    credentials: &Credentials,
    hash: ScramHash,
    challenge: &[u8],
) -> Option<impl FnOnce() + Send + use<>> {
    let ServerFirst {
        salt, iterations, ..
    } = read_server_first(challenge).ok()?;
    let salted = Arc::clone(credentials.salted());
    if salted.has(hash, &salt, iterations) {
        return None;
    }
    let (_, password) = credentials.prepared()?;
    Some(move || drop(salted.password(&password, hash, &salt, iterations)))
}

impl ClientMechanism for Client {
    fn name(&self) -> &str {
        self.mechanism.name()
    }

    fn initial_response(&mut self) -> Option<Secret> {
        if !matches!(self.state, State::Start) {
            return None;
        }
        self.state = State::First;
        Some(Secret::concat(&[
            self.header.as_bytes(),
            self.bare.as_bytes(),
        ]))
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Secret, SaslError> {
        match mem::replace(&mut self.state, State::Failed) {
            State::Start => {
                self.state = State::Start;
                self.initial_response()
                    .ok_or(SaslError::UnexpectedChallenge)
            }
            State::First => self.prove(challenge),
            State::Final(expected) => {
                let signature = read_server_final(challenge)?;
                if !signature.same_as(expected.expose()) {
                    return Err(SaslError::Rejected(
                        "the server does not know the password: it is not the one it claims to be",
                    ));
                }
                self.state = State::Proven;
                Ok(Secret::new([]))
            }
            State::Proven | State::Failed => Err(SaslError::UnexpectedChallenge),
        }
    }

    fn is_complete(&self) -> bool {
        matches!(self.state, State::Proven)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterations_are_done_within_limits() {
        for (iterations, done) in [
            (LEAST_ITERATIONS - 1, false),
            (LEAST_ITERATIONS, true),
            (MOST_ITERATIONS, true),
            (MOST_ITERATIONS + 1, false),
        ] {
            let challenge = format!("r=abc,s=c2FsdA==,i={iterations}");
            let read = read_server_first(challenge.as_bytes());
            assert_eq!(read.is_ok(), done, "{iterations}");
        }
    }
}
