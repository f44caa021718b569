//! What an application adds to the protocol on a server: keywords, parameters and verbs (RFC 5321 section 2.2.2).

use crate::proto::params::is_keyword;
use crate::proto::{Command, Extension, MailParameters, RcptParameters, limits};

/// What an application adds to a server: keywords in the reply to EHLO, parameters of MAIL and RCPT that it takes, and verbs that
/// it answers. What this library knows itself cannot be added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions {
    keywords: Vec<Box<str>>,
    mail_parameters: Vec<Box<str>>,
    rcpt_parameters: Vec<Box<str>>,
    verbs: Vec<Box<str>>,
}

/// Why something cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddition {
    /// It is not of the form that RFC 5321 section 4.1.1.1 gives it.
    #[error(
        "{0:?} is not letters, digits and hyphens, and behind a keyword printable ASCII with spaces; {max} octets at most",
        max = limits::ADDITION
    )]
    Form(String),
    /// This library knows it, and decides about it.
    #[error("{0} is known already and cannot be added")]
    Known(String),
}

impl Additions {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Announces a line in the reply to EHLO: a keyword, perhaps with parameters behind a space.
    pub fn add_keyword(&mut self, line: &str) -> Result<(), InvalidAddition> {
        let keyword = line.split(' ').next().unwrap_or_default();
        let fits = is_keyword(keyword)
            && line.len() <= limits::ADDITION
            && line.bytes().all(|b| (b' '..=b'~').contains(&b))
            && !line.ends_with(' ');
        if !fits {
            return Err(InvalidAddition::Form(line.to_owned()));
        }
        if Extension::from_keyword(keyword).is_some() {
            return Err(InvalidAddition::Known(keyword.to_owned()));
        }
        add(&mut self.keywords, line);
        Ok(())
    }

    /// Takes a parameter of MAIL, with any value. The application finds it among
    /// [`MailParameters::others`](crate::proto::MailParameters::others).
    pub fn add_mail_parameter(&mut self, keyword: &str) -> Result<(), InvalidAddition> {
        check(keyword)?;
        let mut parameters = MailParameters::default();
        // What is known is typed, or refused for want of a value.
        if parameters.set(keyword, None).is_err() || parameters.others().is_empty() {
            return Err(InvalidAddition::Known(keyword.to_owned()));
        }
        add(&mut self.mail_parameters, keyword);
        Ok(())
    }

    /// Takes a parameter of RCPT, with any value. The application finds it among
    /// [`RcptParameters::others`](crate::proto::RcptParameters::others).
    pub fn add_rcpt_parameter(&mut self, keyword: &str) -> Result<(), InvalidAddition> {
        check(keyword)?;
        let mut parameters = RcptParameters::default();
        if parameters.set(keyword, None).is_err() || parameters.others().is_empty() {
            return Err(InvalidAddition::Known(keyword.to_owned()));
        }
        add(&mut self.rcpt_parameters, keyword);
        Ok(())
    }

    /// Asks about a verb: it becomes [`Event::Unknown`](super::Event::Unknown), whether or not that is among the
    /// [`Hooks`](super::Hooks).
    pub fn add_verb(&mut self, verb: &str) -> Result<(), InvalidAddition> {
        check(verb)?;
        if !matches!(Command::parse(verb.as_bytes()), Ok(Command::Unknown(..))) {
            return Err(InvalidAddition::Known(verb.to_owned()));
        }
        add(&mut self.verbs, verb);
        Ok(())
    }

    /// The lines for the reply to EHLO.
    pub(super) fn keywords(&self) -> impl Iterator<Item = &str> {
        self.keywords.iter().map(AsRef::as_ref)
    }

    pub(super) fn has_mail_parameter(&self, keyword: &str) -> bool {
        has(&self.mail_parameters, keyword)
    }

    pub(super) fn has_rcpt_parameter(&self, keyword: &str) -> bool {
        has(&self.rcpt_parameters, keyword)
    }

    pub(super) fn has_verb(&self, verb: &str) -> bool {
        has(&self.verbs, verb)
    }
}

fn check(word: &str) -> Result<(), InvalidAddition> {
    if is_keyword(word) && word.len() <= limits::ADDITION {
        Ok(())
    } else {
        Err(InvalidAddition::Form(word.to_owned()))
    }
}

fn add(words: &mut Vec<Box<str>>, word: &str) {
    if !has(words, word) {
        words.push(word.into());
    }
}

fn has(words: &[Box<str>], word: &str) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_cannot_be_added() {
        let mut additions = Additions::new();
        for extension in Extension::ALL {
            let line = format!("{} x", extension.keyword().to_ascii_lowercase());
            assert!(
                matches!(additions.add_keyword(&line), Err(InvalidAddition::Known(_))),
                "{line}"
            );
        }
        for keyword in [
            "size",
            "BODY",
            "SMTPUTF8",
            "RET",
            "ENVID",
            "AUTH",
            "REQUIRETLS",
            "BY",
            "MT-PRIORITY",
            "HOLDFOR",
            "holduntil",
        ] {
            assert!(
                matches!(
                    additions.add_mail_parameter(keyword),
                    Err(InvalidAddition::Known(_))
                ),
                "{keyword}"
            );
        }
        for keyword in ["NOTIFY", "orcpt"] {
            assert!(
                matches!(
                    additions.add_rcpt_parameter(keyword),
                    Err(InvalidAddition::Known(_))
                ),
                "{keyword}"
            );
        }
        for verb in [
            "mail", "RCPT", "BDAT", "EHLO", "NOOP", "TURN", "XCLIENT", "ETRN", "AUTH", "HELP",
        ] {
            assert!(
                matches!(additions.add_verb(verb), Err(InvalidAddition::Known(_))),
                "{verb}"
            );
        }
        assert_eq!(additions, Additions::new());
    }

    #[test]
    fn nothing_that_could_break_a_line_is_added() {
        let mut additions = Additions::new();
        let long = "X".repeat(limits::ADDITION + 1);
        for word in [
            "", " ", "-X", "X\r\nY", "X\0", "X\u{e9}", "X_Y", "X=1", &long,
        ] {
            let form = Err(InvalidAddition::Form(word.to_owned()));
            assert_eq!(additions.add_keyword(word), form);
            assert_eq!(additions.add_mail_parameter(word), form);
            assert_eq!(additions.add_rcpt_parameter(word), form);
            assert_eq!(additions.add_verb(word), form);
        }
        for line in ["X a\tb", "X ", "X \u{1b}", " X"] {
            assert!(additions.add_keyword(line).is_err(), "{line:?}");
        }
        assert_eq!(additions, Additions::new());
    }

    #[test]
    fn what_was_added_is_found_in_any_case_and_once() {
        let mut additions = Additions::new();
        for _ in 0..2 {
            additions.add_keyword("XFOO a b").unwrap();
            additions.add_mail_parameter("X-Mail").unwrap();
            additions.add_rcpt_parameter("NRUDGE").unwrap();
            additions.add_verb("Xfoo").unwrap();
        }
        assert_eq!(additions.keywords().collect::<Vec<_>>(), ["XFOO a b"]);
        assert!(additions.has_mail_parameter("x-mail") && !additions.has_rcpt_parameter("x-mail"));
        assert!(
            additions.has_rcpt_parameter("nrudge")
                && additions.has_verb("XFOO")
                && !additions.has_verb("XFO")
        );
    }
}
