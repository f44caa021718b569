//! A server's replies as they came, well-formed or not.

use std::ops::RangeInclusive;

/// A reply, or a part of one that will never be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its lines, without their ends.
    pub lines: Vec<Vec<u8>>,
}

/// What could be taken from what has come.
#[derive(Debug)]
pub enum Taken {
    /// A whole reply.
    Reply(Reply),
    /// Nothing that is whole yet.
    More,
    /// This is no reply.
    Garbled(String),
}

impl Reply {
    /// Takes the first reply off `received`. Its lines end with LF, for this is about what is in it: [`breaches`](Self::breaches)
    /// looks at the form.
    pub fn take(received: &mut Vec<u8>) -> Taken {
        let mut lines = Vec::new();
        let mut start = 0;
        while let Some(len) = received[start..].iter().position(|&b| b == b'\n') {
            let line = &received[start..start + len];
            start += len + 1;
            if !line
                .get(..3)
                .is_some_and(|code| code.iter().all(u8::is_ascii_digit))
            {
                return Taken::Garbled(format!("{:.80}", line.escape_ascii().to_string()));
            }
            let more = line.get(3) == Some(&b'-');
            lines.push(line.to_vec());
            if !more {
                received.drain(..start);
                return Taken::Reply(Self { lines });
            }
        }
        Taken::More
    }

    /// The three digits.
    pub fn code(&self) -> &str {
        self.lines
            .first()
            .and_then(|line| std::str::from_utf8(&line[..3]).ok())
            .unwrap_or_default()
    }

    /// The text of each line, behind its code.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| {
            let text = line.get(4..).unwrap_or_default();
            text.strip_suffix(b"\r").unwrap_or(text)
        })
    }

    /// The enhanced status code of a line, if it has one (RFC 2034 section 3).
    pub fn enhanced(text: &[u8]) -> Option<&str> {
        let word = text.split(|&b| b == b' ').next().unwrap_or_default();
        let word = std::str::from_utf8(word).ok()?;
        let parts: Vec<&str> = word.split('.').collect();
        let number =
            |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let class = matches!(parts.first(), Some(&("2" | "4" | "5")));
        (parts.len() == 3 && class && parts.iter().all(|part| number(part))).then_some(word)
    }

    /// What in its form is against RFC 5321: the row's number, and what it is.
    pub fn breaches(&self) -> Vec<(&'static str, String)> {
        const DIGITS: [RangeInclusive<u8>; 3] = [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9'];
        let mut breaches = Vec::new();
        for line in &self.lines {
            let shown = || format!("{:.80}", line.escape_ascii().to_string());
            let body = line.strip_suffix(b"\r");
            let form = body.is_some_and(|body| {
                let digits = body.iter().zip(&DIGITS).all(|(b, range)| range.contains(b));
                let separated = matches!(body.get(3), None | Some(b' ' | b'-'));
                let text = body.iter().all(|b| matches!(b, b'\t' | 32..=126));
                digits && separated && text
            });
            if !form {
                breaches.push(("S013", shown()));
            }
            if line.get(..3) != Some(self.code().as_bytes()) {
                breaches.push(("S014", shown()));
            }
            if line.len() > 511 {
                breaches.push(("S015", format!("{} octets", line.len() + 1)));
            }
        }
        breaches
    }
}

impl std::fmt::Display for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let separator = if index > 0 { " / " } else { "" };
            write!(f, "{separator}{:.120}", line.escape_ascii().to_string())?;
        }
        Ok(())
    }
}

/// What a server or a client did where a pattern stands.
#[derive(Debug)]
pub enum Heard {
    /// The server replied.
    Reply(Reply),
    /// The client sent this line.
    Line(Vec<u8>),
    /// It ended the connection.
    Close,
    /// It was silent as long as was waited.
    Nothing,
    /// It sent what is no reply, or no line.
    Garbled(String),
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Reply(reply) => reply.fmt(f),
            Self::Line(line) => write!(f, "{:.200}", line.escape_ascii().to_string()),
            Self::Close => f.write_str("the connection was closed"),
            Self::Nothing => f.write_str("nothing came"),
            Self::Garbled(what) => write!(f, "neither a reply nor a line: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Reply {
        match Reply::take(&mut text.as_bytes().to_vec()) {
            Taken::Reply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_reply_is_taken_whole_and_its_form_judged() {
        let mut octets = b"250-a\r\n250 b\r\n220".to_vec();
        assert!(matches!(Reply::take(&mut octets), Taken::Reply(reply) if reply.lines.len() == 2));
        assert_eq!(octets, b"220");
        assert!(matches!(Reply::take(&mut octets), Taken::More));
        assert!(matches!(
            Reply::take(&mut b"NOOP\r\n".to_vec()),
            Taken::Garbled(_)
        ));
        for (text, row) in [
            ("250 a\n", "S013"),
            ("299 a\r\n", "S013"),
            ("250 a\x1b\r\n", "S013"),
            ("250_a\r\n", "S013"),
            ("250-a\r\n251 b\r\n", "S014"),
            (&format!("250 {}\r\n", "x".repeat(507)), "S015"),
        ] {
            let reply = reply(text);
            assert_eq!(reply.breaches().first().map(|b| b.0), Some(row), "{text:?}");
        }
        let good = reply("250 2.0.0 OK\r\n");
        assert!(good.breaches().is_empty());
        assert_eq!(Reply::enhanced(b"2.10.0 OK"), Some("2.10.0"));
        assert_eq!(Reply::enhanced(b"3.1.0 OK"), None);
    }
}
