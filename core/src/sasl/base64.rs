//! Strict base64 (RFC 4648 section 4) for AUTH lines: padding is required, white space and stray trailing bits are refused.
//!
//! Two spellings of one message would let two readers of a line disagree, so there is one spelling only.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{SaslError, Secret};

/// The longest base64 text in octets that [`decode`] takes: the line length of RFC 4954 section 4.
pub const MAX_ENCODED: usize = 12_288;

/// The base64 text of `octets`. It is as secret as what it was made from.
pub fn encode(octets: &[u8]) -> Secret {
    // Four octets for each three begun, so the room always suffices; were it not to, nothing would be sent.
    let room = octets.len().div_ceil(3) * 4;
    Secret::filled(room, |room| STANDARD.encode_slice(octets, room))
        .unwrap_or_else(|_| Secret::new([]))
}

/// The octets behind a base64 text. No text is no octets. Fails if the text is too long or is not strict base64.
pub fn decode(text: &[u8]) -> Result<Secret, SaslError> {
    if text.len() > MAX_ENCODED {
        return Err(SaslError::TooLong);
    }
    // The crate's error holds an octet of the text, which may be a password's: it is dropped here.
    let room = text.len().div_ceil(4) * 3;
    Secret::filled(room, |room| STANDARD.decode_slice(text, room)).map_err(|_| SaslError::NotBase64)
}

/// As [`encode`], for the argument of the AUTH command, where an empty initial response is written as `=` to tell it from none
/// (RFC 4954 section 4).
pub fn encode_initial_response(octets: &[u8]) -> Secret {
    if octets.is_empty() {
        Secret::new("=")
    } else {
        encode(octets)
    }
}

/// As [`decode`], for the argument of the AUTH command, where `=` alone is an empty initial response (RFC 4954 section 4). On
/// any later line `=` is an error.
pub fn decode_initial_response(text: &[u8]) -> Result<Secret, SaslError> {
    if text == b"=" {
        Ok(Secret::new([]))
    } else {
        decode(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_4648_section_10_vectors() {
        let vectors: [(&[u8], &[u8]); 7] = [
            (b"", b""),
            (b"f", b"Zg=="),
            (b"fo", b"Zm8="),
            (b"foo", b"Zm9v"),
            (b"foob", b"Zm9vYg=="),
            (b"fooba", b"Zm9vYmE="),
            (b"foobar", b"Zm9vYmFy"),
        ];
        for (octets, text) in vectors {
            assert_eq!(encode(octets).expose(), text);
            assert_eq!(decode(text).unwrap().expose(), octets);
        }
        assert_eq!(encode(&[0xfb, 0xff]).expose(), b"+/8=");
    }

    #[test]
    fn s209_only_strict_base64_is_taken() {
        let refused: [&[u8]; 16] = [
            b"AAA=BBB",
            b"=AAA",
            b"a",
            b"YQ =",
            b"YQ",
            b"YQ=",
            b"YQ===",
            b"YR==",
            b"Zm9=",
            b"Zm 9v",
            b"Zm9v\r\n",
            b"Zm9v\n",
            b"-_8=",
            b"=",
            b"====",
            b"Zm9v\0",
        ];
        for text in refused {
            assert_eq!(
                decode(text).err(),
                Some(SaslError::NotBase64),
                "{}",
                text.escape_ascii()
            );
        }
    }

    #[test]
    fn s207_a_lone_equals_sign_is_an_empty_initial_response() {
        assert_eq!(decode_initial_response(b"=").unwrap().expose(), b"");
        assert_eq!(decode_initial_response(b"Zg==").unwrap().expose(), b"f");
        assert_eq!(
            decode_initial_response(b"==").err(),
            Some(SaslError::NotBase64)
        );
        assert_eq!(encode_initial_response(b"").expose(), b"=");
        assert_eq!(encode_initial_response(b"f").expose(), b"Zg==");
    }

    #[test]
    fn s011_the_longest_line_is_taken_and_one_more_group_is_not() {
        assert_eq!(
            decode(&[b'A'; MAX_ENCODED]).unwrap().expose().len(),
            crate::sasl::MAX_RESPONSE
        );
        assert_eq!(
            decode(&[b'A'; MAX_ENCODED + 4]).err(),
            Some(SaslError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes_to_itself(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let text = encode(&octets);
            prop_assert_eq!(text.expose().len() % 4, 0);
            let again = decode(text.expose()).unwrap();
            prop_assert_eq!(again.expose(), &octets[..]);
        }

        #[test]
        fn there_is_one_spelling_only(text in proptest::collection::vec(prop_oneof![
            proptest::sample::select(b"AQgw+/=9 ".to_vec()), any::<u8>()
        ], 0..20)) {
            if let Ok(octets) = decode(&text) {
                let again = encode(octets.expose());
                prop_assert_eq!(again.expose(), &text[..]);
            }
        }
    }
}
