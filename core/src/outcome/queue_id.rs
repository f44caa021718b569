//! The queue id in a server's last reply. No standard has a place for it; each kind of server has a form of its own.

/// The id in the text of a reply, where that has a form that is known. What only may be one is none: a wrong id is worse to whoever looks
/// for a message than none.
pub(super) fn queue_id(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    named(text).or_else(|| whole(&words))
}

/// The id stands behind words that name it, wherever they are.
fn named(text: &str) -> Option<&str> {
    // Postfix, and many after it; Exim.
    [("queued as ", false), ("id=", false), ("InternalId=", true)]
        .into_iter()
        .find_map(|(mark, of_exchange)| {
            let id = behind(text, mark)?;
            let is_id = if of_exchange {
                // Behind the bracket are its size and speed in some versions.
                has_only(id, |b| b.is_ascii_digit()) && ends_with(text, "Queued mail for delivery")
            } else {
                is_id(id)
            };
            is_id.then_some(id)
        })
}

/// The whole reply has the form of some server.
fn whole<'a>(words: &[&'a str]) -> Option<&'a str> {
    match *words {
        // Google: `OK  1732650000 d9443c01a7336-2129dba22f1si1 - gsmtp`.
        [ok, time, id, "-", "gsmtp"]
            if is("OK", ok) && has_only(time, |b| b.is_ascii_digit()) && is_id(id) =>
        {
            Some(id)
        }
        // Amazon SES: `Ok 0100018f…-000000`.
        [ok, id] if is("Ok", ok) && is_grouped(id, &[16, 8, 4, 4, 4, 12, 6]) => Some(id),
        // OpenSMTPD and sendmail.
        [id, message, accepted, for_, delivery]
            if is("Message", message)
                && is("accepted", accepted)
                && is("for", for_)
                && is("delivery", delivery)
                && id.len() >= 6
                && has_only(id, |b| b.is_ascii_alphanumeric())
                && is_id(id) =>
        {
            Some(id)
        }
        // qmail: the time, and the number that its log has.
        [ok, time, qp, id]
            if is("ok", ok)
                && is("qp", qp)
                && [time, id]
                    .iter()
                    .all(|w| has_only(w, |b| b.is_ascii_digit())) =>
        {
            Some(id)
        }
        // Haraka: a UUID, and a number behind it.
        [message, queued, id] if is("Message", message) && is("Queued", queued) => {
            let id = id.strip_prefix('(')?.strip_suffix(')')?;
            let (uuid, number) = id.split_once('.').unwrap_or((id, "1"));
            (is_grouped(uuid, &[8, 4, 4, 4, 12]) && has_only(number, |b| b.is_ascii_digit()))
                .then_some(id)
        }
        // Dovecot's LMTP.
        [recipient, id, saved]
            if is("Saved", saved)
                && recipient.starts_with('<')
                && recipient.ends_with('>')
                && id.len() >= 5
                && has_only(id, |b| b.is_ascii_alphanumeric() || b"+/:".contains(&b)) =>
        {
            Some(id)
        }
        _ => None,
    }
}

/// What stands behind a mark that begins a word, up to a space or what closes or lists.
fn behind<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let begins = |at: usize| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | ',' | ';'))
    };
    let at = text.char_indices().map(|(at, _)| at).find(|&at| {
        let here = text.get(at..at + mark.len());
        here.is_some_and(|here| is(mark, here)) && begins(at)
    })?;
    let rest = &text[at + mark.len()..];
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ')' | ']' | ',' | ';'));
    let id = &rest[..end.unwrap_or(rest.len())];
    let id = id
        .strip_prefix('<')
        .and_then(|id| id.strip_suffix('>'))
        .unwrap_or(id);
    Some(id.strip_suffix('.').unwrap_or(id))
}

/// Whether it may be an id and is no word of a sentence: those have no digit and are not all in capitals.
fn is_id(id: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"-_.+/=@:".contains(&b);
    (3..=128).contains(&id.len())
        && has_only(id, is_part)
        && id.bytes().any(|b| b.is_ascii_alphanumeric())
        && (id.bytes().any(|b| b.is_ascii_digit()) || !id.bytes().any(|b| b.is_ascii_lowercase()))
}

fn is(expected: &str, word: &str) -> bool {
    word.eq_ignore_ascii_case(expected)
}

fn has_only(word: &str, of: impl Fn(u8) -> bool) -> bool {
    !word.is_empty() && word.bytes().all(of)
}

fn ends_with(text: &str, end: &str) -> bool {
    let at = text.trim_end().len().checked_sub(end.len());
    at.and_then(|at| text.trim_end().get(at..))
        .is_some_and(|tail| is(end, tail))
}

/// Hexadecimal digits in groups of these lengths, with hyphens between them.
fn is_grouped(id: &str, lengths: &[usize]) -> bool {
    let groups = id.split('-');
    let are_hex = groups
        .clone()
        .all(|g| has_only(g, |b| b.is_ascii_hexdigit()));
    are_hex && groups.map(str::len).eq(lengths.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_id_is_found_where_each_server_puts_it() {
        let ses = "0100018f1c2d3e4f-1a2b3c4d-1111-2222-3333-444455556666-000000";
        let uuid = "9C7A7F2E-8A57-4B4E-9F43-0F1B2C3D4E5F.1";
        for (server, text, id) in [
            ("Postfix", "Ok: queued as 4ABCD12".to_owned(), "4ABCD12"),
            ("Postfix, long", "Ok: queued as 4XyZ0s2Bcdz1Q".to_owned(), "4XyZ0s2Bcdz1Q"),
            ("at the start", "queued as 12AB".to_owned(), "12AB"),
            ("in capitals", "QUEUED AS 12AB.".to_owned(), "12AB"),
            ("a relay", "Ok: queued as ABC (from 9F00)".to_owned(), "ABC"),
            ("Exim", "OK id=1rXyZA-000000005Xp-2abc".to_owned(), "1rXyZA-000000005Xp-2abc"),
            ("a message-id", "Message queued as <1f@mx.example>".to_owned(), "1f@mx.example"),
            (
                "Gmail",
                "OK  1732650000 d9443c01a7336-2129dba2.5 - gsmtp".to_owned(),
                "d9443c01a7336-2129dba2.5",
            ),
            ("SES", format!("Ok {ses}"), ses),
            ("OpenSMTPD", "7a1b2c3d Message accepted for delivery".to_owned(), "7a1b2c3d"),
            ("sendmail", "4AQKx1A2b3C4 Message accepted for delivery".to_owned(), "4AQKx1A2b3C4"),
            (
                "Exchange",
                "<1f@mx.example> [InternalId=4711, Hostname=MX.EXAMPLE] Queued mail for delivery".to_owned(),
                "4711",
            ),
            (
                "Exchange Online",
                "<1f@mx.example> [InternalId=4711, Hostname=MX] 9 bytes in 0.1, 83 KB/sec Queued mail for delivery"
                    .to_owned(),
                "4711",
            ),
            ("qmail", "ok 1732650000 qp 567".to_owned(), "567"),
            ("Haraka", format!("Message Queued ({uuid})"), uuid),
            ("Dovecot", "<you@example.net> Z+abcDE1 Saved".to_owned(), "Z+abcDE1"),
        ] {
            assert_eq!(queue_id(&text), Some(id), "{server}");
        }
    }

    #[test]
    fn what_only_may_be_an_id_is_none() {
        for text in [
            "",
            "Message accepted",
            "Message accepted for delivery",
            "Thanks Message accepted for delivery",
            "queued as",
            "queued as requested",
            "queued as spam (score 9)",
            "requeued as 4ABCD12",
            "Ok: queued as \u{202e}12AB",
            "Ok: queued as ...",
            "OK grid=1234",
            "OK id=",
            "<message-id=1234@mx.example> accepted",
            "[InternalId=4711] thrown away",
            "[InternalId=abc1] Queued mail for delivery",
            "Ok 1234",
            "Ok 0100018f-abc-000000",
            "OK 1732650000 d9443c01a7336-2129dba2.5 - other",
            "ok 1732650000 qp x67",
            "Message Queued (soon)",
            "Message Queued",
            "you@example.net Z+abc Saved",
            "<you@example.net> Z=<b> Saved",
            "Message Saved",
        ] {
            assert_eq!(queue_id(text), None, "{text}");
        }
    }
}
