//! Exact octets, written so that they can be read: text with escapes, names, and repetitions.
//!
//! - `\r \n \t \0 \\ \{ \} \xNN` are octets
//! - `{name}` is what the name stands for, `{size+1}` a number and one more, `{size-1}` one less
//! - `{100*text}` is the text a hundred times; a name may stand for the number
//! - `{base64:text}` is the text in base64, and `{octets:text}` its length
//!
//! Text in braces may have all of these again.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest expansion, so that a slip of the pen cannot fill the memory.
const MOST: usize = 256 << 20;

/// What names stand for.
#[derive(Debug, Clone, Default)]
pub struct Names(BTreeMap<String, Vec<u8>>);

impl Names {
    /// Sets what a name stands for.
    pub fn set(&mut self, name: &str, octets: impl Into<Vec<u8>>) {
        self.0.insert(name.to_owned(), octets.into());
    }

    /// The same with one more name.
    #[must_use]
    pub fn with(mut self, name: &str, octets: impl Into<Vec<u8>>) -> Self {
        self.set(name, octets);
        self
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

/// The octets that `text` stands for. The error says what cannot be read; that a name is not known is told as [`Failure::Name`],
/// for it may be one that a server under test was not described by.
pub fn expand(text: &str, names: &Names) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '{', '}']) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let (mark, behind) = (rest.as_bytes()[at], &rest[at + 1..]);
        rest = match mark {
            b'\\' => escape(behind, &mut out)?,
            b'{' => {
                let end = closing(behind)?;
                braces(&behind[..end], names, &mut out)?;
                &behind[end + 1..]
            }
            _ => return Err(Failure::Syntax(format!("a lone }} in {text:?}"))),
        };
        if out.len() > MOST {
            return Err(Failure::Syntax(format!("{text:?} is too long")));
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// Why a template stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be read.
    Syntax(String),
    /// It has a name that is not known here.
    Name(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax(what) => f.write_str(what),
            Self::Name(name) => write!(f, "{{{name}}} was not given"),
        }
    }
}

fn escape<'a>(text: &'a str, out: &mut Vec<u8>) -> Result<&'a str, Failure> {
    let wrong = || Failure::Syntax(format!("\\{text:.3} is no escape"));
    let mark = text.chars().next().ok_or_else(wrong)?;
    let octet = match mark {
        'r' => b'\r',
        'n' => b'\n',
        't' => b'\t',
        '0' => 0,
        '\\' | '{' | '}' => u8::try_from(mark).map_err(|_| wrong())?,
        'x' => {
            let digits = text.get(1..3).ok_or_else(wrong)?;
            out.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
            return Ok(&text[3..]);
        }
        _ => return Err(wrong()),
    };
    out.push(octet);
    Ok(&text[1..])
}

/// Where the brace ends that was opened in front of `text`.
fn closing(text: &str) -> Result<usize, Failure> {
    let mut depth = 0;
    let mut escaped = false;
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => depth += 1,
            b'}' if depth == 0 => return Ok(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    Err(Failure::Syntax(format!("{{{text:?} has no end")))
}

fn braces(text: &str, names: &Names, out: &mut Vec<u8>) -> Result<(), Failure> {
    if let Some((count, repeated)) = text.split_once('*')
        && let Some(count) = number(count, names)
    {
        let once = expand(repeated, names)?;
        if once.len().saturating_mul(count) > MOST {
            return Err(Failure::Syntax(format!("{text:?} is too long")));
        }
        out.extend(once.repeat(count));
    } else if let Some(inner) = text.strip_prefix("base64:") {
        out.extend(STANDARD.encode(expand(inner, names)?).bytes());
    } else if let Some(inner) = text.strip_prefix("octets:") {
        out.extend(expand(inner, names)?.len().to_string().bytes());
    } else if let Some(octets) = names.get(text) {
        out.extend_from_slice(octets);
    } else if let Some(number) = sum(text, names) {
        out.extend(number.to_string().bytes());
    } else {
        return Err(Failure::Name(text.to_owned()));
    }
    Ok(())
}

/// How often: digits, or a name that stands for some, and one more or less of it.
fn number(text: &str, names: &Names) -> Option<usize> {
    let digits = || std::str::from_utf8(names.get(text)?).ok()?.parse().ok();
    let summed = || usize::try_from(sum(text, names)?).ok();
    text.parse().ok().or_else(digits).or_else(summed)
}

/// `name+1` or `name-1`.
fn sum(text: &str, names: &Names) -> Option<i128> {
    let at = text.rfind(['+', '-'])?;
    let number: i128 = std::str::from_utf8(names.get(&text[..at])?)
        .ok()?
        .parse()
        .ok()?;
    let more: i128 = text[at..].parse().ok()?;
    Some(number + more)
}

/// `octets` with each `from` turned into `to`.
pub(crate) fn replaced(octets: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = octets;
    while let Some(first) = rest.first() {
        if let Some(behind) = rest.strip_prefix(from.as_bytes()) {
            out.extend_from_slice(to.as_bytes());
            rest = behind;
        } else {
            out.push(*first);
            rest = &rest[1..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_stands_for_its_octets() {
        let names = Names::default()
            .with("rcpt", "a@b.example")
            .with("size", "1000");
        for (text, octets) in [
            ("NOOP\\r\\n", &b"NOOP\r\n"[..]),
            ("\\x00\\0\\\\\\{\\}\\xe9", b"\0\0\\{}\xe9"),
            ("RCPT TO:<{rcpt}>", b"RCPT TO:<a@b.example>"),
            ("SIZE={size+1} SIZE={size-1}", b"SIZE=1001 SIZE=999"),
            ("{3*ab{2*c}\\r}", b"abcc\rabcc\rabcc\r"),
            ("{octets:{size+1*x}}{octets:{size*x}}", b"10011000"),
            ("{base64:\\0{rcpt}}", b"AGFAYi5leGFtcGxl"),
            ("{octets:a\\r\\n}", b"3"),
            ("", b""),
        ] {
            assert_eq!(expand(text, &names).unwrap(), octets, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        let names = Names::default();
        for text in ["{", "}", "\\q", "\\x0", "{9999999999*ab}", "\\"] {
            assert!(
                matches!(expand(text, &names), Err(Failure::Syntax(_))),
                "{text}"
            );
        }
        assert_eq!(
            expand("{size+1}", &names),
            Err(Failure::Name("size+1".to_owned()))
        );
    }
}
