//! What a peer's reply is made of: its lines, taken one by one.

use memchr::memchr;

use super::{EnhancedStatus, Reply, Text};
use crate::proto::{Violation, limits};

/// Octets that the text of a reply usually has at most.
const USUAL: usize = 64;

/// Gathers a peer's reply line by line, within [`limits`].
#[derive(Debug, Default)]
pub struct ReplyGatherer {
    /// Of the lines so far, if there are any.
    code: u16,
    lines: usize,
    text: String,
    enhanced: Option<EnhancedStatus>,
}

impl ReplyGatherer {
    /// Takes one line without its CRLF. Gives the reply when this was its last line.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, Violation> {
        Ok(self.add(line)?.map(|_| self.reply()))
    }

    /// Takes one line without its CRLF. Gives the code when this was the reply's last line: then [`reply`](Self::reply) or
    /// [`codes`](Self::codes) has it, and the next line begins another.
    pub(in crate::proto) fn add(&mut self, line: &[u8]) -> Result<Option<u16>, Violation> {
        let (code, more, text) = split(line).ok_or_else(|| {
            let mut text = String::new();
            push_readable(&mut text, line);
            Violation::NotAReply(text)
        })?;
        if self.lines > 0 && self.code != code {
            let first = self.code;
            return Err(Violation::MixedCodes { first, then: code });
        }
        // RFC 2034 section 4: the same enhanced code stands in front of each line's text.
        let (word, rest) = match memchr(b' ', text) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, &[][..]),
        };
        let enhanced = std::str::from_utf8(word)
            .ok()
            .and_then(EnhancedStatus::parse)
            .filter(|status| u16::from(status.class()) == code / 100);
        if self.lines == 0 {
            self.enhanced = enhanced;
        } else {
            self.text.push('\n');
        }
        // Another code than the first line's would be lost, so it stays in the text.
        let repeated = enhanced.is_some() && enhanced == self.enhanced;
        if self.text.capacity() == 0 {
            // Enough for most replies, so that one that is longer than the one before need not grow.
            self.text.reserve(text.len().max(USUAL));
        }
        push_readable(&mut self.text, if repeated { rest } else { text });
        self.code = code;
        self.lines += 1;
        if self.lines > limits::REPLY_LINES || self.text.len() > limits::REPLY_SIZE {
            return Err(Violation::ReplyTooLong);
        }
        Ok((!more).then_some(code))
    }

    /// The reply whose last line was taken.
    pub(in crate::proto) fn reply(&mut self) -> Reply {
        let text = Text::Shared(self.text.as_str().into());
        Reply {
            text,
            ..self.codes()
        }
    }

    /// The same without its text, for which nobody will ask.
    pub(in crate::proto) fn codes(&mut self) -> Reply {
        let done = std::mem::take(self);
        if done.text.capacity() <= limits::REPLY_LINE {
            // Its room is for the reply that comes next.
            self.text = done.text;
            self.text.clear();
        }
        Reply {
            code: done.code,
            enhanced: done.enhanced,
            text: Text::Fixed(""),
        }
    }
}

/// Code, whether more lines follow, and text. A code alone is tolerated, as RFC 5321 section 4.2 asks.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits
        .iter()
        .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    if !(200..600).contains(&code) {
        return None;
    }
    match rest.split_first() {
        None => Some((code, false, &[])),
        Some((b' ', text)) => Some((code, false, text)),
        Some((b'-', text)) => Some((code, true, text)),
        Some(_) => None,
    }
}

/// Adds a peer's bytes as text that is safe to show: control characters and stray bytes become `\xNN`.
pub(in crate::proto) fn push_readable(text: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        if valid.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')) {
            text.push_str(valid);
        } else {
            for c in valid.chars() {
                if c.is_control() && c != '\t' {
                    text.extend(c.to_string().bytes().map(|b| format!("\\x{b:02x}")));
                } else {
                    text.push(c);
                }
            }
        }
        text.extend(chunk.invalid().iter().map(|b| format!("\\x{b:02x}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(lines: &[&[u8]]) -> Result<Option<Reply>, Violation> {
        let mut gatherer = ReplyGatherer::default();
        let mut last = Ok(None);
        for line in lines {
            last = gatherer.line(line);
            if last.is_err() {
                break;
            }
        }
        last
    }

    #[test]
    fn a_gatherer_keeps_room_for_a_usual_reply_and_no_more() {
        let mut gatherer = ReplyGatherer::default();
        for (text, kept) in [(limits::REPLY_LINE, true), (limits::REPLY_LINE + 1, false)] {
            let line = [b"550 5.1.1 ".as_slice(), &b"x".repeat(text)].concat();
            assert_eq!(gatherer.add(&line), Ok(Some(550)));
            // So that its room is as long as the text.
            gatherer.text.shrink_to_fit();
            let reply = gatherer.codes();
            assert_eq!((reply.code(), reply.text()), (550, ""));
            assert_eq!(reply.enhanced(), EnhancedStatus::new(5, 1, 1));
            assert_eq!(gatherer.text.capacity() > 0, kept, "{text}");
        }
        assert_eq!(gatherer.line(b"250 y").unwrap().unwrap().text(), "y");
    }

    #[test]
    fn what_a_peer_says_is_gathered_and_made_readable() {
        let reply = gather(&[b"250-2.1.0 one\x1b[2J", b"250-", b"250 2.1.0 \xff\xc3\xa9"])
            .unwrap()
            .unwrap();
        assert_eq!(reply.enhanced(), EnhancedStatus::new(2, 1, 0));
        assert_eq!(
            reply.lines().collect::<Vec<_>>(),
            ["one\\x1b[2J", "", "\\xffé"]
        );
        let mut wire = Vec::new();
        reply.write_to(&mut wire, false);
        assert_eq!(wire, b"250-one\\x1b[2J\r\n250-\r\n250 \\xff??\r\n");
    }

    #[test]
    fn of_later_lines_only_the_code_of_the_first_is_dropped() {
        for (lines, enhanced, text) in [
            (["5.7.1 a", "5.7.1 b"], "5.7.1", "a\nb"),
            (["5.7.1 a", "5.7.1"], "5.7.1", "a\n"),
            (["5.7.1 a", "5.7.26 b"], "5.7.1", "a\n5.7.26 b"),
            (["5.7.1 a", "b"], "5.7.1", "a\nb"),
            (
                ["Blocked", "5.7.1 see there"],
                "",
                "Blocked\n5.7.1 see there",
            ),
            (["Blocked", "5.7.1"], "", "Blocked\n5.7.1"),
            (["4.7.1 a", "4.7.1 b"], "", "4.7.1 a\n4.7.1 b"),
        ] {
            let [first, last] = lines;
            let (first, last) = (format!("550-{first}"), format!("550 {last}"));
            let reply = gather(&[first.as_bytes(), last.as_bytes()]).unwrap();
            let reply = reply.unwrap();
            assert_eq!(reply.enhanced(), EnhancedStatus::parse(enhanced));
            assert_eq!(reply.text(), text);
        }
    }

    #[test]
    fn a_peers_code_may_have_any_second_digit() {
        for code in [200, 260, 571, 599] {
            let reply = gather(&[format!("{code} x").as_bytes()]).unwrap().unwrap();
            assert_eq!(reply.code(), code);
        }
    }

    #[test]
    fn a_code_alone_is_a_reply_and_an_odd_enhanced_code_is_text() {
        assert_eq!(gather(&[b"250"]).unwrap().unwrap().text(), "");
        for text in ["2.0.00 x", "4.0.0 x", "2.0 x", "2.0.0.0 x"] {
            let reply = gather(&[format!("250 {text}").as_bytes()])
                .unwrap()
                .unwrap();
            assert_eq!((reply.enhanced(), reply.text()), (None, text));
        }
    }

    #[test]
    fn what_is_no_reply_is_a_violation() {
        for line in [
            b"".as_slice(),
            b"25",
            b"2x0 a",
            b"250x",
            b"199 a",
            b"600 a",
            b"HTTP/1.1 400",
        ] {
            assert!(
                matches!(gather(&[line]), Err(Violation::NotAReply(_))),
                "{line:?}"
            );
        }
        assert_eq!(
            gather(&[b"250-a", b"251 b"]),
            Err(Violation::MixedCodes {
                first: 250,
                then: 251
            })
        );
    }

    #[test]
    fn a_reply_has_so_many_lines_and_octets_at_most() {
        let mut lines = vec![b"250-x".as_slice(); limits::REPLY_LINES];
        assert_eq!(gather(&lines), Ok(None));
        lines.push(b"250 x");
        assert_eq!(gather(&lines), Err(Violation::ReplyTooLong));
        // LF between the lines counts.
        let long = [b"250-".as_slice(), &b"x".repeat(limits::REPLY_SIZE / 8 - 1)].concat();
        let mut lines = vec![long.as_slice(); 8];
        lines.push(b"250-");
        assert_eq!(gather(&lines), Ok(None));
        lines.push(b"250-");
        assert_eq!(gather(&lines), Err(Violation::ReplyTooLong));
    }

    #[test]
    fn room_for_a_usual_reply_is_taken_in_one_go() {
        let mut gatherer = ReplyGatherer::default();
        assert_eq!(gatherer.add(b"250-x"), Ok(None));
        assert!(gatherer.text.capacity() >= USUAL);
        gatherer.text.shrink_to_fit();
        assert_eq!(gatherer.add(b"250-y"), Ok(None));
        assert!(gatherer.text.capacity() < USUAL, "it grows by itself");
    }
}
