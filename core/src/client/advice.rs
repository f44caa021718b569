//! What a refusal means, and what to try.

use crate::error::Phase;
use crate::proto::Reply;
use crate::sasl::Proof;

/// Words of replies to somebody who sends more, or faster, than the server lets him. No code says so: providers take 421, 432, 450,
/// 451, 452, 454, 550 and 554 for it.
const TOO_MUCH: [&str; 10] = [
    "throttl",
    "sending rate",
    "rate limit",
    "sending limit",
    "message quota",
    "connections limit",
    "too many messages",
    "too many connections",
    "too many login",
    "too much mail",
];

/// Words of replies that greylist: who is not known yet has to come again.
const GREYLISTED: [&str; 6] = [
    "greylist",
    "graylist",
    "grey-list",
    "gray-list",
    "grey list",
    "gray list",
];

/// What a refusal means and what to try, where the reply tells enough; else nothing.
pub(super) fn advice(phase: Phase, reply: &Reply) -> &'static str {
    if is_too_much(reply) {
        return "the server limits how much may be sent; wait, then send less or more slowly";
    }
    if is_greylisting(phase, reply) {
        return "the server asks who it does not know yet to try again later, as greylisting does: wait some minutes";
    }
    by_number(phase, reply)
        .or_else(|| by_phase(phase, reply))
        .unwrap_or_default()
}

/// What codes say by themselves.
fn by_number(phase: Phase, reply: &Reply) -> Option<&'static str> {
    Some(match (reply.code(), phase, about(reply)) {
        (535, ..) => {
            "the server did not accept the user name or password (many providers want an app password here)"
        }
        (534, ..) => "the server wants a stronger mechanism, or an app password",
        (530, _, Some((7, 0))) => {
            "the server wants STARTTLS or a login first: use tls=required and give credentials"
        }
        (530, ..) => "the server wants a login first: give a user name and password",
        (538, ..) => "the server allows a login only under TLS: use tls=required",
        (_, _, Some((2, 2))) => FULL,
        // Without more it is for the phase to tell which store is exceeded: the mailbox is named by RCPT alone. There it may also
        // stand for 452 (RFC 5321 section 4.5.3.1.10).
        (552, Phase::Rcpt, None) => {
            "the mailbox is full, or these are more recipients than the server takes at a time; try again later"
        }
        (_, _, Some((3, 4))) | (552, _, None) => TOO_LARGE,
        (_, _, Some((5, 3))) => {
            "the server takes no more recipients at a time; send to the rest again"
        }
        (452, ..) => {
            "the server is short of space or has had enough recipients for now; try again later"
        }
        (_, _, Some((1, 1))) => "there is no such mailbox; check the spelling",
        (421, ..) => "the server is closing the connection; try again later",
        _ => return None,
    })
}

/// What else a refusal means where it comes.
fn by_phase(phase: Phase, reply: &Reply) -> Option<&'static str> {
    Some(match (reply.code(), phase, about(reply)) {
        (400..=499, Phase::Greeting, _) => {
            "the server does not take connections from here now; try again later"
        }
        (_, Phase::Greeting, _) => {
            "the server does not take mail from this host at all: ask its operator why, or send through your provider's server"
        }
        (500 | 502, Phase::Hello, _) => {
            "the server does not speak this protocol: smtp:// is for SMTP, lmtp:// and lmtp+unix:// are for LMTP"
        }
        (500.., Phase::Hello, _) => "another local_hostname may help",
        (400..=499, Phase::Auth, _) => "the server cannot check logins now; try again later",
        (_, Phase::Auth, _) => {
            "the server did not let this client log in: check the account at the provider"
        }
        (500.., Phase::Rcpt, Some((7, 1))) => {
            "the server does not relay for this client; a login may be needed"
        }
        (450, Phase::Rcpt, _) | (400..=499, Phase::Rcpt, Some((2, _))) => {
            "the mailbox cannot take mail now, it may be busy; try again later"
        }
        (400..=499, ..) => "try again later",
        (_, Phase::Mail, _) => {
            "use a sender's address that this server accepts, or log in as its owner"
        }
        (_, Phase::Rcpt, _) => "check the address; its server may also refuse this sender or host",
        (_, Phase::Data | Phase::Body | Phase::EndOfData, Some((7, _))) => {
            "the server's rules forbid it, as for what looks like spam: see what it said, and change the message or its sender"
        }
        (_, Phase::Data | Phase::Body | Phase::EndOfData, _) => {
            "see what the server said, and change the message"
        }
        _ => return None,
    })
}

const FULL: &str = "the mailbox is full; its owner has to make room";
const TOO_LARGE: &str = "the message is larger than the server takes; make it smaller, or send a link to what is large in it";

/// The same for a login with that proof, or with a mechanism of the application's own.
pub(super) fn login_advice(proof: Option<Proof>, reply: &Reply) -> &'static str {
    match (reply.code(), proof) {
        _ if is_too_much(reply) => advice(Phase::Auth, reply),
        (535, Some(Proof::Token)) => {
            "the server did not accept the token; it may have expired, be another user's, or not be meant for sending mail"
        }
        (535, Some(Proof::Certificate)) => {
            "the server did not accept the client's certificate as a login; it has to know whose it is"
        }
        (535, Some(Proof::Nothing)) => {
            "the server did not accept an anonymous login; give a user name and password"
        }
        (535, None) => "the server did not let this client log in",
        _ => advice(Phase::Auth, reply),
    }
}

/// Whether the server says that it is asked for too much, or too fast.
pub(super) fn is_too_much(reply: &Reply) -> bool {
    if reply.is_positive() || reply.is_intermediate() {
        return false;
    }
    // X.4.5 is congestion (RFC 3463 section 3.5), X.7.28 a flood of mail (the IANA registry of enhanced status codes).
    if matches!(about(reply), Some((4, 5) | (7, 28))) {
        return true;
    }
    let text = reply.text().to_ascii_lowercase();
    TOO_MUCH.iter().any(|word| text.contains(word))
}

/// Whether the server wants to see first whether we come again (RFC 6647). No code is for that alone: 4.7.1 and a bare 451 are usual.
fn is_greylisting(phase: Phase, reply: &Reply) -> bool {
    let of_message = matches!(
        phase,
        Phase::Mail | Phase::Rcpt | Phase::Data | Phase::Body | Phase::EndOfData
    );
    if !reply.is_transient() || !of_message {
        return false;
    }
    let text = reply.text().to_ascii_lowercase();
    let usual = match about(reply) {
        Some(about) => about == (7, 1) && reply.code() != 421,
        None => reply.code() == 451 && phase == Phase::Rcpt,
    };
    usual || GREYLISTED.iter().any(|word| text.contains(word))
}

/// Subject and detail of the enhanced status code.
fn about(reply: &Reply) -> Option<(u16, u16)> {
    let status = reply.enhanced()?;
    Some((status.subject(), status.detail()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::proto::EnhancedStatus;

    fn reply(code: u16, enhanced: &str, text: &str) -> Reply {
        let reply = Reply::new(code, text.to_owned()).unwrap();
        match EnhancedStatus::parse(enhanced) {
            Some(enhanced) => reply.with_enhanced(enhanced).unwrap(),
            None => reply,
        }
    }

    #[test]
    fn different_faults_have_different_words() {
        let mut seen = HashMap::new();
        for (what, phase, reply) in [
            ("password", Phase::Auth, reply(535, "5.7.8", "no")),
            ("mechanism", Phase::Auth, reply(534, "5.7.9", "no")),
            ("login wanted", Phase::Mail, reply(530, "5.7.1", "no")),
            ("TLS wanted", Phase::Auth, reply(538, "5.7.11", "no")),
            ("logins", Phase::Auth, reply(454, "4.7.0", "not now")),
            ("mailbox", Phase::Rcpt, reply(550, "5.1.1", "who?")),
            ("relay", Phase::Rcpt, reply(554, "5.7.1", "denied")),
            ("greylisted", Phase::Rcpt, reply(450, "4.7.1", "greylisted")),
            ("too big", Phase::EndOfData, reply(552, "5.3.4", "big")),
            ("full", Phase::Rcpt, reply(552, "5.2.2", "over quota")),
            ("busy", Phase::Rcpt, reply(450, "4.2.0", "mailbox busy")),
            ("sender", Phase::Mail, reply(550, "", "no")),
            ("recipient", Phase::Rcpt, reply(550, "", "no")),
            ("content", Phase::EndOfData, reply(554, "", "no")),
            ("spam", Phase::EndOfData, reply(554, "5.7.1", "spam")),
            ("name", Phase::Hello, reply(550, "", "no")),
            ("protocol", Phase::Hello, reply(500, "5.5.2", "What?")),
            ("not now", Phase::Greeting, reply(450, "", "no")),
            ("not here", Phase::Greeting, reply(554, "5.7.1", "no")),
            ("recipients", Phase::Rcpt, reply(452, "4.5.3", "enough")),
            ("space", Phase::Mail, reply(452, "4.3.1", "disk")),
            ("closing", Phase::Mail, reply(421, "4.3.2", "bye")),
            ("rate", Phase::Mail, reply(454, "", "Throttling failure")),
        ] {
            let text = advice(phase, &reply);
            assert!(!text.is_empty(), "{what}");
            if let Some(other) = seen.insert(text, what) {
                panic!("{what} is told as {other} is: {text}");
            }
        }
    }

    #[test]
    fn greylisting_is_known_by_its_words_and_its_codes_and_what_is_busy_is_none() {
        for (phase, reply) in [
            (Phase::Rcpt, reply(450, "4.7.1", "come again")),
            (Phase::Rcpt, reply(451, "", "come again")),
            (Phase::Rcpt, reply(450, "4.2.0", "Greylisted for 60 s")),
            (Phase::Mail, reply(450, "", "GREYLISTED")),
            (Phase::EndOfData, reply(451, "4.7.1", "come again")),
            (Phase::EndOfData, reply(451, "4.7.0", "graylisted")),
        ] {
            assert!(advice(phase, &reply).contains("greylisting"), "{reply}");
        }
        for (phase, reply) in [
            (Phase::Rcpt, reply(450, "4.2.0", "mailbox busy")),
            (Phase::Rcpt, reply(450, "", "mailbox busy")),
            (Phase::Rcpt, reply(451, "4.3.0", "local error")),
            (Phase::EndOfData, reply(451, "", "local error")),
            (Phase::Rcpt, reply(550, "5.7.1", "greylisted")),
            (Phase::Mail, reply(421, "4.7.1", "bye")),
        ] {
            let text = advice(phase, &reply);
            assert!(!text.contains("greylisting") && !text.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_over_a_limit_without_more_is_told_by_the_phase() {
        let over = reply(552, "", "over");
        assert!(advice(Phase::Rcpt, &over).starts_with("the mailbox is full"));
        for phase in [Phase::Mail, Phase::EndOfData] {
            assert_eq!(advice(phase, &over), TOO_LARGE);
        }
        let full = reply(552, "5.2.2", "over quota");
        assert_eq!(advice(Phase::EndOfData, &full), FULL);
    }

    #[test]
    fn a_refused_login_is_told_by_what_it_was_with() {
        let refusal = reply(535, "5.7.8", "no");
        for (proof, word) in [
            (Some(Proof::Password), "password"),
            (Some(Proof::Token), "token"),
            (Some(Proof::Certificate), "certificate"),
            (Some(Proof::Nothing), "anonymous"),
            (None, "log in"),
        ] {
            let text = login_advice(proof, &refusal);
            assert!(text.contains(word), "{proof:?}: {text}");
            let other = reply(535, "", "Too many login attempts");
            assert!(login_advice(proof, &other).contains("slowly"));
            assert!(login_advice(proof, &reply(534, "5.7.9", "no")).contains("mechanism"));
        }
    }

    #[test]
    fn what_providers_say_of_their_limits_is_understood() {
        for (code, enhanced, text) in [
            (550, "5.4.5", "Daily user sending limit exceeded."),
            (421, "4.7.28", "unusual rate of mail"),
            (
                454,
                "",
                "Throttling failure: Maximum sending rate exceeded.",
            ),
            (432, "4.3.2", "Concurrent connections limit exceeded"),
            (421, "4.7.0", "Error: too many connections from 192.0.2.1"),
            (450, "4.7.1", "Error: too much mail from 192.0.2.1"),
            (
                454,
                "4.7.0",
                "Too many login attempts, please try again later",
            ),
        ] {
            assert!(is_too_much(&reply(code, enhanced, text)), "{text}");
        }
        for (code, enhanced, text) in [
            (552, "5.2.2", "Mailbox over quota"),
            (452, "4.5.3", "Too many recipients"),
            (250, "2.0.0", "rate limit noted"),
            (550, "5.1.1", "No such user"),
        ] {
            assert!(!is_too_much(&reply(code, enhanced, text)), "{text}");
        }
    }

    #[test]
    fn later_is_for_what_may_work_later() {
        for code in [432, 454] {
            assert!(advice(Phase::Auth, &reply(code, "", "no")).ends_with("try again later"));
        }
        assert!(!advice(Phase::Auth, &reply(550, "", "no")).contains("later"));
    }
}
