//! From an outcome to success or an error.

use super::OnRefused;
use super::advice::advice;
use crate::error::{Error, Phase, Status};
use crate::outcome::{Delivery, Outcome, RecipientOutcome};
use crate::proto::Reply;

/// Whether this outcome is an error, by the caller's own rule. The outcome is kept either way.
pub(super) fn judge(outcome: Outcome, on_refused: OnRefused) -> Result<Outcome, Error> {
    let failed = |r: &&RecipientOutcome| r.delivery() != Delivery::Accepted;
    let all = outcome.recipients().len();
    let bad = outcome.recipients().iter().filter(failed).count();
    let is_error = match on_refused {
        OnRefused::Never => false,
        OnRefused::RaiseIfAll => bad == all,
        OnRefused::RaiseIfAny => bad > 0,
    };
    if !is_error {
        return Ok(outcome);
    }
    // The recipients that were spared because others were refused say nothing about the cause.
    let tried = |r: &&RecipientOutcome| r.delivery() != Delivery::NotTried;
    let index = outcome
        .recipients()
        .iter()
        .position(|r| failed(&r) && tried(&r))
        .or_else(|| outcome.recipients().iter().position(|r| failed(&r)))
        .unwrap_or(0);
    let error = match outcome.recipients().get(index) {
        Some(first) => {
            let bad = outcome.recipients().iter();
            let bad = bad.filter(|r| failed(r) && tried(r)).count();
            describe(&outcome, first, bad, all).with_recipient(index)
        }
        None => Error::invalid("the envelope has no recipients"),
    };
    Err(error.with_outcome(outcome))
}

fn describe(outcome: &Outcome, first: &RecipientOutcome, bad: usize, all: usize) -> Error {
    let phase = first.phase().unwrap_or(Phase::Rcpt);
    let verb = verb(outcome);
    let mixed = outcome
        .recipients()
        .iter()
        .any(|r| r.delivery() == Delivery::Accepted);
    let who = match (phase, bad, all) {
        // What was decided without asking the server.
        (Phase::Rcpt, ..) if first.reply().is_none() => return unasked(outcome, first, mixed),
        (Phase::Mail, ..) => format!("the sender was {verb}"),
        (Phase::Rcpt, 1, 1) => format!("the recipient {} was {verb}", first.recipient()),
        (Phase::Rcpt, bad, all) if bad == all => format!(
            "all {all} recipients were {verb}, the first was {}",
            first.recipient()
        ),
        (Phase::Rcpt, 1, all) => format!(
            "the recipient {}, 1 of {all}, was {verb}",
            first.recipient()
        ),
        (Phase::Rcpt, bad, all) => format!(
            "{bad} of {all} recipients were {verb}, the first was {}",
            first.recipient()
        ),
        // LMTP answers for each.
        (_, bad, all) if bad < all => format!(
            "the message was {verb} for {bad} of {all} recipients, the first was {}",
            first.recipient()
        ),
        _ => format!("the message was {verb}"),
    };
    let all_permanent = outcome.recipients().iter().all(|r| {
        r.delivery() == Delivery::Refused
            || (r.delivery() == Delivery::NotTried && first.delivery() == Delivery::Refused)
    });
    let advice = first.reply().map_or("", |reply| advice(phase, reply));
    let status = match first.reply() {
        Some(reply) if !mixed && matches!(reply.code(), 530 | 538) => Status::AuthRequired,
        _ if mixed => Status::Partial,
        _ if all_permanent => Status::Permanent,
        _ => Status::Transient,
    };
    let text = if advice.is_empty() {
        who
    } else {
        format!("{who}: {advice}")
    };
    let error = Error::new(status, text).at(phase);
    match first.reply() {
        Some(reply) => error.with_reply(reply.clone()),
        None => error,
    }
}

/// What was done to those who are not accepted: the words of [`Delivery`].
fn verb(outcome: &Outcome) -> &'static str {
    let has = |delivery| {
        let mut all = outcome.recipients().iter();
        all.any(|r| r.delivery() == delivery)
    };
    match (has(Delivery::Refused), has(Delivery::Deferred)) {
        (true, true) => "refused or deferred",
        (false, true) => "deferred",
        _ => "refused",
    }
}

/// A recipient who could not be named to this server.
fn unasked(outcome: &Outcome, first: &RecipientOutcome, mixed: bool) -> Error {
    let (status, text) = if first.delivery() == Delivery::Refused {
        let text = format!(
            "the recipient {} is outside ASCII and the server does not offer SMTPUTF8",
            first.recipient()
        );
        (Status::NotSupported, text)
    } else {
        let not_tried = |r: &&RecipientOutcome| r.delivery() == Delivery::NotTried;
        let all = outcome.recipients();
        let text = format!(
            "{} of {} recipients were not tried, as the server takes no more of them at a time: send to them again",
            all.iter().filter(not_tried).count(),
            all.len()
        );
        (Status::Transient, text)
    };
    let status = if mixed { Status::Partial } else { status };
    Error::new(status, text).at(Phase::Rcpt)
}

/// The status that a refusing reply stands for.
pub(super) fn status_of(reply: &Reply) -> Status {
    if reply.is_transient() {
        Status::Transient
    } else if reply.is_permanent() {
        Status::Permanent
    } else {
        Status::Protocol
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipient(name: &str, code: u16, phase: Phase) -> RecipientOutcome {
        let reply = Reply::new(code, "said so").unwrap();
        let delivery = Delivery::from_reply(&reply);
        RecipientOutcome::new(
            format!("{name}@example.org").parse().unwrap(),
            delivery,
            Some(reply),
            Some(phase),
        )
    }

    fn outcome(codes: &[u16]) -> Outcome {
        let names = ["a", "b", "c"];
        let recipients = codes
            .iter()
            .zip(names)
            .map(|(&code, name)| recipient(name, code, Phase::Rcpt))
            .collect();
        Outcome::new(recipients, None)
    }

    #[test]
    fn what_raises_is_the_callers_choice() {
        let partial = || outcome(&[250, 550, 450]);
        assert!(judge(partial(), OnRefused::RaiseIfAll).is_ok());
        assert!(judge(outcome(&[550, 550]), OnRefused::Never).is_ok());
        let error = judge(partial(), OnRefused::RaiseIfAny).unwrap_err();
        assert_eq!(
            (error.status(), error.recipient_index()),
            (Status::Partial, Some(1))
        );
        assert_eq!(error.outcome().unwrap().delivery(), Delivery::Partial);
    }

    #[test]
    fn all_refused_is_permanent_only_if_every_one_was() {
        let status = |codes| {
            judge(outcome(codes), OnRefused::RaiseIfAll)
                .unwrap_err()
                .status()
        };
        assert_eq!(status(&[550, 551]), Status::Permanent);
        assert_eq!(status(&[550, 450]), Status::Transient);
        assert_eq!(status(&[450]), Status::Transient);
        assert_eq!(status(&[530]), Status::AuthRequired);
    }

    #[test]
    fn what_may_work_later_is_called_deferred_and_the_advice_is_to_try_again() {
        let text = |outcome| {
            let error = judge(outcome, OnRefused::RaiseIfAny).unwrap_err();
            error.message().to_owned()
        };
        assert_eq!(
            text(outcome(&[447])),
            "the recipient a@example.org was deferred: try again later"
        );
        assert_eq!(
            text(outcome(&[447, 447])),
            "all 2 recipients were deferred, the first was a@example.org: try again later"
        );
        assert_eq!(
            text(outcome(&[250, 550, 447])),
            "2 of 3 recipients were refused or deferred, the first was b@example.org: check the address; its server may also refuse this sender \
             or host"
        );
        for (phase, expected) in [
            (Phase::Mail, "the sender was deferred: try again later"),
            (
                Phase::EndOfData,
                "the message was deferred: try again later",
            ),
        ] {
            let outcome = Outcome::new(vec![recipient("a", 447, phase)], None);
            assert_eq!(text(outcome), expected);
        }
    }

    #[test]
    fn what_some_have_got_is_not_for_the_same_call_again() {
        let transient = |codes| {
            let error = judge(outcome(codes), OnRefused::RaiseIfAny).unwrap_err();
            error.is_transient()
        };
        assert!(transient(&[450]));
        assert!(!transient(&[250, 450]), "the first would get a second copy");
    }

    #[test]
    fn only_those_are_counted_whom_the_server_did_not_take() {
        let text = |recipients| {
            let outcome = Outcome::new(recipients, None);
            let error = judge(outcome, OnRefused::RaiseIfAny).unwrap_err();
            error.message().to_owned()
        };
        let spared = RecipientOutcome::new(
            "a@example.org".parse().unwrap(),
            Delivery::NotTried,
            None,
            None,
        );
        let refused = |phase| recipient("b", 550, phase);
        assert_eq!(
            text(vec![spared, refused(Phase::Rcpt)]),
            "the recipient b@example.org, 1 of 2, was refused: check the address; its server may also refuse this sender or host"
        );
        let taken = recipient("a", 250, Phase::EndOfData);
        assert_eq!(
            text(vec![taken, refused(Phase::EndOfData)]),
            "the message was refused for 1 of 2 recipients, the first was b@example.org: see what the server said, and change the message"
        );
    }

    #[test]
    fn the_text_names_who_was_refused_and_what_the_server_said() {
        let error = judge(outcome(&[550]), OnRefused::RaiseIfAll).unwrap_err();
        assert_eq!(
            error.to_string(),
            "RCPT TO: the recipient a@example.org was refused: check the address; its server may also refuse this sender or host; the server \
             said: 550 said so"
        );
        let sender = Outcome::new(vec![recipient("a", 553, Phase::Mail)], None);
        assert!(
            judge(sender, OnRefused::RaiseIfAll)
                .unwrap_err()
                .to_string()
                .contains("the sender was refused")
        );
    }
}
