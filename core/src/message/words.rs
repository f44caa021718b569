//! Encoded words (RFC 2047): any text in a header field, as ASCII.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Octets of text in one word: 52 characters of base64 and 12 around them stay under the 75 of RFC 2047 section 2, and
/// with a field name before them under the 76 of a line.
const WORD: usize = 39;

/// A run without white space that may stand in a line of a header field as it is. RFC 5322 section 2.1.1 allows 998.
const RUN: usize = 900;

/// Spaces in a row that are kept as they are. Folding puts all of them on the next line.
const SPACES: usize = 16;

/// A field of this many characters, its name counted, is not folded.
const LINE: usize = 70;

/// A text as the value of the unstructured field `name`: as it is where that is exact, otherwise as encoded words.
pub(super) fn encode(name: &str, text: &str) -> String {
    // Where a line is folded some readers make one space of all that stand there, though RFC 5322 section 2.2.3 keeps them.
    let one_line = name.len() + ": ".len() + text.len() <= LINE;
    if is_plain(text) && !text.contains("=?") && (one_line || !text.contains("  ")) {
        return text.to_owned();
    }
    let mut encoded = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while !rest.is_empty() {
        // RFC 2047 section 5: a character is not split over two words.
        let end = (0..=WORD.min(rest.len()))
            .rev()
            .find(|&end| rest.is_char_boundary(end))
            .unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if !encoded.is_empty() {
            encoded.push(' ');
        }
        encoded.push_str("=?utf-8?B?");
        STANDARD.encode_string(word, &mut encoded);
        encoded.push_str("?=");
        rest = after;
    }
    encoded
}

/// Whether a text may be a field's value as it is: printable ASCII that can be folded without a change.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && text.split(' ').all(|run| run.len() <= RUN)
        && text
            .split(|c| c != ' ')
            .all(|spaces| spaces.len() <= SPACES)
}

/// What an encoded word stands for, if it is one in a character set known here: UTF-8, US-ASCII or ISO-8859-1.
pub(super) fn decode(word: &str) -> Option<String> {
    let inside = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut pieces = inside.split('?');
    let (charset, encoding, text) = (pieces.next()?, pieces.next()?, pieces.next()?);
    if pieces.next().is_some() {
        return None;
    }
    let octets = match encoding {
        "B" | "b" => STANDARD.decode(text).ok()?,
        "Q" | "q" => decode_q(text)?,
        _ => return None,
    };
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(octets).ok(),
        "iso-8859-1" => Some(octets.into_iter().map(char::from).collect()),
        _ => None,
    }
}

fn decode_q(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        octets.push(match b {
            b'_' => b' ',
            b'=' => {
                let digit = |b: u8| {
                    char::from(b)
                        .to_digit(16)
                        .and_then(|d| u8::try_from(d).ok())
                };
                digit(rest.next()?)? << 4 | digit(rest.next()?)?
            }
            _ => b,
        });
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        for text in [
            "",
            "Hello",
            "a  b c",
            "1+1=2?",
            &"x".repeat(RUN),
            "a b ".repeat(50).trim_end(),
        ] {
            assert_eq!(encode("Subject", text), text);
        }
    }

    #[test]
    fn what_would_be_read_differently_is_encoded() {
        for text in [
            " a",
            "a ",
            // Readers make a space of a tab where the line was folded.
            "a\tb",
            "=?utf-8?Q?a?=",
            "ü",
            "\u{7}",
            "\u{7f}",
            &"x".repeat(RUN + 1),
            &format!("a{}b", " ".repeat(SPACES + 1)),
            &format!("a  {}", "b".repeat(60)),
        ] {
            assert!(
                encode("Subject", text).starts_with("=?utf-8?B?"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_words_of_other_programs_are_read() {
        assert_eq!(decode("=?utf-8?b?Wm/Dqw==?=").unwrap(), "Zoë");
        assert_eq!(decode("=?UTF-8?q?Zo=C3=AB_X?=").unwrap(), "Zoë X");
        assert_eq!(decode("=?iso-8859-1?Q?Zo=EB?=").unwrap(), "Zoë");
        for text in [
            "",
            "a",
            "=??=",
            "=?utf-8?x?a?=",
            "=?utf-8?q?=F?=",
            "=?utf-8?q?=FF?=",
            "=?koi8-r?q?a?=",
            "=?a?q?b?c?=",
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(text in "\\PC{0,80}") {
            let encoded = encode("Subject", &text);
            if encoded != text {
                let words: Vec<_> = encoded.split(' ').collect();
                prop_assert!(words.iter().all(|word| word.len() <= 75));
                let decoded: String = words.iter().map(|word| decode(word).unwrap()).collect();
                prop_assert_eq!(decoded, text);
            }
        }
    }
}
