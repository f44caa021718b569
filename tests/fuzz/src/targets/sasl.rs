//! SASL on both sides, and the base64 that carries it.

use mailwire::sasl::{
    self, ChannelBinding, ClientContext, ClientExchange, Credentials, Decoy, Found, MAX_RESPONSE,
    Mechanism, Nonce, SaslError, ScramHash, Secret, ServerContext, ServerExchange, Step,
};

/// More than any mechanism needs.
const STEPS: usize = 8;

fn mechanism(first: u8) -> Mechanism {
    Mechanism::ALL[usize::from(first) % Mechanism::ALL.len()]
}

/// The first octet chooses the mechanism; the rest are a client's responses, each a line. Users with an `a` in their name are
/// found.
pub(crate) fn server(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let context = ServerContext::default()
        .with_nonce(Nonce::new([0; 18]))
        .with_channel_binding(Some([0; 32]), *first >= 128)
        .with_certificate(Some(vec![0]));
    let Ok(mut exchange) = ServerExchange::new(mechanism(*first), &context) else {
        panic!("the context has all that a mechanism needs")
    };
    let mut challenges = 0;
    for response in rest.split(|octet| *octet == b'\n') {
        let mut step = exchange.step(response);
        if let Ok(Step::Lookup(lookup)) = &step {
            assert!(!lookup.username().contains(['\0', '\r', '\n']));
            let found = if lookup.username().contains('a') {
                Found::Password(Secret::new("hunter2"))
            } else {
                Found::Nobody
            };
            step = exchange.found(found, &decoy());
        }
        match step {
            Ok(Step::Challenge(challenge)) => {
                challenges += 1;
                assert!(challenges <= STEPS, "an exchange ends");
                assert!(challenge.expose().len() <= 2 * MAX_RESPONSE);
            }
            Ok(Step::Credentials(credentials)) => {
                assert!(!credentials.username().contains(['\0', '\r', '\n']));
                assert!(exchange.step(b"").is_err(), "it is over");
                return;
            }
            Ok(Step::Lookup(_)) => panic!("nobody is looked up twice"),
            Ok(Step::Proven(_)) => panic!("nobody knows the password"),
            Err(error) => {
                assert!(!error.to_string().chars().any(char::is_control));
                return;
            }
        }
    }
}

/// One that makes short work of it: an exchange of many rounds finds no more faults.
fn decoy() -> Decoy {
    ScramHash::ALL
        .into_iter()
        .fold(Decoy::new([0; 32]), |decoy, hash| {
            decoy.clone().with_iterations(hash, 1).unwrap_or(decoy)
        })
}

/// Credentials of the kind that the mechanism takes.
fn credentials(mechanism: Mechanism) -> Option<Credentials> {
    let kinds = [
        Credentials::new("user", "hunter2"),
        Credentials::with_token("user", "hunter2"),
        Credentials::anonymous("user"),
        Ok(Credentials::with_certificate()),
    ];
    let mut kinds = kinds.into_iter().flatten();
    kinds.find(|credentials| mechanism.takes(credentials))
}

/// The first octet chooses the mechanism; the rest are a server's challenges, each a line.
pub(crate) fn client(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let mechanism = mechanism(*first);
    let context = ClientContext::default()
        .with_nonce(Nonce::new([0; 18]))
        .with_channel_binding(ChannelBinding::Exporter([0; 32]));
    let exchange = credentials(mechanism)
        .and_then(|credentials| ClientExchange::new(mechanism, &credentials, &context).ok());
    let Some(mut exchange) = exchange else {
        panic!("every mechanism has its credentials")
    };
    let mut said = usize::from(*first >= 128 && exchange.initial_response().is_some());
    for challenge in rest.split(|octet| *octet == b'\n') {
        match exchange.respond(challenge) {
            Ok(response) => {
                said += 1;
                assert!(said <= STEPS, "a client does not talk for ever");
                assert!(response.expose().len() <= 2 * MAX_RESPONSE);
            }
            Err(error) => {
                assert!(!error.to_string().chars().any(char::is_control));
                let shown = format!("{error} {error:?} {exchange:?}");
                // What the server says about a failure is told.
                let told = matches!(error, SaslError::Server(_));
                assert!(told || !shown.contains("hunter2"));
            }
        }
        let scram = mechanism.scram_hash().is_some();
        assert!(
            !(scram && exchange.is_complete()),
            "nobody knows the password"
        );
    }
}

/// Strict base64: one spelling for each sequence of octets, and no other is read.
pub(crate) fn base64(input: &[u8]) {
    let encoded = sasl::base64::encode(input);
    assert_eq!(encoded.expose(), reference(input), "encoding");
    if encoded.expose().len() <= sasl::base64::MAX_ENCODED {
        assert_eq!(
            sasl::base64::decode(encoded.expose())
                .ok()
                .as_ref()
                .map(sasl::Secret::expose),
            Some(input)
        );
    }
    if let Ok(octets) = sasl::base64::decode(input) {
        assert_eq!(reference(octets.expose()), input, "the only spelling");
    }
    if let Ok(octets) = sasl::base64::decode_initial_response(input) {
        assert_eq!(
            sasl::base64::encode_initial_response(octets.expose()).expose() == input,
            !input.is_empty()
        );
    }
}

/// RFC 4648 section 4, six bits at a time.
fn reference(octets: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for group in octets.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            bits << 8 | usize::from(*group.get(at).unwrap_or(&0))
        });
        for at in 0..4 {
            let letter = ALPHABET[bits >> (18 - 6 * at) & 63];
            text.push(if at <= group.len() { letter } else { b'=' });
        }
    }
    text
}
