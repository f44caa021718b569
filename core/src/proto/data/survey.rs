//! One look through a whole message before it is sent: most need nothing done to them.

use super::canonical::CRLF;
use super::{LF, notable};

/// What is known of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survey {
    /// Every line ends with CRLF, the last one too, no CR or LF stands on its own, and no line begins with a dot: DATA and BDAT send
    /// the octets as they are.
    pub is_plain: bool,
    /// Whether all octets are ASCII.
    pub is_ascii: bool,
}

/// Looks through a message that is there as a whole.
pub fn survey(message: &[u8]) -> Survey {
    let first_is_fine = !matches!(message.first(), None | Some(&(LF | b'.')));
    if first_is_fine
        && message.ends_with(CRLF)
        && let Some(seen) = all_octets_if_clean(message)
    {
        return Survey {
            is_plain: true,
            is_ascii: seen.is_ascii(),
        };
    }
    Survey {
        is_plain: false,
        is_ascii: message.is_ascii(),
    }
}

/// All octets, or'ed, of a message without neighbours that are [`notable`]. A loop as that of [`first_notable`](super::first_notable):
/// a second look at the message, for its octets, would cost half as much again.
#[multiversion::multiversion(targets("x86_64+avx2"))]
fn all_octets_if_clean(octets: &[u8]) -> Option<u8> {
    const BLOCK: usize = 64;
    let next = octets.get(1..)?;
    let here = &octets[..next.len()];
    let (blocks, rest) = here.as_chunks::<BLOCK>();
    let (next_blocks, next_rest) = next.as_chunks::<BLOCK>();
    let mut all = [0; BLOCK];
    for (here, next) in blocks.iter().zip(next_blocks) {
        let pairs = here.iter().zip(next);
        if pairs.fold(false, |seen, (&here, &next)| seen | notable(here, next)) {
            return None;
        }
        for (all, here) in all.iter_mut().zip(here) {
            *all |= here;
        }
    }
    let mut pairs = rest.iter().zip(next_rest);
    if pairs.any(|(&here, &next)| notable(here, next)) {
        return None;
    }
    let last = next_rest.iter().chain(octets.last());
    Some(
        all.iter()
            .chain(rest)
            .chain(last)
            .fold(0, |all, octet| all | octet),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::LineEnds;
    use super::super::tests::{encoded, text};
    use super::*;

    proptest! {
        #[test]
        fn what_is_plain_is_sent_as_it_is(message in text(), high: bool, place: prop::sample::Index) {
            let mut message = message;
            if high && !message.is_empty() {
                let at = place.index(message.len());
                message[at] |= 0x80;
            }
            for message in [message.clone(), [message, b"\r\n".to_vec()].concat()] {
                let survey = survey(&message);
                prop_assert_eq!(survey.is_ascii, message.is_ascii());
                let (sent, refused) = encoded(LineEnds::Refuse, &[&message]);
                let unchanged = refused.is_ok() && sent == [&message, b".\r\n".as_slice()].concat();
                prop_assert_eq!(survey.is_plain, unchanged && !message.is_empty());
            }
        }
    }

    #[test]
    fn every_place_of_a_message_is_looked_at() {
        let lines = b"0123456789 0123456789 0123456789 0123456789\r\n".repeat(7);
        assert_eq!(
            survey(&lines),
            Survey {
                is_plain: true,
                is_ascii: true
            }
        );
        for at in 0..lines.len() {
            let with = |octet: u8| {
                let mut lines = lines.clone();
                lines[at] = octet;
                survey(&lines)
            };
            assert!(!with(b'\r').is_plain || lines[at] == b'\r', "CR at {at}");
            assert!(!with(b'\n').is_plain || lines[at] == b'\n', "LF at {at}");
            assert!(!with(0xE9).is_ascii, "E9 at {at}");
            let starts_line = at == 0 || lines[at - 1] == b'\n';
            assert!(
                !with(b'.').is_plain || !(starts_line || b"\r\n".contains(&lines[at])),
                "dot at {at}"
            );
        }
    }
}
