//! Parameters of MAIL and RCPT (RFC 5321 section 4.1.1.11): those of the extensions that this library knows typed, the others kept.
//!
//! Each type can hold only what may stand on the wire. `mail` and `rcpt` hold the parameters of one command, the other files the
//! values of one extension.

mod body;
mod delivery;
mod dsn;
mod mail;
mod rcpt;
mod submitter;

use std::fmt;

use super::address::is_hidden;
use super::limits;

pub use body::BodyType;
pub use delivery::{ByMode, DeliverBy, Hold, HoldFor, Priority};
pub use dsn::{EnvelopeId, InvalidOriginalRecipient, Notify, OriginalRecipient, Ret};
pub use mail::MailParameters;
pub use rcpt::RcptParameters;
pub use submitter::Submitter;

/// A parameter: `KEYWORD` or `KEYWORD=value`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Parameter {
    keyword: Box<str>,
    value: Option<Box<str>>,
}

/// Why a parameter is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidParameter {
    /// It is not of the form that RFC 5321 section 4.1.2 gives it.
    #[error(
        "a parameter is KEYWORD or KEYWORD=value, of printable ASCII without spaces or further ="
    )]
    Syntax,
    /// The value does not fit the keyword.
    #[error("the value of {0} is not valid")]
    Value(&'static str),
    /// The keyword was given twice.
    #[error("the parameter {0} is given twice")]
    Twice(Box<str>),
    /// Two keywords exclude each other.
    #[error("the parameters {0} and {1} exclude each other")]
    Exclusive(&'static str, &'static str),
    /// There are more than [`limits::PARAMETERS`].
    #[error("there are more than {} parameters", limits::PARAMETERS)]
    TooMany,
}

impl Parameter {
    /// A checked parameter: letters, digits and hyphens in the keyword; printable ASCII without space and `=` in the value.
    pub fn new(keyword: &str, value: Option<&str>) -> Result<Self, InvalidParameter> {
        check(keyword, value)?;
        if value.is_some_and(|value| !value.is_ascii()) {
            return Err(InvalidParameter::Syntax);
        }
        Ok(Self {
            keyword: keyword.into(),
            value: value.map(Into::into),
        })
    }

    /// The keyword as given. Its case has no meaning.
    pub fn keyword(&self) -> &str {
        &self.keyword
    }

    /// The value, if there is one. It is ASCII, but for the one of an ORCPT in letters outside ASCII (RFC 6533 section 3).
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keyword)?;
        self.value
            .as_ref()
            .map_or(Ok(()), |value| write!(f, "={value}"))
    }
}

/// What is done with each parameter of a command: its keyword and its value.
type Each<'a> = dyn FnMut(&str, Option<&dyn fmt::Display>) -> fmt::Result + 'a;

/// The parameters that `all` hands out, each with a space in front.
fn print(
    f: &mut fmt::Formatter<'_>,
    all: impl FnOnce(&mut Each<'_>) -> fmt::Result,
) -> fmt::Result {
    all(&mut |keyword, value| match value {
        Some(value) => write!(f, " {keyword}={value}"),
        None => write!(f, " {keyword}"),
    })
}

/// The parameters that `all` hands out, as words.
fn gather(all: impl FnOnce(&mut Each<'_>) -> fmt::Result) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    // Nothing in here fails.
    let _ = all(&mut |keyword, value| {
        parameters.push(Parameter {
            keyword: keyword.into(),
            value: value.map(|value| value.to_string().into()),
        });
        Ok(())
    });
    parameters
}

/// The words behind a path. They stand behind one space each; more spaces are tolerated.
fn words(text: &str) -> impl Iterator<Item = Result<(&str, Option<&str>), InvalidParameter>> {
    let words = text.split(' ').filter(|word| !word.is_empty());
    words.enumerate().map(|(index, word)| {
        let (keyword, value) = word
            .split_once('=')
            .map_or((word, None), |(keyword, value)| (keyword, Some(value)));
        check(keyword, value)?;
        if index == limits::PARAMETERS {
            return Err(InvalidParameter::TooMany);
        }
        Ok((keyword, value))
    })
}

/// RFC 5321 section 4.1.2; RFC 6531 section 3.3 adds letters outside ASCII to the value.
fn check(keyword: &str, value: Option<&str>) -> Result<(), InvalidParameter> {
    let value_fits = |value: &str| {
        !value.is_empty() && !value.chars().any(|c| c == '=' || c == ' ' || is_hidden(c))
    };
    if is_keyword(keyword) && value.is_none_or(value_fits) {
        Ok(())
    } else {
        Err(InvalidParameter::Syntax)
    }
}

/// A letter or digit, then letters, digits and hyphens (RFC 5321 section 4.1.2).
pub(super) fn is_keyword(text: &str) -> bool {
    text.as_bytes()
        .first()
        .is_some_and(u8::is_ascii_alphanumeric)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Puts `value` in a place that may have none yet.
fn once<T>(
    place: &mut Option<T>,
    keyword: &str,
    value: Option<T>,
    name: &'static str,
) -> Result<(), InvalidParameter> {
    if place.is_some() {
        return Err(InvalidParameter::Twice(keyword.into()));
    }
    *place = Some(value.ok_or(InvalidParameter::Value(name))?);
    Ok(())
}

/// Sets a flag, which has no value and is given once.
fn flag(
    place: &mut bool,
    keyword: &str,
    value: Option<&str>,
    name: &'static str,
) -> Result<(), InvalidParameter> {
    if *place {
        return Err(InvalidParameter::Twice(keyword.into()));
    }
    if value.is_some() {
        return Err(InvalidParameter::Value(name));
    }
    *place = true;
    Ok(())
}

/// Keeps a parameter that is not known.
fn keep(
    others: &mut Vec<Parameter>,
    keyword: &str,
    value: Option<&str>,
) -> Result<(), InvalidParameter> {
    if others
        .iter()
        .any(|other| other.keyword.eq_ignore_ascii_case(keyword))
    {
        return Err(InvalidParameter::Twice(keyword.into()));
    }
    others.push(Parameter::new(keyword, value)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_break_enters_a_parameter() {
        for c in ['\r', '\n', '\0', ' ', '\u{85}', '\u{e9}'] {
            assert!(Parameter::new("A", Some(&format!("b{c}QUIT"))).is_err());
            assert!(Parameter::new(&format!("A{c}"), None).is_err());
            assert!(
                RcptParameters::default()
                    .set("A", Some(&format!("b{c}QUIT")))
                    .is_err()
            );
        }
    }

    #[test]
    fn s071_bad_forms_are_refused() {
        for text in [
            " =1",
            " -A=1",
            " A==1",
            " A=b=c",
            " A=\u{e9}",
            " A=\t",
            " A A",
            " size=1 SIZE=1",
            " a=b\u{7f}",
            " A=",
        ] {
            assert!(
                RcptParameters::parse(text).is_err() || MailParameters::parse(text).is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn s072_there_are_only_so_many() {
        let many = |count: usize| {
            (0..count)
                .map(|n| format!(" X{n}"))
                .collect::<Vec<_>>()
                .concat()
        };
        assert!(RcptParameters::parse(&many(limits::PARAMETERS)).is_ok());
        let too_many = many(limits::PARAMETERS + 1);
        assert_eq!(
            RcptParameters::parse(&too_many),
            Err(InvalidParameter::TooMany)
        );
        assert_eq!(
            MailParameters::parse(&too_many),
            Err(InvalidParameter::TooMany)
        );
    }
}
