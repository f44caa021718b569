//! The client's side of BDAT for messages in lines: no bare CR or LF gets out.

use crate::proto::data::{BareLineEnd, Canonical, LineEnds};

/// Turns a message in lines into the octets of its chunks: what [`data::Encoder`](crate::proto::data::Encoder) makes of it for
/// DATA, without the dots and the end mark, so that the same message arrives either way.
///
/// Nothing is copied: what goes out is slices of what came in and static octets. As the size of a chunk stands in front of it, a
/// clone can be asked first what a piece will come to. A message of BODY=BINARYMIME needs no encoder.
#[derive(Debug, Clone)]
pub struct Encoder(Canonical<false>);

impl Encoder {
    /// At the start of a message.
    pub fn new(line_ends: LineEnds) -> Self {
        Self(Canonical::new(line_ends))
    }

    /// The next slice to send for `rest`, a piece of the message of any length, which is moved on behind what was taken. Call
    /// until `None`; then all of the piece was taken. A CR at its end is held back until its successor is known.
    ///
    /// Fails under [`LineEnds::Refuse`] at a bare CR or LF. All before it was handed out.
    pub fn encode<'a>(&mut self, rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, BareLineEnd> {
        self.0.encode(rest)
    }

    /// The end of the message: what remains to be sent, which is the CRLF of a last line that has none. After this the encoder is
    /// at the start of another message.
    ///
    /// Fails under [`LineEnds::Refuse`] if the message ended with a bare CR.
    pub fn finish(&mut self) -> Result<&'static [u8], BareLineEnd> {
        Ok(if self.0.finish()? { b"\r\n" } else { b"" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::data;

    fn encoded(ends: LineEnds, pieces: &[&[u8]]) -> (Vec<u8>, Result<(), BareLineEnd>) {
        let mut encoder = Encoder::new(ends);
        let mut sent = Vec::new();
        let mut all = || {
            for piece in pieces {
                let mut rest = *piece;
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

    /// What the other side makes of the same message inside DATA.
    fn through_data(ends: LineEnds, message: &[u8]) -> (Vec<u8>, Result<(), BareLineEnd>) {
        let mut encoder = data::Encoder::new(ends);
        let (mut sent, mut rest) = (Vec::new(), message);
        let mut all = || {
            while let Some(slice) = encoder.encode(&mut rest)? {
                sent.extend_from_slice(slice);
            }
            sent.extend_from_slice(encoder.finish()?);
            Ok(())
        };
        let end = all();
        let (mut decoder, mut received, mut rest) = (data::Decoder::new(), Vec::new(), &sent[..]);
        while let data::Decoded::Piece { used, data } = decoder.decode(rest) {
            received.extend_from_slice(data);
            rest = &rest[used..];
        }
        (received, end)
    }

    #[test]
    fn a_clean_piece_is_one_slice_of_itself() {
        let piece = b".0123456789 0123456789 .\r\n".repeat(4000);
        let mut rest = &piece[..];
        let slice = Encoder::new(LineEnds::Refuse)
            .encode(&mut rest)
            .unwrap()
            .unwrap();
        assert_eq!(slice.as_ptr_range(), piece.as_ptr_range());
    }

    proptest! {
        #[test]
        fn the_same_message_arrives_in_chunks_as_inside_data(
            message in proptest::collection::vec(proptest::sample::select(b"\r\n\r\na..\0\xff".to_vec()), 0..100),
            cuts: [proptest::sample::Index; 3], refuse: bool
        ) {
            let ends = if refuse { LineEnds::Refuse } else { LineEnds::Normalise };
            let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
            places.extend([0, message.len()]);
            places.sort_unstable();
            let pieces: Vec<_> = places.windows(2).map(|pair| &message[pair[0]..pair[1]]).collect();
            let (expected, verdict) = through_data(ends, &message);
            let (sent, end) = encoded(ends, &pieces);
            prop_assert_eq!(end, verdict);
            if end.is_ok() {
                prop_assert_eq!(sent, expected);
            }
            prop_assert_eq!(encoded(ends, &message.chunks(1).collect::<Vec<_>>()).1, end);
        }
    }
}
