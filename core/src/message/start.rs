//! How a message begins behind a field that is put in front of it, while it passes in pieces.

use bytes::Bytes;

use super::scan::LONGEST_NAME;

/// What makes a field of the line that mailbox files have between their messages.
const MAILBOX_LINE: &[u8] = b"Mailbox-Line: ";

/// The start of a message behind a field of ours, of which too little has come to tell how it begins.
#[derive(Debug, Default)]
pub(crate) struct Start(Vec<u8>);

impl Start {
    /// Whether nothing goes in front of these octets, which are the first. Then all is told.
    pub(crate) fn is_usual(&self, octets: &[u8]) -> bool {
        self.0.is_empty() && in_front_of(octets) == Some(b"")
    }

    /// Takes the next octets. Gives what goes in front of the message, and the message up to here; `None` while that is not known.
    pub(crate) fn take(&mut self, octets: Bytes) -> Option<(&'static [u8], Bytes)> {
        let octets = if self.0.is_empty() {
            octets
        } else {
            [&self.0, &octets[..]].concat().into()
        };
        let in_front = in_front_of(&octets);
        if in_front.is_none() {
            self.0 = octets.to_vec();
        }
        in_front.map(|in_front| (in_front, octets))
    }

    /// The message has ended.
    pub(crate) fn finish(self) -> Bytes {
        self.0.into()
    }
}

/// What goes between a field of ours and a message that begins so. `None` while more has to come, which it does within the longest
/// name of a field.
///
/// White space would continue the field (RFC 5322 section 2.2.3): the message has no header, and an empty line ends ours. A line
/// with `From` and white space is no field, and would end the header for most readers, so it is made one.
fn in_front_of(octets: &[u8]) -> Option<&'static [u8]> {
    if let [b' ' | b'\t', ..] = octets {
        return Some(b"\r\n");
    }
    let Some(behind) = octets.strip_prefix(b"From") else {
        return (!b"From".starts_with(octets)).then_some(b"");
    };
    let is_space = |octet: &&u8| matches!(octet, b' ' | b'\t');
    let spaces = behind.iter().take_while(is_space).count();
    let length = ("From".len() + spaces) as u64;
    let may_be_name = length < LONGEST_NAME;
    match behind.get(spaces) {
        None if may_be_name => None,
        Some(_) if spaces == 0 => Some(b""),
        // There might once be white space in front of a colon (RFC 5322 section 4.5).
        Some(b':') if may_be_name => Some(b""),
        _ => Some(MAILBOX_LINE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(pieces: &[&[u8]]) -> Vec<u8> {
        let mut start = Some(Start::default());
        let mut out = Vec::new();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let octets = Bytes::copy_from_slice(piece);
            match &mut start {
                None => out.extend_from_slice(piece),
                Some(some) => {
                    let is_usual = some.is_usual(piece);
                    if let Some((in_front, octets)) = some.take(octets) {
                        assert!(!is_usual || in_front.is_empty() && octets == *piece);
                        out.extend_from_slice(in_front);
                        out.extend_from_slice(&octets);
                        start = None;
                    }
                }
            }
        }
        out.extend_from_slice(&start.map(Start::finish).unwrap_or_default());
        out
    }

    #[test]
    fn what_goes_in_front_is_the_same_wherever_the_message_is_cut() {
        let spaces = format!("From{}: a\r\n", " ".repeat(200));
        for (message, in_front) in [
            (
                "From a@b.example Thu Jan  1 00:00:00 1970\r\nA: b\r\n",
                "Mailbox-Line: ",
            ),
            ("From\ta\r\n", "Mailbox-Line: "),
            ("From  \r\n", "Mailbox-Line: "),
            (&spaces, "Mailbox-Line: "),
            (" a\r\n", "\r\n"),
            ("\tFrom a\r\n", "\r\n"),
            ("From: a\r\n", ""),
            ("From \t: a\r\n", ""),
            ("from a\r\n", ""),
            ("Fromage a\r\n", ""),
            ("From\r\n a\r\n", ""),
            ("From", ""),
            ("From  ", ""),
            ("Fr", ""),
            ("\r\nFrom a\r\n", ""),
            ("A: b\r\nFrom a\r\n", ""),
            ("", ""),
        ] {
            let expected = format!("{in_front}{message}");
            let message = message.as_bytes();
            for cut in 0..=message.len() {
                for second in cut..=message.len() {
                    let pieces = [&message[..cut], &message[cut..second], &message[second..]];
                    assert_eq!(
                        passed(&pieces).escape_ascii().to_string(),
                        expected.as_bytes().escape_ascii().to_string()
                    );
                }
            }
            assert_eq!(
                passed(&message.chunks(1).collect::<Vec<_>>()),
                expected.as_bytes()
            );
        }
    }
}
