//! What a pattern wants of a reply besides its code.

use std::net::IpAddr;

use crate::reply::Reply;

#[derive(Debug)]
pub(crate) enum Condition {
    Keyword { wanted: bool, keyword: String },
    Text { wanted: bool, text: Vec<u8> },
    Is(Vec<u8>),
    Single,
    Named,
    Hello,
    Registered,
    Enhanced,
    Listed,
    Plain,
    Mechanisms,
}

/// Subject and detail of the enhanced status codes in IANA's registry (RFC 5248), but for the details of 3.
const LISTED: &[&str] = &[
    "0.0", "1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9", "1.10", "2.0",
    "2.1", "2.2", "2.3", "2.4", "3.0", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "4.0", "4.1",
    "4.2", "4.3", "4.4", "4.5", "4.6", "4.7", "5.0", "5.1", "5.2", "5.3", "5.4", "5.5", "5.6",
    "6.0", "6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.7", "6.8", "6.9", "6.10", "7.0", "7.1",
    "7.2", "7.3", "7.4", "7.5", "7.6", "7.7", "7.8", "7.9", "7.10", "7.11", "7.12", "7.13", "7.14",
    "7.15", "7.16", "7.17", "7.18", "7.19", "7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26",
    "7.27", "7.28", "7.29", "7.30",
];

/// The keywords of IANA's list of service extensions, and VRFY, which may stand beside them "as a convenience" (RFC 5321
/// section 3.5.2).
const REGISTERED: &[&str] = &[
    "8BITMIME",
    "ATRN",
    "AUTH",
    "BINARYMIME",
    "BURL",
    "CHECKPOINT",
    "CHUNKING",
    "CONNEG",
    "CONPERM",
    "DELIVERBY",
    "DSN",
    "ENHANCEDSTATUSCODES",
    "ETRN",
    "EXPN",
    "FUTURERELEASE",
    "HELP",
    "LIMITS",
    "MT-PRIORITY",
    "MTRK",
    "NO-SOLICITING",
    "ONEX",
    "PIPELINING",
    "REQUIRETLS",
    "RRVS",
    "SAML",
    "SEND",
    "SIZE",
    "SMTPUTF8",
    "SOML",
    "STARTTLS",
    "SUBMITTER",
    "TURN",
    "VERB",
    "VRFY",
];

impl Condition {
    pub(crate) fn holds(&self, reply: &Reply) -> bool {
        match self {
            Self::Keyword { wanted, keyword } => {
                let has = reply.texts().any(|text| {
                    let word = text
                        .split(|&b| b == b' ' || b == b'=')
                        .next()
                        .unwrap_or_default();
                    word.eq_ignore_ascii_case(keyword.as_bytes())
                });
                has == *wanted
            }
            Self::Text { wanted, text } => {
                let has = reply.texts().any(|line| {
                    text.is_empty() || line.windows(text.len()).any(|part| part == text)
                });
                has == *wanted
            }
            Self::Is(text) => {
                let line = reply.lines[0].strip_suffix(b"\r");
                reply.lines.len() == 1 && line == Some(text)
            }
            Self::Enhanced => {
                let first = reply.texts().next().and_then(Reply::enhanced);
                first.is_some_and(|code| code.as_bytes().first() == reply.code().as_bytes().first())
                    && reply.texts().all(|text| Reply::enhanced(text) == first)
            }
            Self::Listed => reply.texts().all(|text| {
                let detail = Reply::enhanced(text).and_then(|code| code.split_once('.'));
                detail.is_some_and(|(_, detail)| LISTED.contains(&detail))
            }),
            Self::Plain => reply.texts().all(|text| Reply::enhanced(text).is_none()),
            Self::Named => {
                let text = reply.texts().next().unwrap_or_default();
                let word = text.split(|&b| b == b' ').next().unwrap_or_default();
                let word = String::from_utf8_lossy(word);
                let word = word.trim_matches(['[', ']']);
                !word.is_empty() && word.parse::<IpAddr>().is_err()
            }
            Self::Single => reply.lines.len() == 1,
            Self::Mechanisms => mechanisms(reply).is_some_and(|words| are_mechanisms(&words)),
            Self::Hello => has_form_of_hello(reply),
            Self::Registered => keywords(reply).all(|word| {
                let known = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
                matches!(word.first(), Some(b'X' | b'x'))
                    || REGISTERED.iter().any(|name| known(name))
            }),
        }
    }
}

/// The first word of each line but the first.
fn keywords(reply: &Reply) -> impl Iterator<Item = &[u8]> {
    reply
        .texts()
        .skip(1)
        .map(|text| text.split(|&b| b == b' ').next().unwrap_or_default())
}

/// What stands behind AUTH (RFC 4954 section 3).
fn mechanisms(reply: &Reply) -> Option<Vec<&[u8]>> {
    reply.texts().skip(1).find_map(|text| {
        let mut words = text.split(|&b| b == b' ');
        let keyword = words.next()?;
        keyword
            .eq_ignore_ascii_case(b"AUTH")
            .then(|| words.collect())
    })
}

/// Whether they are one or more, each of the form that RFC 4422 section 3.1 has for a mechanism's name.
fn are_mechanisms(words: &[&[u8]]) -> bool {
    let in_name = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    let fits = |word: &&[u8]| (1..=20).contains(&word.len()) && word.iter().all(in_name);
    !words.is_empty() && words.iter().all(fits)
}

/// RFC 5321 section 4.1.1.1: the host's name first, then a keyword a line.
fn has_form_of_hello(reply: &Reply) -> bool {
    let host = reply.texts().next().unwrap_or_default();
    let host = host.split(|&b| b == b' ').next().unwrap_or_default();
    let in_name = |b: &u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(b);
    let is_keyword = |word: &[u8]| {
        word.first().is_some_and(u8::is_ascii_alphanumeric)
            && word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    !host.is_empty() && host.iter().all(in_name) && keywords(reply).all(is_keyword)
}
