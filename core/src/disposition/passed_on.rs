//! What became of a message at the next server, as answers to the client that it came from.

use crate::client::{has_too_many_recipients, lacks_utf8};
use crate::error::{Error, Phase, Status};
use crate::outcome::{Delivery, Outcome, RecipientOutcome};
use crate::proto::limits::REPLY_TEXT;
use crate::proto::{EnhancedStatus, Reply};
use crate::server::Answer;

/// Lines of a reply that are passed on.
const LINES: usize = 16;

const NOT_REACHED: Reply = Reply::fixed(
    451,
    Some((4, 4, 1)),
    "The next server does not answer now, try again later",
);
const TOO_LARGE: Reply = Reply::fixed(
    552,
    Some((5, 3, 4)),
    "The message is larger than the next server takes",
);
const NOT_SUPPORTED: Reply = Reply::fixed(
    550,
    Some((5, 3, 3)),
    "The next server lacks an extension that the message needs",
);
/// RFC 5321 section 4.5.3.1.10, RFC 9422 section 4.2.
const TOO_MANY: Reply = Reply::fixed(
    452,
    Some((4, 5, 3)),
    "More recipients than the next server takes at once, send to fewer at a time",
);
/// RFC 6531 section 3.5.
const NO_UTF8: Reply = Reply::fixed(
    550,
    Some((5, 6, 7)),
    "The next server takes no addresses outside ASCII",
);

/// An answer for each of `count` recipients.
pub(super) fn answers(sent: &Result<Outcome, Error>, count: usize) -> Vec<Answer> {
    match outcome(sent) {
        Ok(outcome) => outcome.recipients().iter().map(answer).collect(),
        Err(error) => vec![Answer::Reply(refusal(error)); count],
    }
}

/// One answer for all: the refusal that is the most final, and an acceptance only where all accepted.
pub(super) fn worst(sent: &Result<Outcome, Error>) -> Answer {
    let recipients = match outcome(sent) {
        Ok(outcome) => outcome.recipients(),
        Err(error) => return Answer::Reply(refusal(error)),
    };
    let worst = recipients.iter().min_by_key(|one| match one.delivery() {
        Delivery::Refused => 0,
        Delivery::Deferred => 1,
        Delivery::Accepted => 3,
        _ => 2,
    });
    worst.map_or(Answer::Reply(NOT_REACHED), answer)
}

/// What is known by recipient, or else the error.
fn outcome(sent: &Result<Outcome, Error>) -> Result<&Outcome, &Error> {
    match sent {
        Ok(outcome) => Ok(outcome),
        Err(error) => error.outcome().ok_or(error),
    }
}

fn answer(recipient: &RecipientOutcome) -> Answer {
    match (recipient.delivery(), recipient.reply()) {
        (Delivery::Accepted | Delivery::Refused | Delivery::Deferred, Some(reply)) => {
            Answer::Reply(harmless(reply))
        }
        (Delivery::Accepted, None) => Answer::Accept,
        (Delivery::Refused, None) => Answer::Reply(NO_UTF8),
        // The recipient was not named to the next server at all, and others were.
        (Delivery::NotTried, None) if recipient.phase() == Some(Phase::Rcpt) => {
            Answer::Reply(TOO_MANY)
        }
        _ => Answer::Reply(NOT_REACHED),
    }
}

/// Where nothing is known by recipient, it is about the connection or the message as a whole.
fn refusal(error: &Error) -> Reply {
    match error.status() {
        _ if has_too_many_recipients(error) => TOO_MANY,
        Status::TooLarge => TOO_LARGE,
        _ if lacks_utf8(error) => NO_UTF8,
        Status::NotSupported => NOT_SUPPORTED,
        // A refusal of the connection or of our login is not one of the message: who runs this server can mend it.
        _ => NOT_REACHED,
    }
}

/// Whether it is for whoever runs this server to mend: where the next server refuses the message or its recipients all is as it should
/// be, and not where it refuses us, cannot be reached, or cannot be understood.
pub(super) fn is_fault(error: &Error) -> bool {
    let Some(reply) = error.reply() else {
        return !is_of_message(error);
    };
    match error.phase() {
        Some(Phase::Rcpt | Phase::Data | Phase::Body | Phase::EndOfData) => {
            is_of_session(reply.code())
        }
        // RFC 1870 section 6.1: a 552 is about the size of the message.
        Some(Phase::Mail) => {
            is_of_session(reply.code()) || (reply.is_permanent() && reply.code() != 552)
        }
        _ => true,
    }
}

/// Whether the message could not go there as it is, by what the next server had said before.
fn is_of_message(error: &Error) -> bool {
    match error.status() {
        Status::TooLarge | Status::NotSupported => true,
        // Of recipients that were not named to it.
        Status::Transient | Status::Partial => error.phase() == Some(Phase::Rcpt),
        _ => has_too_many_recipients(error),
    }
}

/// Whether a reply is about the session with the next server, or about our login there.
fn is_of_session(code: u16) -> bool {
    matches!(code, 421 | 432 | 454 | 530 | 534 | 535 | 538)
}

/// A reply of the next server as we may say it to a client, who is told nothing raw.
fn harmless(reply: &Reply) -> Reply {
    let code = match reply.code() {
        _ if reply.is_positive() => 250,
        // To our client these would be about its own.
        code if is_of_session(code) => 451,
        500..=504 => 554,
        code if reply.is_transient() || code <= 559 => code,
        _ => 554,
    };
    let lines = reply.lines().take(LINES).map(|line| {
        let plain = |letter: char| match letter {
            ' '..='~' => letter,
            _ => '?',
        };
        line.chars().take(REPLY_TEXT).map(plain).collect::<String>()
    });
    let class = u8::try_from(code / 100).unwrap_or_default();
    let enhanced = reply
        .enhanced()
        .filter(|enhanced| enhanced.class() == class)
        .or_else(|| EnhancedStatus::new(class, 0, 0));
    let made = Reply::multiline(code, lines).and_then(|made| match enhanced {
        Some(enhanced) => made.with_enhanced(enhanced),
        None => Ok(made),
    });
    made.unwrap_or(NOT_REACHED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replies_of_ours_are_well_formed() {
        for reply in [NOT_REACHED, TOO_LARGE, NOT_SUPPORTED, TOO_MANY, NO_UTF8] {
            let again = Reply::new(reply.code(), reply.text().to_owned()).unwrap();
            let again = again.with_enhanced(reply.enhanced().unwrap()).unwrap();
            assert_eq!(again, reply);
        }
    }

    #[test]
    fn a_code_keeps_its_class_but_for_what_is_about_the_session() {
        for (said, passed) in [
            (250, 250),
            (251, 250),
            (421, 451),
            (450, 450),
            (452, 452),
            (500, 554),
            (530, 451),
            (550, 550),
            (559, 559),
        ] {
            let reply = Reply::new(said, "text").unwrap();
            let made = harmless(&reply);
            assert_eq!((made.code(), made.text()), (passed, "text"));
            assert_eq!(
                made.enhanced().unwrap().class(),
                u8::try_from(passed / 100).unwrap()
            );
        }
    }

    #[test]
    fn an_enhanced_code_is_kept_where_it_fits() {
        let status = EnhancedStatus::new(5, 1, 1).unwrap();
        let reply = Reply::new(550, "no").unwrap().with_enhanced(status);
        assert_eq!(harmless(&reply.unwrap()).enhanced(), Some(status));
    }

    #[test]
    fn only_what_all_accepted_is_accepted() {
        use Delivery::{Accepted, Deferred, NotTried, Refused, Unknown};
        let outcome = |deliveries: &[(Delivery, u16)]| {
            let all = deliveries.iter().map(|(delivery, code)| {
                let reply = (*code > 0).then(|| Reply::new(*code, "text").unwrap());
                RecipientOutcome::new("a@b.example".parse().unwrap(), *delivery, reply, None)
            });
            Ok(Outcome::new(all.collect(), None))
        };
        let code = |deliveries: &[(Delivery, u16)]| match worst(&outcome(deliveries)) {
            Answer::Accept => 250,
            Answer::Reply(reply) => reply.code(),
        };
        assert_eq!(code(&[(Accepted, 250), (Accepted, 250)]), 250);
        assert_eq!(
            code(&[(Accepted, 250), (Deferred, 450), (Refused, 551)]),
            551
        );
        assert_eq!(code(&[(NotTried, 0), (Deferred, 450)]), 450);
        assert_eq!(code(&[(Accepted, 250), (Unknown, 0)]), 451);
        assert_eq!(code(&[]), 451);
    }
}
