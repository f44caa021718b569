//! The text of a message inside DATA (RFC 5321 sections 4.1.1.4 and 4.5.2): dots, line ends and the end mark.
//!
//! [`Encoder`] is the client's side, [`Decoder`] the server's. Both take lent chunks, hand back slices of them, hold none of
//! the message, and give the same result wherever the chunks are cut. Only CRLF ends a line and only CRLF.CRLF ends the data;
//! a CR or LF on its own is never sent and always noticed. [`survey`] tells which messages need nothing done to them.

mod canonical;
mod decode;
mod encode;
mod survey;

pub(super) use canonical::Canonical;
pub use canonical::{BareLineEnd, LineEnds};
pub use decode::{Decoded, Decoder};
pub use encode::Encoder;
pub use survey::{Survey, survey};

const CR: u8 = b'\r';
const LF: u8 = b'\n';

/// Whether two neighbours need a look: a CR without its LF, an LF without its CR, or a dot behind what may be a line end.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "a branch would keep the loop below from becoming vector code"
)]
#[inline]
fn notable(here: u8, next: u8) -> bool {
    ((here == CR) ^ (next == LF)) | ((here == LF) & (next == b'.'))
}

/// Index of the first octet that, with the one behind it, is [`notable`].
///
/// The speed of both sides is the speed of this loop. Blocks of a fixed size without branches inside become vector code, and
/// message text is passed over in a single go. Only a block with a hit is looked at octet by octet. The loop is bound by the
/// vector unit and not by the cache, so it is compiled a second time for the wider vectors that nearly every `x86_64` machine has;
/// which of the two runs is decided once. Other machines have their vectors at hand from the start.
#[multiversion::multiversion(targets("x86_64+avx2"))]
fn first_notable(octets: &[u8]) -> Option<usize> {
    const BLOCK: usize = 64;
    let next = octets.get(1..)?;
    let here = &octets[..next.len()];
    let blocks = here
        .as_chunks::<BLOCK>()
        .0
        .iter()
        .zip(next.as_chunks::<BLOCK>().0);
    let clean = blocks
        .take_while(|(here, next)| {
            let pairs = here.iter().zip(*next);
            !pairs.fold(false, |seen, (&here, &next)| seen | notable(here, next))
        })
        .count();
    let start = clean * BLOCK;
    let mut pairs = here[start..].iter().zip(&next[start..]);
    let within = pairs.position(|(&here, &next)| notable(here, next))?;
    Some(start + within)
}

/// Index of the first octet that, with the one behind it, shows a CR without its LF or an LF without its CR: for messages whose
/// dots mean nothing.
pub(super) fn first_bare_line_end(octets: &[u8]) -> Option<usize> {
    let mut start = 0;
    loop {
        let at = start + first_notable(octets.get(start..)?)?;
        if (octets[at] == CR) ^ (octets[at + 1] == LF) {
            return Some(at);
        }
        start = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Octets of which many matter here.
    pub(super) fn text() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![
            8 => proptest::sample::select(b"\r\n.".to_vec()),
            2 => proptest::sample::select(b"a\0 ".to_vec()),
            1 => any::<u8>(),
        ];
        let piece = prop_oneof![
            6 => octet.prop_map(|octet| vec![octet]),
            2 => Just(b"\r\n".to_vec()),
            2 => Just(b"\r\n.".to_vec()),
            1 => (1..600_usize).prop_map(|len| vec![b'x'; len]),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    /// Cuts `octets` at places drawn from `cuts`, empty chunks included.
    pub(super) fn chunks<'a>(octets: &'a [u8], cuts: &[proptest::sample::Index]) -> Vec<&'a [u8]> {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(octets.len() + 1)).collect();
        places.extend([0, octets.len()]);
        places.sort_unstable();
        places
            .windows(2)
            .map(|pair| &octets[pair[0]..pair[1]])
            .collect()
    }

    /// What the server makes of the chunks: data, whether a bare CR or LF was seen, and the octets left over behind the end.
    pub(super) fn decoded(chunks: &[&[u8]]) -> (Vec<u8>, bool, Option<Vec<u8>>) {
        let mut decoder = Decoder::new();
        let (mut data, mut left) = (Vec::new(), None);
        for chunk in chunks {
            let mut rest = *chunk;
            // Behind the end of the data all octets are left alone, so the loop takes them here.
            while left.is_none() {
                match decoder.decode(rest) {
                    Decoded::Piece { used, data: piece } => {
                        assert!(!piece.is_empty());
                        data.extend_from_slice(piece);
                        rest = &rest[used..];
                    }
                    Decoded::More { used } => {
                        assert_eq!(used, rest.len(), "nothing is left to the driver to keep");
                        rest = &[];
                        break;
                    }
                    Decoded::End { used } => {
                        rest = &rest[used..];
                        left = Some(Vec::new());
                    }
                }
            }
            if let Some(left) = &mut left {
                left.extend_from_slice(rest);
            }
        }
        assert_eq!(decoder.len(), data.len() as u64);
        (data, decoder.bare_line_end(), left)
    }

    /// What the client makes of the chunks, and what it says of their end.
    pub(super) fn encoded(ends: LineEnds, chunks: &[&[u8]]) -> (Vec<u8>, Result<(), BareLineEnd>) {
        let mut encoder = Encoder::new(ends);
        let mut sent = Vec::new();
        let mut all = || {
            for chunk in chunks {
                let mut rest = *chunk;
                while let Some(slice) = encoder.encode(&mut rest)? {
                    assert!(!slice.is_empty());
                    sent.extend_from_slice(slice);
                }
                assert!(rest.is_empty());
            }
            sent.extend_from_slice(encoder.finish()?);
            Ok(())
        };
        let end = all();
        (sent, end)
    }

    #[test]
    fn a_pair_is_found_at_every_place_of_a_block() {
        for pair in [b"\rx", b"x\n", b"\n.", b"\n\n", b"\r\r"] {
            for len in [2, 3, 63, 64, 65, 66, 127, 128, 129, 130, 200] {
                for at in 0..len - 1 {
                    let mut octets = vec![b'x'; len];
                    octets[at..at + 2].copy_from_slice(pair);
                    // A bare LF shows one octet before it, unless nothing is there.
                    let first = if pair[0] == LF {
                        at.saturating_sub(1)
                    } else {
                        at
                    };
                    assert_eq!(first_notable(&octets), Some(first), "{pair:?} of {len}");
                }
            }
        }
        for clean in [
            &b""[..],
            b"\n",
            b"\r",
            b".",
            b"\r\n",
            b"\r\n\r\n",
            b"x\r\nx.\r",
            b"\nx",
        ] {
            assert_eq!(first_notable(clean), None, "{}", clean.escape_ascii());
        }
    }

    #[test]
    fn every_pair_of_octets_is_judged_alike_by_the_loop() {
        for here in 0..=u8::MAX {
            for next in 0..=u8::MAX {
                let octets = [[here, next], [here, next]].as_flattened().repeat(40);
                let expected = octets.windows(2).position(|pair| notable(pair[0], pair[1]));
                assert_eq!(first_notable(&octets), expected, "{here} {next}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_the_client_sends_the_server_reads(message in text(), cuts: [proptest::sample::Index; 3], again: [proptest::sample::Index; 3]) {
            let (sent, end) = encoded(LineEnds::Normalise, &chunks(&message, &cuts));
            prop_assert_eq!(end, Ok(()));
            let (data, bare, left) = decoded(&chunks(&sent, &again));
            prop_assert!(!bare);
            prop_assert_eq!(left, Some(Vec::new()));
            prop_assert_eq!(data, super::encode::tests::canonical(&message));
        }
    }
}
