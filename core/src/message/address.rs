//! Address lists as header fields hold them (RFC 5322 section 3.4): names, quotes, comments and groups.
//!
//! The envelope is made from what is read here, so nothing is guessed: what is not clearly an address is an error. Two
//! liberties are taken because they are common and harmless: dots and `@` in a name before `<`, and empty list items.

use std::collections::HashSet;

use crate::proto::{Envelope, ForwardPath, Mailbox, Recipient, ReversePath};

use super::words;

/// A mailbox and the name shown with it. Its domain is in ASCII; its local part need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) name: Option<String>,
    pub(super) mailbox: Mailbox,
}

/// The addresses of a list, in order; those of groups are among them.
#[derive(Debug, Default)]
pub(super) struct AddressList {
    pub(super) addresses: Vec<Address>,
    /// Whether a group stood in the list.
    pub(super) grouped: bool,
}

/// Parses a list. The error says what is wrong.
pub(super) fn parse(text: &str) -> Result<AddressList, String> {
    let mut list = AddressList::default();
    let mut in_group = false;
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut tokens = tokens(text)?.into_iter();
    while let Some(word) = tokens.next() {
        match word.token {
            Token::Special(b',') => list.take(&mut words)?,
            Token::Special(b':') => {
                let is_name = !words.is_empty() && words.iter().all(|word| !word.is(b'@'));
                if in_group || !is_name {
                    return Err(": ends the name of a group, and stands nowhere else".to_owned());
                }
                words.clear();
                in_group = true;
                list.grouped = true;
            }
            Token::Special(b';') => {
                if !in_group {
                    return Err("; ends a group; addresses are separated by commas".to_owned());
                }
                list.take(&mut words)?;
                in_group = false;
            }
            Token::Special(b'<') => {
                let mut inside = Vec::new();
                loop {
                    match tokens.next() {
                        Some(word) if word.is(b'>') => break,
                        Some(word) => inside.push(word),
                        None => return Err("the > behind an address is missing".to_owned()),
                    }
                }
                let name = name(&words);
                words.clear();
                list.addresses.push(Address {
                    name,
                    mailbox: mailbox(&inside)?,
                });
                // Only a separator may follow.
                match tokens.next().map(|word| word.token) {
                    None | Some(Token::Special(b',')) => {}
                    Some(Token::Special(b';')) if in_group => in_group = false,
                    Some(_) => return Err("addresses are separated by commas".to_owned()),
                }
            }
            _ => words.push(word),
        }
    }
    if in_group {
        return Err("the ; that ends a group is missing".to_owned());
    }
    list.take(&mut words)?;
    Ok(list)
}

/// The same mailboxes in the same order, each once.
pub(super) fn each_once(mailboxes: impl IntoIterator<Item = Mailbox>) -> Vec<Mailbox> {
    let mut seen = HashSet::new();
    let mut once: Vec<_> = mailboxes.into_iter().collect();
    once.retain(|mailbox| seen.insert(mailbox.clone()));
    once
}

/// An envelope without parameters.
pub(super) fn envelope(reverse_path: ReversePath, mailboxes: Vec<Mailbox>) -> Envelope {
    let mut envelope = Envelope::new(reverse_path);
    for mailbox in mailboxes {
        envelope.push(Recipient::new(ForwardPath::Mailbox(mailbox)));
    }
    envelope
}

impl AddressList {
    /// Adds what was gathered since the last separator, an address without a name.
    fn take(&mut self, words: &mut Vec<Word<'_>>) -> Result<(), String> {
        if !words.is_empty() {
            let mailbox = mailbox(words)?;
            self.addresses.push(Address {
                name: None,
                mailbox,
            });
            words.clear();
        }
        Ok(())
    }
}

struct Word<'a> {
    /// White space or a comment stands before it.
    spaced: bool,
    token: Token<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// With its quotes.
    Quoted(&'a str),
    /// An atom, or a domain literal with its brackets.
    Atom(&'a str),
    /// One of `<>@,:;.`
    Special(u8),
}

impl Word<'_> {
    fn is(&self, special: u8) -> bool {
        self.token == Token::Special(special)
    }

    /// Whether it joins the words at its sides: white space around it has no meaning.
    fn joins(&self) -> bool {
        self.is(b'.') || self.is(b'@')
    }
}

fn tokens(text: &str) -> Result<Vec<Word<'_>>, String> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut spaced = false;
    let mut index = 0;
    while let Some(&b) = bytes.get(index) {
        // Every end below stands behind an ASCII octet or before one, so the slices are at character boundaries.
        let (token, end) = match b {
            b' ' | b'\t' | b'\r' | b'\n' => {
                spaced = true;
                index += 1;
                continue;
            }
            b'(' => {
                spaced = true;
                index = comment_end(bytes, index).ok_or("the ) of a comment is missing")?;
                continue;
            }
            b'"' => {
                let end = quoted_end(bytes, index).ok_or("a closing quote is missing")?;
                (Token::Quoted(&text[index..end]), end)
            }
            b'[' => {
                let end = memchr::memchr(b']', &bytes[index..]).ok_or("a closing ] is missing")?;
                let end = index + end + 1;
                (Token::Atom(&text[index..end]), end)
            }
            b'<' | b'>' | b'@' | b',' | b':' | b';' | b'.' => (Token::Special(b), index + 1),
            b')' | b']' | b'\\' => {
                let character = char::from(b);
                return Err(format!(
                    "{character} stands where it has no meaning; a name with such characters goes in quotes"
                ));
            }
            _ => {
                let length = bytes[index..].iter().position(|&b| ends_atom(b));
                let end = length.map_or(bytes.len(), |length| index + length);
                (Token::Atom(&text[index..end]), end)
            }
        };
        words.push(Word { spaced, token });
        spaced = false;
        index = end;
    }
    Ok(words)
}

fn ends_atom(b: u8) -> bool {
    b" \t\r\n()<>[]@,:;.\\\"".contains(&b)
}

/// The index behind a comment. Comments nest (RFC 5322 section 3.2.2).
fn comment_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut index = start;
    loop {
        match bytes.get(index)? {
            b'\\' => index += 1,
            b'(' => depth += 1,
            b')' if depth == 1 => return Some(index + 1),
            b')' => depth -= 1,
            _ => {}
        }
        index += 1;
    }
}

/// The index behind a quoted string.
fn quoted_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut index = start + 1;
    loop {
        match bytes.get(index)? {
            b'\\' => index += 1,
            b'"' => return Some(index + 1),
            _ => {}
        }
        index += 1;
    }
}

/// The words of an addr-spec as a mailbox (RFC 5322 section 3.4.1). Comments and white space may stand around `@` and dots.
fn mailbox(words: &[Word<'_>]) -> Result<Mailbox, String> {
    let mut text = String::new();
    for (index, word) in words.iter().enumerate() {
        if index > 0 && !word.joins() && !words[index - 1].joins() {
            return Err(
                "an address stands alone or in <> behind a name, and commas separate addresses"
                    .to_owned(),
            );
        }
        match word.token {
            Token::Quoted(raw) | Token::Atom(raw) => text.push_str(raw),
            Token::Special(b @ (b'.' | b'@')) => text.push(char::from(b)),
            Token::Special(_) => return Err("in <> stands one address and nothing else".to_owned()),
        }
    }
    let mailbox: Mailbox = text
        .parse()
        .map_err(|error| format!("{text:?}: {error} (a name with a comma goes in quotes)"))?;
    // A-labels are understood in every header, and their length is bounded, so that an address fits on a line.
    Ok(mailbox.with_ascii_domain())
}

/// The words before `<` as a name, quoting undone and encoded words read (RFC 2047 section 5).
fn name(words: &[Word<'_>]) -> Option<String> {
    let mut name = String::new();
    let mut after_encoded = false;
    for (index, word) in words.iter().enumerate() {
        let decoded = match word.token {
            Token::Atom(raw) => words::decode(raw),
            _ => None,
        };
        let encoded = decoded.is_some();
        // White space between two encoded words is not part of the text (RFC 2047 section 6.2).
        if index > 0 && word.spaced && !(encoded && after_encoded) {
            name.push(' ');
        }
        after_encoded = encoded;
        match word.token {
            Token::Quoted(raw) => unquote(raw, &mut name),
            Token::Atom(raw) => name.push_str(decoded.as_deref().unwrap_or(raw)),
            Token::Special(b) => name.push(char::from(b)),
        }
    }
    (!name.is_empty()).then_some(name)
}

fn unquote(raw: &str, name: &mut String) {
    let mut escaped = false;
    for c in raw[1..raw.len() - 1].chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            name.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<(Option<String>, String)> {
        let list = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let pair = |address: Address| (address.name, address.mailbox.to_string());
        list.addresses.into_iter().map(pair).collect()
    }

    fn one(text: &str) -> (Option<String>, String) {
        let mut all = read(text);
        assert_eq!(all.len(), 1, "{text}");
        all.remove(0)
    }

    #[test]
    fn one_address_is_read_with_its_name() {
        for (text, name, mailbox) in [
            ("a@b", None, "a@b"),
            (" <a@b> ", None, "a@b"),
            ("Ada Lovelace <a@b>", Some("Ada Lovelace"), "a@b"),
            ("Ada  \t Lovelace<a@b>", Some("Ada Lovelace"), "a@b"),
            ("\"Lovelace, Ada\" <a@b>", Some("Lovelace, Ada"), "a@b"),
            ("\"a \\\"b\\\\\" <a@b>", Some("a \"b\\"), "a@b"),
            ("Dr. A. Müller <a@b>", Some("Dr. A. Müller"), "a@b"),
            ("a@b <c@d>", Some("a@b"), "c@d"),
            ("O'Neil \"X\" <a@b>", Some("O'Neil X"), "a@b"),
            ("a@b (a comment (nested \\) ) here)", None, "a@b"),
            ("a(x) . b @ (y) c", None, "a.b@c"),
            ("\"a b\"@c", None, "\"a b\"@c"),
            ("\"<x@y>, \" <\"a@b\"@c>", Some("<x@y>, "), "\"a@b\"@c"),
            ("a@[192.0.2.1]", None, "a@[192.0.2.1]"),
            (
                "=?utf-8?q?Zo=C3=AB?= =?utf-8?b?IFg=?= Y <a@b>",
                Some("Zoë X Y"),
                "a@b",
            ),
            ("\"=?utf-8?q?a?=\" <a@b>", Some("=?utf-8?q?a?="), "a@b"),
            (
                "Zoë <zoe@bücher.example>",
                Some("Zoë"),
                "zoe@xn--bcher-kva.example",
            ),
            ("zoë . (x) m@b", None, "zoë.m@b"),
            (
                "Zoë <\"zo ë\"@bücher.example>",
                Some("Zoë"),
                "\"zo ë\"@xn--bcher-kva.example",
            ),
        ] {
            assert_eq!(
                one(text),
                (name.map(str::to_owned), mailbox.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn lists_and_groups_are_read_in_order() {
        let mailboxes = |text| {
            read(text)
                .into_iter()
                .map(|pair| pair.1)
                .collect::<Vec<_>>()
        };
        assert_eq!(mailboxes("a@b, \"x,y\" <c@d>,,e@f,"), ["a@b", "c@d", "e@f"]);
        assert_eq!(
            mailboxes("A group: a@b, X <c@d>;, e@f"),
            ["a@b", "c@d", "e@f"]
        );
        assert!(mailboxes("undisclosed-recipients:;").is_empty());
        assert!(mailboxes("").is_empty());
        assert!(parse("g:;").unwrap().grouped);
        assert!(!parse("a@b").unwrap().grouped);
    }

    #[test]
    fn what_is_not_clearly_an_address_is_refused() {
        for text in [
            "a",
            "Lovelace, Ada <a@b>",
            "a@b c@d",
            "a b@c",
            "a@b@c",
            "a@b; c@d",
            "<a@b> <c@d>",
            "<a@b> x",
            "<a@b",
            "<>",
            "X <>",
            "<a@b, c@d>",
            "<@x:a@b>",
            "<<a@b>>",
            "a@b>",
            "a@b)c@d",
            "(a@b",
            "\"a@b",
            "a@[1.2.3.4",
            "g: a@b",
            "g: h: a@b;;",
            "a@b: c@d;",
            ": a@b;",
            "a\\@b",
            "a@b <",
            "ü@b c",
            "\u{fc}\u{85}@b",
            "\u{fc}\u{2028}@b",
            "\u{202e}a@b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_name_in_quotes_is_read_back(name in "[^\\p{C}]{1,40}") {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(one(&format!("\"{quoted}\" <a@b>")), (Some(name), "a@b".to_owned()));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}|[\"@.<>(),:;\\[\\] a-cü\\\\\r\n\0]{0,24}") {
            let _ = parse(&text);
        }
    }
}
