//! Patterns of what must come from a server, or from a client.
//!
//! A pattern is one or more alternatives separated by ` | `; those behind ` ~ ` are allowed by the RFCs too, but are not what we
//! do. An alternative is one of
//!
//! - `250`, `5yz`: the code, or only its first digit or two
//! - `250 2.1.0`: with this enhanced status code; of a server that is not ours only the code counts, for no RFC says which
//!   enhanced one belongs where
//! - and behind it `has KEYWORD`, `has "text"`, `lacks KEYWORD`, `lacks "text"`, `is "line"` (there is one line, and it is just
//!   that), `named` (its first word is no address), `single` (there is one line), `hello` (of the form of a reply to EHLO), `registered` (its keywords are),
//!   `enhanced` (each line has one enhanced status code, of the reply's class), `listed` (a registered one), `plain` (none), `mechanisms` (its
//!   AUTH names one or more, each in the form of a mechanism's name)
//! - `close`: the server ends the connection, and with it the conversation
//! - `nothing`: the server stays silent
//!
//! Of a client an alternative is the text of a whole line, where `{*}` stands for any octets; or `close`, or `nothing`.
//!
//! A `!` behind an alternative ends the conversation there, as `close` does. `3 x 250` stands for three replies.

use crate::condition::Condition;
use crate::reply::{Heard, Reply};
use crate::template::{Names, expand};

/// A pattern.
#[derive(Debug)]
pub struct Pattern {
    /// How often it is to be met in a row.
    pub count: usize,
    alternatives: Vec<Alternative>,
}

#[derive(Debug)]
struct Alternative {
    latitude: bool,
    last: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Close,
    Nothing,
    /// What stands between the octets that do not matter.
    Line(Vec<Vec<u8>>),
    Reply {
        code: String,
        enhanced: Option<String>,
        conditions: Vec<Condition>,
    },
}

/// How well a pattern was met, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Match {
    /// As it says.
    Exactly,
    /// As it says, with another enhanced status code or none.
    ButEnhanced,
    /// By an alternative that is allowed and not ours.
    Latitude,
    /// Not.
    No,
}

impl Pattern {
    /// Reads a pattern of replies. The error says what cannot be read.
    pub fn read(text: &str, names: &Names) -> Result<Self, String> {
        Self::read_by(text, names, kind)
    }

    /// Reads a pattern of a client's lines. The error says what cannot be read.
    pub fn read_line(text: &str, names: &Names) -> Result<Self, String> {
        Self::read_by(text, names, line)
    }

    fn read_by(
        text: &str,
        names: &Names,
        kind: fn(&str, &Names) -> Result<Kind, String>,
    ) -> Result<Self, String> {
        let (count, text) = match text.split_once(" x ") {
            Some((count, rest)) => (
                count
                    .parse()
                    .map_err(|_| format!("{count:?} is no number"))?,
                rest,
            ),
            None => (1, text),
        };
        let mut alternatives = Vec::new();
        for (place, part) in text.split(" ~ ").enumerate() {
            for one in part.split(" | ") {
                let one = one.trim();
                let (one, last) = match one.strip_suffix('!') {
                    Some(one) => (one, true),
                    None => (one, one == "close"),
                };
                alternatives.push(Alternative {
                    latitude: place > 0,
                    last,
                    kind: kind(one, names)?,
                });
            }
        }
        Ok(Self {
            count,
            alternatives,
        })
    }

    /// Whether silence is what should come, or one of the things, so that it is waited for less long. Where it is latitude only, a
    /// reply may just be late.
    pub fn takes_silence(&self) -> bool {
        self.alternatives
            .iter()
            .any(|one| matches!(one.kind, Kind::Nothing) && !one.latitude)
    }

    /// How well what was heard meets it, and whether that ends the conversation.
    pub fn meets(&self, heard: &Heard) -> (Match, bool) {
        let each = self.alternatives.iter().map(|one| {
            let how = match one.kind.meets(heard) {
                Match::No => Match::No,
                _ if one.latitude => Match::Latitude,
                how => how,
            };
            (how, one.last)
        });
        each.min_by_key(|(how, _)| *how)
            .unwrap_or((Match::No, false))
    }
}

fn line(text: &str, names: &Names) -> Result<Kind, String> {
    if let Some(silence) = silence(text) {
        return Ok(silence);
    }
    let parts = text.split("{*}").map(|part| expand(part, names));
    let parts = parts.collect::<Result<_, _>>();
    parts.map(Kind::Line).map_err(|error| error.to_string())
}

fn silence(text: &str) -> Option<Kind> {
    match text {
        "close" => Some(Kind::Close),
        "nothing" => Some(Kind::Nothing),
        _ => None,
    }
}

/// Whether `octets` are these parts with anything in between.
fn is_made_of(octets: &[u8], parts: &[Vec<u8>]) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|whole| whole == octets);
    };
    let Some(mut rest) = octets
        .strip_prefix(first.as_slice())
        .and_then(|rest| rest.strip_suffix(last.as_slice()))
    else {
        return false;
    };
    for part in middle {
        let place = rest
            .windows(part.len().max(1))
            .position(|window| window == part.as_slice());
        let Some(place) = place else {
            return false;
        };
        rest = &rest[place + part.len()..];
    }
    true
}

fn kind(text: &str, names: &Names) -> Result<Kind, String> {
    if let Some(silence) = silence(text) {
        return Ok(silence);
    }
    let (code, mut rest) = text.split_once(' ').unwrap_or((text, ""));
    let fits = code.len() == 3
        && code
            .bytes()
            .zip(*b"0yz")
            .all(|(b, wild)| b.is_ascii_digit() || b == wild);
    if !fits {
        return Err(format!("{code:?} is no code of a reply"));
    }
    let mut enhanced = None;
    let mut conditions = Vec::new();
    while !rest.is_empty() {
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        if enhanced.is_none() && word.starts_with(|c: char| c.is_ascii_digit()) {
            enhanced = Some(word.to_owned());
            rest = behind;
            continue;
        }
        let bare = match word {
            "named" => Some(Condition::Named),
            "single" => Some(Condition::Single),
            "hello" => Some(Condition::Hello),
            "registered" => Some(Condition::Registered),
            "enhanced" => Some(Condition::Enhanced),
            "listed" => Some(Condition::Listed),
            "plain" => Some(Condition::Plain),
            "mechanisms" => Some(Condition::Mechanisms),
            _ => None,
        };
        if let Some(bare) = bare {
            conditions.push(bare);
            rest = behind;
            continue;
        }
        let wanted = word != "lacks";
        if !matches!(word, "has" | "lacks" | "is") {
            return Err(format!("{word:?} is no condition"));
        }
        if let Some(quoted) = behind.strip_prefix('"') {
            let (inner, after) = quoted.split_once('"').ok_or("a quote without an end")?;
            let text = expand(inner, names).map_err(|error| error.to_string())?;
            conditions.push(if word == "is" {
                Condition::Is(text)
            } else {
                Condition::Text { wanted, text }
            });
            rest = after.trim_start();
        } else {
            let (keyword, after) = behind.split_once(' ').unwrap_or((behind, ""));
            conditions.push(Condition::Keyword {
                wanted,
                keyword: keyword.to_owned(),
            });
            rest = after;
        }
    }
    Ok(Kind::Reply {
        code: code.to_owned(),
        enhanced,
        conditions,
    })
}

impl Kind {
    fn meets(&self, heard: &Heard) -> Match {
        match (self, heard) {
            (Self::Close, Heard::Close) | (Self::Nothing, Heard::Nothing) => Match::Exactly,
            (Self::Line(parts), Heard::Line(line)) if is_made_of(line, parts) => Match::Exactly,
            (
                Self::Reply {
                    code,
                    enhanced,
                    conditions,
                },
                Heard::Reply(reply),
            ) => {
                let same = |(wanted, got): (u8, u8)| wanted == got || wanted.is_ascii_lowercase();
                if !code.bytes().zip(reply.code().bytes()).all(same)
                    || !conditions.iter().all(|one| one.holds(reply))
                {
                    return Match::No;
                }
                let first = reply.texts().next().and_then(Reply::enhanced);
                if enhanced.is_some() && enhanced.as_deref() != first {
                    Match::ButEnhanced
                } else {
                    Match::Exactly
                }
            }
            _ => Match::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Taken;

    fn reply(text: &str) -> Heard {
        let mut octets = text.as_bytes().to_vec();
        match Reply::take(&mut octets) {
            Taken::Reply(reply) => Heard::Reply(reply),
            other => panic!("{other:?}"),
        }
    }

    fn meets(pattern: &str, heard: &Heard) -> Match {
        Pattern::read(pattern, &Names::default())
            .unwrap()
            .meets(heard)
            .0
    }

    #[test]
    fn patterns_are_met_exactly_with_latitude_or_not() {
        let bad = reply("501 5.5.4 no such thing\r\n");
        for (pattern, wanted) in [
            ("501", Match::Exactly),
            ("5yz", Match::Exactly),
            ("50z 5.5.4", Match::Exactly),
            ("501 5.5.2", Match::ButEnhanced),
            ("501 5.5.2 ~ 501", Match::ButEnhanced),
            ("501 5.5.2 | 501", Match::Exactly),
            ("500 | 501", Match::Exactly),
            ("500 ~ 501", Match::Latitude),
            ("500 ~ 5yz | close", Match::Latitude),
            ("250", Match::No),
            ("close", Match::No),
            ("501 has \"such\"", Match::Exactly),
            ("501 lacks \"such\"", Match::No),
            ("501 is \"501 5.5.4 no such thing\"", Match::Exactly),
            ("501 single", Match::Exactly),
        ] {
            assert_eq!(meets(pattern, &bad), wanted, "{pattern}");
        }
        assert_eq!(meets("nothing | 250", &Heard::Nothing), Match::Exactly);
        assert_eq!(meets("5yz | close", &Heard::Close), Match::Exactly);
    }

    #[test]
    fn keywords_are_first_words_of_lines_in_any_case() {
        let hello =
            reply("250-mx.example.org\r\n250-Size 1000\r\n250-AUTH=LOGIN\r\n250 8BITMIME\r\n");
        assert_eq!(
            meets("250 has SIZE has AUTH lacks STARTTLS", &hello),
            Match::Exactly
        );
        assert_eq!(meets("250 has 1000", &hello), Match::No);
        assert_eq!(meets("250 single", &hello), Match::No);
        assert_eq!(meets("250 hello", &hello), Match::No);
        let hello = reply("250-mx.example.org hi\r\n250-X-Y\r\n250 DSN\r\n");
        assert_eq!(meets("250 hello registered", &hello), Match::Exactly);
        assert_eq!(meets("250 plain", &hello), Match::Exactly);
        let help = reply("214-2.0.0 a\r\n214 2.0.0 b\r\n");
        assert_eq!(meets("214 enhanced listed", &help), Match::Exactly);
        assert_eq!(meets("214 plain", &help), Match::No);
        for odd in ["214-2.0.0 a\r\n214 b\r\n", "550 2.0.0 a\r\n", "250 OK\r\n"] {
            assert_eq!(
                meets("0yz enhanced".replace('0', &odd[..1]).as_str(), &reply(odd)),
                Match::No
            );
        }
        for (greeting, wanted) in [
            ("220 mx.example.org ESMTP [ready]\r\n", Match::Exactly),
            ("220 [192.0.2.1] ESMTP\r\n", Match::No),
            ("220 192.0.2.1 ESMTP\r\n", Match::No),
            ("220 \r\n", Match::No),
        ] {
            assert_eq!(meets("220 named", &reply(greeting)), wanted, "{greeting}");
        }
        assert_eq!(meets("550 listed", &reply("550 5.9.9 a\r\n")), Match::No);
        let hello = reply("250-mx.example.org hi\r\n250 FOO\r\n");
        assert_eq!(meets("250 registered", &hello), Match::No);
    }

    #[test]
    fn a_line_is_met_with_anything_where_nothing_is_wanted() {
        let line = Heard::Line(b"AUTH SCRAM-SHA-256 abc=".to_vec());
        for (pattern, wanted) in [
            ("AUTH SCRAM-SHA-256 abc=", true),
            ("AUTH {*}", true),
            ("AUTH {*} abc{*}", true),
            ("AUTH {*} abc= | QUIT", true),
            ("QUIT | {*}", true),
            ("AUTH", false),
            ("AUTH {*}x{*}", false),
            ("{*} abc", false),
            ("nothing", false),
            ("close", false),
        ] {
            let pattern = Pattern::read_line(pattern, &Names::default()).unwrap();
            assert_eq!(
                pattern.meets(&line).0 == Match::Exactly,
                wanted,
                "{pattern:?}"
            );
        }
        let short = Heard::Line(b"ab".to_vec());
        let pattern = Pattern::read_line("ab{*}b", &Names::default()).unwrap();
        assert_eq!(
            pattern.meets(&short).0,
            Match::No,
            "the parts do not overlap"
        );
    }

    #[test]
    fn an_alternative_may_be_the_last() {
        let pattern = Pattern::read("503! | 220 ~ close", &Names::default()).unwrap();
        assert_eq!(pattern.meets(&reply("503 no\r\n")), (Match::Exactly, true));
        assert_eq!(pattern.meets(&reply("220 go\r\n")), (Match::Exactly, false));
        assert_eq!(pattern.meets(&Heard::Close), (Match::Latitude, true));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "25", "abc", "250 with X", "250 has \"x", "n x 250"] {
            assert!(Pattern::read(text, &Names::default()).is_err(), "{text:?}");
        }
    }
}
