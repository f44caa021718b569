//! What came of a call, and what was wanted.

use mailwire::proto::Reply;
use mailwire::{Error, Outcome, Phase, Status};

use crate::template::{Names, expand};

/// What came of a call.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it ended.
    pub ending: Ending,
    /// Where it failed, if that is known.
    pub phase: Option<Phase>,
    /// Whether the same call may succeed later and cannot make a second copy, if that is known.
    pub again: Option<bool>,
    /// What became of the message, if there was one.
    pub outcome: Option<Outcome>,
    /// All that the client would print about it.
    pub text: String,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Success,
    /// In an error. Only the client gives it a status; its machine does not.
    Failure(Option<Status>),
    /// In an outcome, of which the client says whether it is an error.
    Outcome,
}

impl Report {
    /// An error that the client has made of what it was given, or a success of a call that has no outcome.
    pub(super) fn of(result: Result<(), String>) -> Self {
        let (ending, text) = match result {
            Ok(()) => (Ending::Success, String::new()),
            Err(text) => (Ending::Failure(Some(Status::InvalidArgument)), text),
        };
        Self {
            ending,
            phase: None,
            again: None,
            outcome: None,
            text,
        }
    }

    /// What the client has said about a call.
    pub(super) fn of_client(result: Result<Option<Outcome>, Error>) -> Self {
        let mut text = format!("{result:?}");
        match result {
            Ok(outcome) => Self {
                ending: Ending::Success,
                phase: None,
                again: None,
                outcome,
                text,
            },
            Err(error) => {
                text = format!("{error}; {text}");
                let mut source = std::error::Error::source(&error);
                while let Some(cause) = source {
                    text = format!("{text}; {cause}; {cause:?}");
                    source = cause.source();
                }
                Self {
                    ending: Ending::Failure(Some(error.status())),
                    phase: error.phase(),
                    again: Some(error.is_transient()),
                    outcome: error.outcome().cloned(),
                    text,
                }
            }
        }
    }
}

/// What is wanted of a report:
///
/// - `ok`, or the status of the error, as `timeout`; behind it perhaps `at phase`, as `at end-of-data`; `again` or `not-again`,
///   whether the same call may be made again; and `has "text"` or `lacks "text"`, about all that the client would print
/// - and behind a semicolon what became of each recipient, with commas in between: one of `accepted`, `refused`, `deferred`,
///   `unknown` and `not-tried`; behind it perhaps the code of the reply, or `silent` if there is none; and behind that perhaps
///   its enhanced status code, or `plain` if there is none
#[derive(Debug)]
pub(super) struct Expectation {
    status: String,
    phase: Option<String>,
    again: Option<bool>,
    texts: Vec<(bool, String)>,
    recipients: Option<Vec<Vec<String>>>,
}

/// How well a report was as wanted, the best first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Met {
    /// As it was.
    Yes,
    /// As far as it can be told: what was wanted of it besides is not known to who has reported.
    AsFarAsKnown,
    /// Not.
    No,
}

impl Expectation {
    /// Reads what is wanted. The error says what cannot be read.
    pub(super) fn read(text: &str, names: &Names) -> Result<Self, String> {
        let (mut head, recipients) = match text.split_once("; ") {
            Some((head, recipients)) => {
                let octets = expand(recipients, names).map_err(|error| error.to_string())?;
                (head, Some(String::from_utf8_lossy(&octets).into_owned()))
            }
            None => (text, None),
        };
        let mut wanted = Self {
            status: String::new(),
            phase: None,
            again: None,
            texts: Vec::new(),
            recipients: recipients.map(|all| {
                let words = |one: &str| one.split_whitespace().map(str::to_owned).collect();
                all.split(", ").map(words).collect()
            }),
        };
        while !head.is_empty() {
            let (word, behind) = head.split_once(' ').unwrap_or((head, ""));
            head = match word {
                "at" => {
                    let (phase, behind) = behind.split_once(' ').unwrap_or((behind, ""));
                    wanted.phase = Some(phase.to_owned());
                    behind
                }
                "again" | "not-again" => {
                    wanted.again = Some(word == "again");
                    behind
                }
                "has" | "lacks" => {
                    let quoted = behind.strip_prefix('"').ok_or("a text without quotes")?;
                    let (text, behind) = quoted.split_once('"').ok_or("a quote without an end")?;
                    let octets = expand(text, names).map_err(|error| error.to_string())?;
                    let text = String::from_utf8_lossy(&octets).into_owned();
                    wanted.texts.push((word == "has", text));
                    behind.trim_start()
                }
                _ if wanted.status.is_empty() => {
                    word.clone_into(&mut wanted.status);
                    behind
                }
                _ => return Err(format!("{word:?} is nothing that a result has")),
            };
        }
        Ok(wanted)
    }

    /// Whether a report is as wanted.
    pub(super) fn meets(&self, report: &Report) -> Met {
        let mut known = true;
        let status_fits = match (report.ending, self.status.as_str()) {
            (Ending::Success, wanted) => wanted == "ok",
            (Ending::Failure(_), "ok") => false,
            (Ending::Failure(Some(status)), wanted) => words_of(status) == wanted,
            (Ending::Outcome, "ok") => true,
            (Ending::Failure(None) | Ending::Outcome, _) => {
                known = false;
                true
            }
        };
        let phase_fits = match (&self.phase, report.phase) {
            (Some(wanted), Some(phase)) => *wanted == words_of(phase),
            (Some(_), None) => {
                known = false;
                report.ending != Ending::Success
            }
            (None, _) => true,
        };
        let again_fits = match (self.again, report.again) {
            (Some(wanted), Some(again)) => wanted == again,
            (Some(_), None) => {
                known = false;
                report.ending != Ending::Success
            }
            (None, _) => true,
        };
        let texts_fit = self
            .texts
            .iter()
            .all(|(wanted, text)| report.text.contains(text.as_str()) == *wanted);
        let recipients_fit = self.recipients.as_ref().is_none_or(|wanted| {
            let outcome = report.outcome.as_ref();
            let all = outcome.map_or(&[][..], Outcome::recipients);
            all.len() == wanted.len()
                && all.iter().zip(wanted).all(|(one, wanted)| {
                    let (first, rest) = wanted
                        .split_first()
                        .map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
                    words_of(one.delivery()) == first && reply_fits(one.reply(), rest)
                })
        });
        match (
            status_fits && phase_fits && again_fits && texts_fit && recipients_fit,
            known,
        ) {
            (false, _) => Met::No,
            (true, false) => Met::AsFarAsKnown,
            (true, true) => Met::Yes,
        }
    }
}

fn reply_fits(reply: Option<&Reply>, wanted: &[String]) -> bool {
    let Some(code) = wanted.first() else {
        return true;
    };
    let Some(reply) = reply else {
        return code == "silent";
    };
    let enhanced = || {
        let enhanced = reply.enhanced();
        enhanced.map_or("plain".to_owned(), |status| status.to_string())
    };
    *code == reply.code().to_string() && wanted.get(1).is_none_or(|wanted| *wanted == enhanced())
}

/// `ConnectionLost` as `connection-lost`.
fn words_of(name: impl std::fmt::Debug) -> String {
    let mut words = String::new();
    for letter in format!("{name:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(wanted: &str, report: &Report) -> Met {
        Expectation::read(wanted, &Names::default())
            .unwrap()
            .meets(report)
    }

    #[test]
    fn a_result_is_held_against_status_phase_and_text() {
        let mut report = Report::of(Err("no such \"thing\"".to_owned()));
        report.phase = Some(Phase::EndOfData);
        report.again = Some(false);
        for (wanted, how) in [
            ("invalid-argument", Met::Yes),
            (
                "invalid-argument at end-of-data has \"such\" lacks \"pw\"",
                Met::Yes,
            ),
            ("invalid-argument at mail", Met::No),
            ("invalid-argument lacks \"such\"", Met::No),
            ("invalid-argument again", Met::No),
            ("invalid-argument not-again", Met::Yes),
            ("invalid-argument; accepted", Met::No),
            ("timeout", Met::No),
            ("ok", Met::No),
        ] {
            assert_eq!(met(wanted, &report), how, "{wanted}");
        }
        report.ending = Ending::Failure(None);
        assert_eq!(met("timeout", &report), Met::AsFarAsKnown);
        assert_eq!(met("ok", &report), Met::No);
    }

    #[test]
    fn recipients_are_held_against_delivery_and_reply() {
        use mailwire::{Delivery, RecipientOutcome};
        let path = || "a@example.org".parse().unwrap();
        let reply = Reply::new(550, "5.1.1 no").unwrap();
        let refused = RecipientOutcome::new(path(), Delivery::Refused, Some(reply), None);
        let spared = RecipientOutcome::new(path(), Delivery::NotTried, None, None);
        let mut report = Report::of(Ok(()));
        report.outcome = Some(Outcome::new(vec![refused, spared], None));
        for (wanted, how) in [
            ("ok; refused, not-tried", Met::Yes),
            ("ok; refused 550, not-tried silent", Met::Yes),
            ("ok; refused 551, not-tried", Met::No),
            ("ok; refused silent, not-tried", Met::No),
            ("ok; refused 550, not-tried 550", Met::No),
            ("ok; refused", Met::No),
        ] {
            assert_eq!(met(wanted, &report), how, "{wanted}");
        }
    }

    #[test]
    fn what_is_no_result_is_refused() {
        for text in ["ok yes", "ok has x", "ok has \"x"] {
            assert!(
                Expectation::read(text, &Names::default()).is_err(),
                "{text}"
            );
        }
    }
}
