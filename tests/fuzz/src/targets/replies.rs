//! A server's replies: read within bounds, safe to show, and printed as they would be read.

use mailwire::proto::{Capabilities, EnhancedStatus, Reply, ReplyGatherer, Violation, limits};

/// Lines of replies, ended by CRLF.
pub(crate) fn reply(input: &[u8]) {
    let mut gatherer = ReplyGatherer::default();
    for line in lines(input) {
        match gatherer.line(line) {
            Ok(Some(reply)) => check(&reply),
            Ok(None) => {}
            Err(violation) => {
                assert!(
                    !violation
                        .to_string()
                        .chars()
                        .any(|c| c.is_control() && c != '\t'),
                    "safe to show"
                );
                return;
            }
        }
    }
}

fn check(reply: &Reply) {
    assert!((200..600).contains(&reply.code()));
    assert!(
        reply.text().len() <= limits::REPLY_SIZE && reply.lines().count() <= limits::REPLY_LINES
    );
    assert!(
        reply
            .text()
            .chars()
            .all(|c| !c.is_control() || c == '\n' || c == '\t'),
        "{:?} is not safe to show",
        reply.text()
    );
    if let Some(enhanced) = reply.enhanced() {
        // RFC 2034 section 4: the class is the first digit of the code.
        assert_eq!(u16::from(enhanced.class()), reply.code() / 100);
        assert_eq!(EnhancedStatus::parse(&enhanced.to_string()), Some(enhanced));
    }
    // A reply of ours with the same text is one that we can read again.
    let Ok(ours) = Reply::multiline(reply.code(), reply.lines()) else {
        return;
    };
    let mut wire = Vec::new();
    ours.write_to(&mut wire, false);
    let mut gatherer = ReplyGatherer::default();
    let mut read = None;
    for line in lines(&wire) {
        assert!(read.is_none(), "one reply");
        assert!(line.len() <= 510, "RFC 5321 section 4.5.3.1.5");
        assert!(
            line.iter()
                .all(|octet| matches!(octet, b'\t' | b' '..=b'~')),
            "{} is not clean",
            line.escape_ascii()
        );
        read = gatherer.line(line).unwrap_or_default();
    }
    assert_eq!(
        read.map(|read| read.code()),
        Some(reply.code()),
        "{}",
        wire.escape_ascii()
    );
}

/// The lines of a reply to EHLO, each without the `250-` in front.
pub(crate) fn ehlo(input: &[u8]) {
    let mut gatherer = ReplyGatherer::default();
    let mut all: Vec<&[u8]> = lines(input).collect();
    let last = all.pop().unwrap_or_default();
    for line in all {
        match gatherer.line(&[b"250-", line].concat()) {
            Ok(reply) => assert!(reply.is_none(), "the reply goes on"),
            Err(Violation::ReplyTooLong) => return,
            Err(violation) => panic!("{violation}"),
        }
    }
    let Ok(Some(reply)) = gatherer.line(&[b"250 ", last].concat()) else {
        return;
    };
    check(&reply);
    let capabilities = Capabilities::from_reply(&reply);
    assert!(
        capabilities.iter().count() < limits::REPLY_LINES,
        "no more than there are lines"
    );
    for (keyword, _) in capabilities.iter() {
        assert!(!keyword.is_empty() && !keyword.contains([' ', '\t']));
        assert!(capabilities.has(keyword), "{keyword} is kept");
        assert!(
            capabilities.has(&keyword.to_ascii_lowercase()),
            "keywords have no case"
        );
        assert!(capabilities.parameters(keyword).is_some());
    }
    assert!(capabilities.size_limit().is_none() || capabilities.has("SIZE"));
    for mechanism in capabilities.auth_mechanisms() {
        assert!(!mechanism.is_empty() && !mechanism.contains([' ', '\t']));
    }
}

/// What stands before each CRLF, and behind the last.
fn lines(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.windows(2).position(|pair| pair == b"\r\n");
        rest = end
            .map(|end| &text[end + 2..])
            .filter(|rest| !rest.is_empty());
        Some(end.map_or(text, |end| &text[..end]))
    })
}
