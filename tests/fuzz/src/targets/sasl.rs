//! SASL on both sides, and the base64 that carries it.

use mailwire::sasl::{
    self, ChannelBinding, ClientContext, Decoy, MAX_RESPONSE, Mechanism, Nonce, SaslError,
    ServerContext, ServerExchange, Step,
};

use crate::users;

/// More than any mechanism needs.
const STEPS: usize = 8;

/// Iterations that a client does here; more only take longer.
const MOST: u32 = 5000;

/// The first octet chooses the mechanism; the rest are a client's responses, each a line.
pub(crate) fn server(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let mechanism = chosen(*first);
    let context = ServerContext::default()
        .with_nonce(Nonce::new([1; 18]))
        .with_channel_binding((*first < 128).then_some([2; 32]), *first < 64)
        .with_certificate((*first < 128).then(|| b"certificate".to_vec()))
        .with_host("mx.example");
    let Ok(mut exchange) = ServerExchange::new(mechanism, &context) else {
        return;
    };
    let mut responses = rest.split(|octet| *octet == b'\n');
    let mut step = if *first & 32 == 0 {
        exchange.initial_response(responses.next().unwrap_or_default())
    } else {
        let first = exchange.first_challenge();
        assert!(first.is_ok_and(|first| first.expose().len() <= MAX_RESPONSE));
        exchange.step(responses.next().unwrap_or_default())
    };
    for steps in 0.. {
        assert!(steps <= STEPS, "an exchange ends");
        step = match step {
            Ok(Step::Challenge(challenge)) => {
                assert!(challenge.expose().len() <= MAX_RESPONSE);
                match responses.next() {
                    Some(response) => exchange.step(response),
                    None => return,
                }
            }
            Ok(Step::Lookup(lookup)) => exchange.found(users::find(&lookup), &Decoy::new([3; 32])),
            Ok(Step::Credentials(credentials)) => {
                assert!(!credentials.username().contains(['\0', '\r', '\n']));
                let last = exchange.refused();
                assert!(last.is_none_or(|last| last.expose().len() <= MAX_RESPONSE));
                return;
            }
            Ok(Step::Proven(identity)) => {
                assert_eq!(
                    identity.username(),
                    users::NAME,
                    "nobody else can prove a thing"
                );
                assert!(exchange.step(b"").is_err(), "it is over");
                return;
            }
            Err(error) => {
                shown(&error);
                return;
            }
        };
    }
}

/// The first octet chooses the mechanism; the rest are a server's challenges, each a line.
pub(crate) fn client(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let mechanism = chosen(*first);
    let context = ClientContext::default()
        .with_nonce(Nonce::new([1; 18]))
        .with_channel_binding(ChannelBinding::Exporter([2; 32]))
        .with_server("mx.example", 25);
    let Some(mut exchange) = users::exchange(mechanism, &context) else {
        panic!("{mechanism:?} is not made");
    };
    let mut said = usize::from(*first >= 128 && exchange.initial_response().is_some());
    for challenge in rest.split(|octet| *octet == b'\n') {
        if iterations(challenge) > MOST {
            return;
        }
        match exchange.respond(challenge) {
            Ok(response) => {
                said += 1;
                assert!(said <= STEPS, "a client does not talk for ever");
                assert!(response.expose().len() <= MAX_RESPONSE);
            }
            Err(error) => {
                shown(&error);
                assert!(!format!("{error:?} {exchange:?}").contains(users::PASSWORD));
            }
        }
        let proves = mechanism.scram_hash().is_some();
        assert!(
            !(proves && exchange.is_complete()),
            "a server cannot guess the proof"
        );
    }
}

/// One of the mechanisms.
fn chosen(octet: u8) -> Mechanism {
    Mechanism::ALL[usize::from(octet & 31) % Mechanism::ALL.len()]
}

/// How many iterations a challenge of SCRAM asks for.
fn iterations(challenge: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(challenge);
    let number = text.rsplit_once(",i=").map(|(_, number)| number.parse());
    number.and_then(Result::ok).unwrap_or_default()
}

fn shown(error: &SaslError) {
    let text = error.to_string();
    assert!(
        !text.contains(users::PASSWORD) && !text.contains(char::is_control),
        "{text:?}"
    );
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
