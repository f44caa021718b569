//! The server's side of SCRAM.

use std::mem;

use super::message::{BindingFlag, ClientFinal, ClientFirst};
use super::{Decoy, ScramHash, ScramKeys};
use crate::sasl::context::Binding;
use crate::sasl::exchange::{Found, Lookup, ServerMechanism, Step, Wanted};
use crate::sasl::names::{prepared_identity, prepared_name};
use crate::sasl::{Identity, Mechanism, SaslError, Secret, ServerContext, base64};

/// The server's side: it checks the client's proof against stored keys, and proves that it has them.
pub(in crate::sasl) struct Server {
    mechanism: Mechanism,
    hash: ScramHash,
    nonce: String,
    binding: Option<Binding>,
    offers_binding: bool,
    state: State,
}

enum State {
    /// `client-first-message` is awaited.
    Start,
    /// The user's keys are looked up.
    LookedUp(First),
    /// `client-final-message` is awaited.
    Final(Box<Final>),
    /// The client's empty answer to `server-final-message` is awaited.
    Proven(Identity),
    Over,
}

/// What is remembered of `client-first-message`.
struct First {
    header: String,
    bare: String,
    nonce: String,
    identity: Identity,
}

struct Final {
    first: First,
    /// The client's nonce and ours.
    nonce: String,
    server_first: String,
    keys: ScramKeys,
    /// Whether they are a user's.
    genuine: bool,
}

impl Server {
    pub(in crate::sasl) fn new(
        mechanism: Mechanism,
        hash: ScramHash,
        context: &ServerContext,
    ) -> Result<Self, SaslError> {
        let nonce = context
            .nonce
            .as_ref()
            .ok_or(SaslError::Missing("a nonce"))?;
        Ok(Self {
            mechanism,
            hash,
            nonce: nonce.as_str().to_owned(),
            binding: context.binding,
            offers_binding: context.offers_binding,
            state: State::Start,
        })
    }

    fn hear(&mut self, message: &[u8]) -> Result<Step, SaslError> {
        let first = ClientFirst::read(message)?;
        match (first.flag, self.mechanism.is_bound_to_tls()) {
            (BindingFlag::Used("tls-exporter"), true) if self.binding.is_some() => {}
            // RFC 9266 section 3: no other binding is safe under TLS 1.3.
            (BindingFlag::Used(_), _) => {
                return Err(SaslError::Rejected("this channel binding is not offered"));
            }
            (_, true) => return Err(SaslError::Rejected("the channel binding is missing")),
            // RFC 5802 section 6: the client saw no -PLUS where one is offered, so somebody took it from the list.
            (BindingFlag::NotOffered, false) if self.offers_binding => {
                return Err(SaslError::Rejected(
                    "the list of mechanisms was changed on the way",
                ));
            }
            (BindingFlag::NotOffered | BindingFlag::No, false) => {}
        }
        let username = prepared_name(&first.username)?;
        let authorization_identity = prepared_identity(first.authorization_identity.as_deref())?;
        let lookup = Lookup::new(
            Wanted::Keys(self.hash),
            username.clone(),
            authorization_identity.clone(),
        );
        self.state = State::LookedUp(First {
            header: first.header.to_owned(),
            bare: first.bare.to_owned(),
            nonce: first.nonce.to_owned(),
            identity: Identity::new(username, authorization_identity),
        });
        Ok(Step::Lookup(lookup))
    }

    fn check(&self, last: Final, message: &[u8]) -> Result<(Identity, Secret), SaslError> {
        let wrong = SaslError::Rejected("the proof is wrong");
        let given = ClientFinal::read(message)?;
        let binding = match (self.mechanism.is_bound_to_tls(), &self.binding) {
            (true, Some(binding)) => &binding.0[..],
            _ => &[],
        };
        let expected = Secret::concat(&[last.first.header.as_bytes(), binding]);
        // Section 7: all of these hold before the proof counts.
        if !given.binding.same_as(expected.expose()) || given.nonce != last.nonce {
            return Err(wrong);
        }
        let hash = self.hash;
        let auth_message: &[&[u8]] = &[
            last.first.bare.as_bytes(),
            b",",
            last.server_first.as_bytes(),
            b",",
            given.without_proof.as_bytes(),
        ];
        let client_signature = hash.hmac(last.keys.stored_key().expose(), auth_message);
        if given.proof.expose().len() != hash.octets() {
            return Err(wrong);
        }
        let client_key = super::hash::xor(&given.proof, client_signature.expose());
        let proven = hash
            .hash(client_key.expose())
            .same_as(last.keys.stored_key().expose());
        if !(proven & last.genuine) {
            return Err(wrong);
        }
        let server_signature = hash.hmac(last.keys.server_key().expose(), auth_message);
        let v = base64::encode(server_signature.expose());
        Ok((last.first.identity, Secret::concat(&[b"v=", v.expose()])))
    }
}

impl ServerMechanism for Server {
    fn step(&mut self, response: &[u8]) -> Result<Step, SaslError> {
        match mem::replace(&mut self.state, State::Over) {
            State::Start => self.hear(response),
            State::Final(last) => {
                let (identity, server_final) = self.check(*last, response)?;
                self.state = State::Proven(identity);
                Ok(Step::Challenge(server_final))
            }
            State::Proven(identity) if response.is_empty() => Ok(Step::Proven(identity)),
            State::Proven(_) => Err(SaslError::Malformed("the last response is not empty")),
            State::LookedUp(_) | State::Over => Err(SaslError::UnexpectedResponse),
        }
    }

    fn found(&mut self, found: Found, decoy: &Decoy) -> Result<Step, SaslError> {
        let State::LookedUp(first) = mem::replace(&mut self.state, State::Over) else {
            return Err(SaslError::UnexpectedResponse);
        };
        let (keys, genuine) = decoy.keys(found, self.hash, first.identity.username());
        let nonce = format!("{}{}", first.nonce, self.nonce);
        let salt = base64::encode(keys.salt());
        let salt = String::from_utf8_lossy(salt.expose());
        let server_first = format!("r={nonce},s={salt},i={}", keys.iterations());
        let challenge = Secret::new(server_first.as_str());
        self.state = State::Final(Box::new(Final {
            first,
            nonce,
            server_first,
            keys,
            genuine,
        }));
        Ok(Step::Challenge(challenge))
    }
}
