//! SASL on both sides, and the base64 that carries it.

use mailwire::sasl::{
    self, ClientExchange, Credentials, MAX_RESPONSE, Mechanism, ServerExchange, Step,
};

const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// More than any mechanism needs.
const STEPS: usize = 8;

/// The first octet chooses the mechanism; the rest are a client's responses, each a line.
pub(crate) fn server(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let mut exchange = ServerExchange::new(MECHANISMS[usize::from(*first) % MECHANISMS.len()]);
    let mut challenges = 0;
    for response in rest.split(|octet| *octet == b'\n') {
        match exchange.step(response) {
            Ok(Step::Challenge(challenge)) => {
                challenges += 1;
                assert!(challenges <= STEPS, "an exchange ends");
                assert!(challenge.len() <= MAX_RESPONSE);
            }
            Ok(Step::Credentials(credentials)) => {
                assert!(!credentials.username().contains(['\0', '\r', '\n']));
                assert!(exchange.step(b"").is_err(), "it is over");
                return;
            }
            Err(error) => {
                assert!(!error.to_string().chars().any(char::is_control));
                return;
            }
        }
    }
}

/// The first octet chooses the mechanism; the rest are a server's challenges, each a line.
pub(crate) fn client(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let Ok(credentials) = Credentials::new("user", "hunter2") else {
        return;
    };
    let mechanism = MECHANISMS[usize::from(*first) % MECHANISMS.len()];
    let mut exchange = ClientExchange::new(mechanism, &credentials);
    let mut said = usize::from(*first >= 128 && exchange.initial_response().is_some());
    for challenge in rest.split(|octet| *octet == b'\n') {
        match exchange.respond(challenge) {
            Ok(response) => {
                said += 1;
                assert!(said <= STEPS, "a client does not talk for ever");
                assert!(response.expose().len() <= MAX_RESPONSE);
            }
            Err(error) => {
                let shown = format!("{error} {error:?} {exchange:?}");
                assert!(
                    !shown.contains("hunter2") && !error.to_string().chars().any(char::is_control)
                );
            }
        }
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
