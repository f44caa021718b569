//! HMAC (RFC 2104) over the hashes of the mechanisms.

use hmac::digest::common::KeySizeUser;
use hmac::digest::typenum::U64;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::Digest;
use zeroize::Zeroizing;

use super::Secret;

/// A block of MD5, SHA-1 and SHA-256 alike, in octets.
const BLOCK: usize = 64;

/// The HMAC of all parts in a row.
pub(super) fn hmac<D>(key: &[u8], parts: &[&[u8]]) -> Secret
where
    D: EagerHash + Digest,
    Hmac<D>: Mac + KeyInit + KeySizeUser<KeySize = U64>,
{
    // RFC 2104 section 2: a key that is longer than a block is hashed, a shorter one is filled up with zeros.
    let mut block = Zeroizing::new([0; BLOCK]);
    if key.len() > BLOCK {
        let hashed = hash::<D>(key);
        block[..hashed.expose().len()].copy_from_slice(hashed.expose());
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut mac = <Hmac<D> as KeyInit>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    Secret::new(mac.finalize().into_bytes().as_slice())
}

/// The hash of the octets.
pub(super) fn hash<D: Digest>(octets: &[u8]) -> Secret {
    Secret::new(D::digest(octets).as_slice())
}

/// The octets in lower-case hexadecimal digits.
pub(super) fn hexadecimal(octets: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16);
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .filter_map(digit)
        .collect()
}

#[cfg(test)]
mod tests {
    use md5::Md5;
    use sha1::Sha1;
    use sha2::Sha256;

    use super::*;

    #[test]
    fn rfc_2202_and_rfc_4231_vectors() {
        let hex = |secret: Secret| hexadecimal(secret.expose());
        let text: &[&[u8]] = &[b"what do ya want ", b"for nothing?"];
        assert_eq!(
            hex(hmac::<Md5>(b"Jefe", text)),
            "750c783e6ab0b503eaa86e310a5db738"
        );
        assert_eq!(
            hex(hmac::<Sha1>(b"Jefe", text)),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        );
        assert_eq!(
            hex(hmac::<Sha256>(b"Jefe", text)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let long: &[&[u8]] = &[b"Test Using Larger Than Block-Size Key - Hash Key First"];
        assert_eq!(
            hex(hmac::<Md5>(&[0xaa; 80], long)),
            "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd"
        );
        assert_eq!(
            hex(hmac::<Sha256>(&[0xaa; 131], long)),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_key_of_a_block_is_taken_as_it_is_and_a_longer_one_is_hashed() {
        for octets in [0, BLOCK - 1, BLOCK, BLOCK + 1] {
            let key = vec![0xaa; octets];
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key).unwrap();
            mac.update(b"text");
            let theirs = mac.finalize().into_bytes();
            let ours = hmac::<Sha256>(&key, &[b"text"]);
            assert_eq!(ours.expose(), theirs.as_slice(), "{octets}");
        }
    }
}
