//! Parameters of MAIL and RCPT (RFC 5321 section 4.1.1.11): the known ones typed, the others kept.

use std::fmt;

use super::limits;

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
    /// There are more than [`limits::PARAMETERS`].
    #[error("there are more than {} parameters", limits::PARAMETERS)]
    TooMany,
}

impl Parameter {
    /// A checked parameter: letters, digits and hyphens in the keyword; printable ASCII without space and `=` in the value.
    pub fn new(keyword: &str, value: Option<&str>) -> Result<Self, InvalidParameter> {
        let keyword_fits = keyword
            .as_bytes()
            .first()
            .is_some_and(u8::is_ascii_alphanumeric)
            && keyword
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let value_fits = value.is_none_or(|v| {
            !v.is_empty() && v.bytes().all(|b| (33..=126).contains(&b) && b != b'=')
        });
        if keyword_fits && value_fits {
            Ok(Self {
                keyword: keyword.into(),
                value: value.map(Into::into),
            })
        } else {
            Err(InvalidParameter::Syntax)
        }
    }

    /// The keyword as given. Its case has no meaning.
    pub fn keyword(&self) -> &str {
        &self.keyword
    }

    /// The value, if there is one.
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

/// What a message's bytes are (RFC 6152).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyType {
    /// ASCII in lines.
    SevenBit,
    /// Any octets in lines.
    EightBitMime,
}

impl BodyType {
    /// The value of the BODY parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
        }
    }
}

/// The parameters of MAIL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// SIZE (RFC 1870): the octets of the message.
    pub size: Option<u64>,
    /// BODY (RFC 6152).
    pub body: Option<BodyType>,
    /// All others, in the order given.
    pub others: Vec<Parameter>,
}

/// The parameters of RCPT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// All of them, in the order given: no extension of this version has one.
    pub others: Vec<Parameter>,
}

impl MailParameters {
    /// Parses what follows the path of a MAIL command.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let mut known = Self::default();
        for parameter in split(text)? {
            let value = parameter.value.as_deref();
            if parameter.keyword.eq_ignore_ascii_case("SIZE") {
                known.size = Some(size(value).ok_or(InvalidParameter::Value("SIZE"))?);
            } else if parameter.keyword.eq_ignore_ascii_case("BODY") {
                known.body = Some(body(value).ok_or(InvalidParameter::Value("BODY"))?);
            } else {
                known.others.push(parameter);
            }
        }
        Ok(known)
    }
}

impl fmt::Display for MailParameters {
    /// As they follow the path of a MAIL command, each with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        if let Some(body) = self.body {
            write!(f, " BODY={}", body.name())?;
        }
        self.others
            .iter()
            .try_for_each(|parameter| write!(f, " {parameter}"))
    }
}

impl RcptParameters {
    /// Parses what follows the path of an RCPT command.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidParameter> {
        Ok(Self {
            others: split(text)?,
        })
    }
}

impl fmt::Display for RcptParameters {
    /// As they follow the path of an RCPT command, each with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.others
            .iter()
            .try_for_each(|parameter| write!(f, " {parameter}"))
    }
}

/// Parameters stand behind one space each; more spaces are tolerated (RFC 5321 section 4.1.1.11 gives the form).
fn split(text: &str) -> Result<Vec<Parameter>, InvalidParameter> {
    let mut all: Vec<Parameter> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (keyword, value) = word
            .split_once('=')
            .map_or((word, None), |(keyword, value)| (keyword, Some(value)));
        let parameter = Parameter::new(keyword, value)?;
        if all.iter().any(|p| p.keyword.eq_ignore_ascii_case(keyword)) {
            return Err(InvalidParameter::Twice(parameter.keyword));
        }
        if all.len() == limits::PARAMETERS {
            return Err(InvalidParameter::TooMany);
        }
        all.push(parameter);
    }
    Ok(all)
}

/// 1 to 20 digits (RFC 1870 section 3). A number too large for 64 bits stays too large for any limit.
fn size(value: Option<&str>) -> Option<u64> {
    let digits = value.filter(|v| v.len() <= 20 && v.bytes().all(|b| b.is_ascii_digit()))?;
    Some(digits.parse().unwrap_or(u64::MAX))
}

fn body(value: Option<&str>) -> Option<BodyType> {
    [BodyType::SevenBit, BodyType::EightBitMime]
        .into_iter()
        .find(|b| value.is_some_and(|v| v.eq_ignore_ascii_case(b.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_are_typed_and_others_kept() {
        let parameters = MailParameters::parse(" size=100 Body=8bitmime X-A RET=HDRS").unwrap();
        assert_eq!(
            (parameters.size, parameters.body),
            (Some(100), Some(BodyType::EightBitMime))
        );
        assert_eq!(
            parameters.to_string(),
            " SIZE=100 BODY=8BITMIME X-A RET=HDRS"
        );
    }

    #[test]
    fn bad_values_are_refused() {
        for text in [
            " SIZE",
            " SIZE=",
            " SIZE=-1",
            " SIZE=1x",
            " SIZE=123456789012345678901",
            " BODY=9BIT",
            " BODY",
        ] {
            assert!(MailParameters::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            MailParameters::parse(" SIZE=99999999999999999999")
                .unwrap()
                .size,
            Some(u64::MAX)
        );
    }

    #[test]
    fn bad_forms_are_refused() {
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
        ] {
            assert!(
                RcptParameters::parse(text).is_err() || MailParameters::parse(text).is_err(),
                "{text:?}"
            );
        }
        let many = (0..=limits::PARAMETERS)
            .map(|n| format!(" X{n}"))
            .collect::<Vec<_>>()
            .concat();
        assert_eq!(RcptParameters::parse(&many), Err(InvalidParameter::TooMany));
    }

    #[test]
    fn no_line_break_enters_a_parameter() {
        for c in ['\r', '\n', '\0', ' '] {
            assert!(Parameter::new("A", Some(&format!("b{c}QUIT"))).is_err());
            assert!(Parameter::new(&format!("A{c}"), None).is_err());
        }
    }
}
