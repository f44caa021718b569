//! The client's proof of SCRAM-SHA-256 (RFC 5802 section 3), for messages that no honest client would send: a server that refuses one has
//! looked at the message, for the proof is right.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// In base64. `None` if the challenge has no salt or no iterations.
pub(crate) fn proof(password: &[u8], first: &str, challenge: &str, last: &str) -> Option<String> {
    let part = |name: &str| {
        challenge
            .split(',')
            .find_map(|part| part.strip_prefix(name))
    };
    let salt = STANDARD.decode(part("s=")?).ok()?;
    let iterations = part("i=")?.parse().ok()?;
    let mut salted = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, iterations, &mut salted);
    let client_key = hmac(&salted, b"Client Key")?;
    let said = format!("{first},{challenge},{last}");
    let signature = hmac(&Sha256::digest(client_key), said.as_bytes())?;
    let proof: Vec<u8> = client_key
        .iter()
        .zip(signature)
        .map(|(a, b)| a ^ b)
        .collect();
    Some(STANDARD.encode(proof))
}

fn hmac(key: &[u8], text: &[u8]) -> Option<[u8; 32]> {
    let mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    Some(mac.chain_update(text).finalize().into_bytes().into())
}
