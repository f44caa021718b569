//! The parameters of MAIL.

use std::fmt;

use super::{
    BodyType, DeliverBy, Each, EnvelopeId, Hold, HoldFor, InvalidParameter, Parameter, Priority,
    Ret, Submitter, flag, gather, keep, once, print, words,
};

/// The parameters of one MAIL command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// SIZE (RFC 1870): the octets of the message.
    pub size: Option<u64>,
    /// BODY (RFC 6152, RFC 3030).
    pub body: Option<BodyType>,
    /// SMTPUTF8 (RFC 6531): there may be letters outside ASCII in the envelope and in the message's header.
    pub smtputf8: bool,
    /// RET (RFC 3461): what a notice of failure gives back.
    pub ret: Option<Ret>,
    /// ENVID (RFC 3461): the sender's name for the envelope.
    pub envid: Option<EnvelopeId>,
    /// AUTH (RFC 4954): who handed the message in.
    pub auth: Option<Submitter>,
    /// REQUIRETLS (RFC 8689): the message may travel through verified TLS alone.
    pub requiretls: bool,
    /// BY (RFC 2852): until when it is to be delivered.
    pub by: Option<DeliverBy>,
    /// MT-PRIORITY (RFC 6710).
    pub priority: Option<Priority>,
    /// HOLDFOR or HOLDUNTIL (RFC 4865): how long it is to be held.
    pub hold: Option<Hold>,
    others: Vec<Parameter>,
}

impl MailParameters {
    /// Sets a parameter by its keyword, in any case, and its value as it stands on the wire. Fails if it is set already.
    pub fn set(&mut self, keyword: &str, value: Option<&str>) -> Result<(), InvalidParameter> {
        super::check(keyword, value)?;
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("SIZE") {
            once(&mut self.size, keyword, value.and_then(size), "SIZE")
        } else if is("BODY") {
            let body = value.and_then(BodyType::from_name);
            once(&mut self.body, keyword, body, "BODY")
        } else if is("SMTPUTF8") {
            flag(&mut self.smtputf8, keyword, value, "SMTPUTF8")
        } else if is("RET") {
            once(
                &mut self.ret,
                keyword,
                value.and_then(Ret::from_name),
                "RET",
            )
        } else if is("ENVID") {
            let envid = value.and_then(|value| value.parse().ok());
            once(&mut self.envid, keyword, envid, "ENVID")
        } else if is("AUTH") {
            let auth = value.and_then(|value| value.parse().ok());
            once(&mut self.auth, keyword, auth, "AUTH")
        } else if is("REQUIRETLS") {
            flag(&mut self.requiretls, keyword, value, "REQUIRETLS")
        } else if is("BY") {
            once(
                &mut self.by,
                keyword,
                value.and_then(DeliverBy::parse),
                "BY",
            )
        } else if is("MT-PRIORITY") {
            let priority = value.and_then(Priority::parse);
            once(&mut self.priority, keyword, priority, "MT-PRIORITY")
        } else if is("HOLDFOR") {
            let hold = value.and_then(HoldFor::parse).map(Hold::For);
            self.hold(keyword, hold, "HOLDFOR")
        } else if is("HOLDUNTIL") {
            let hold = value.and_then(|value| value.parse().ok()).map(Hold::Until);
            self.hold(keyword, hold, "HOLDUNTIL")
        } else {
            keep(&mut self.others, keyword, value)
        }
    }

    /// Those that this library does not know, in the order given.
    pub fn others(&self) -> &[Parameter] {
        &self.others
    }

    /// All of them as words, in the order in which they print.
    pub fn to_parameters(&self) -> Vec<Parameter> {
        gather(|each| self.each(each))
    }

    /// Parses what follows the path of a MAIL command.
    pub(in crate::proto) fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let mut parameters = Self::default();
        for word in words(text) {
            let (keyword, value) = word?;
            parameters.set(keyword, value)?;
        }
        Ok(parameters)
    }

    /// RFC 4865 section 4: one of the two, and not both.
    fn hold(
        &mut self,
        keyword: &str,
        hold: Option<Hold>,
        name: &'static str,
    ) -> Result<(), InvalidParameter> {
        match &self.hold {
            Some(other) if other.keyword() != name => {
                Err(InvalidParameter::Exclusive("HOLDFOR", "HOLDUNTIL"))
            }
            _ => once(&mut self.hold, keyword, hold, name),
        }
    }

    fn each(&self, each: &mut Each<'_>) -> fmt::Result {
        if let Some(size) = &self.size {
            each("SIZE", Some(size))?;
        }
        if let Some(body) = &self.body {
            each("BODY", Some(body))?;
        }
        if self.smtputf8 {
            each("SMTPUTF8", None)?;
        }
        if let Some(ret) = &self.ret {
            each("RET", Some(ret))?;
        }
        if let Some(envid) = &self.envid {
            each("ENVID", Some(envid))?;
        }
        if let Some(auth) = &self.auth {
            each("AUTH", Some(auth))?;
        }
        if self.requiretls {
            each("REQUIRETLS", None)?;
        }
        if let Some(by) = &self.by {
            each("BY", Some(by))?;
        }
        if let Some(priority) = &self.priority {
            each("MT-PRIORITY", Some(priority))?;
        }
        if let Some(hold) = &self.hold {
            each(hold.keyword(), Some(hold))?;
        }
        self.others
            .iter()
            .try_for_each(|other| each(&other.keyword, other.value.as_ref().map(|v| v as _)))
    }
}

impl fmt::Display for MailParameters {
    /// As they follow the path of a MAIL command, each with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, |each| self.each(each))
    }
}

/// 1 to 20 digits (RFC 1870 section 3). A number too large for 64 bits stays too large for any limit.
fn size(digits: &str) -> Option<u64> {
    let plain = digits.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ByMode;
    use super::*;

    fn parse(text: &str) -> Result<MailParameters, InvalidParameter> {
        MailParameters::parse(text)
    }

    /// Each of these is an error of the value of `keyword`.
    fn assert_bad(keyword: &'static str, values: &[&str]) {
        for value in values {
            let text = format!(" {keyword}={value}");
            assert_eq!(
                parse(&text),
                Err(InvalidParameter::Value(keyword)),
                "{text}"
            );
        }
    }

    #[test]
    fn known_parameters_are_typed_and_others_kept() {
        let parameters = parse(" size=100 Body=8bitmime X-A RET=hdrs").unwrap();
        assert_eq!(
            (parameters.size, parameters.body, parameters.ret),
            (Some(100), Some(BodyType::EightBitMime), Some(Ret::Headers))
        );
        assert_eq!(parameters.others(), [Parameter::new("X-A", None).unwrap()]);
        assert_eq!(
            parameters.to_string(),
            " SIZE=100 BODY=8BITMIME RET=HDRS X-A"
        );
    }

    #[test]
    fn s069_a_value_is_needed_or_forbidden() {
        for text in [
            " SIZE",
            " BODY",
            " RET",
            " ENVID",
            " AUTH",
            " BY",
            " MT-PRIORITY",
            " HOLDFOR",
            " HOLDUNTIL",
            " SIZE=",
            " SMTPUTF8=1",
            " REQUIRETLS=1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn s068_each_is_given_once() {
        for word in [
            "SIZE=1",
            "BODY=7BIT",
            "SMTPUTF8",
            "RET=FULL",
            "ENVID=a",
            "AUTH=<>",
            "REQUIRETLS",
            "BY=1;R",
            "MT-PRIORITY=1",
            "HOLDFOR=1",
            "HOLDUNTIL=2030-01-01T00:00:00Z",
            "X-A",
            "X-A=1",
        ] {
            let twice = format!(" {word} {}", word.to_ascii_lowercase());
            assert!(
                matches!(parse(&twice), Err(InvalidParameter::Twice(_))),
                "{twice}"
            );
        }
    }

    #[test]
    fn s253_s290_s302_s303_bad_values_are_refused() {
        assert_bad("SIZE", &["-1", "1x", "0x10", "123456789012345678901"]);
        assert_eq!(
            parse(" SIZE=99999999999999999999").unwrap().size,
            Some(u64::MAX)
        );
        assert_bad("BODY", &["9BIT", "FOO"]);
        assert_bad("RET", &["X", "FULLHDRS"]);
        assert_bad(
            "ENVID",
            &["a+ZZ", "a+0D+0Ab", "a+00", "a+7F", &"a".repeat(101)],
        );
        let envid = parse(&format!(" ENVID={}+20", "a".repeat(97)))
            .unwrap()
            .envid
            .unwrap();
        assert!(envid.text().ends_with("aa "));
        assert_eq!(EnvelopeId::new(&envid.text()), Some(envid));
        assert_eq!(EnvelopeId::new("a\r\nb"), None);
    }

    #[test]
    fn s234_auth_is_xtext() {
        assert_bad("AUTH", &["a+ZZ", "a+"]);
        assert_eq!(parse(" AUTH=<>").unwrap().auth, Some(Submitter::Unknown));
        let auth = parse(" AUTH=c+2Bd@e").unwrap().auth.unwrap();
        assert_eq!(auth.identity().unwrap(), b"c+d@e");
    }

    #[test]
    fn s353_hold_is_for_or_until_and_not_both() {
        assert_bad(
            "HOLDFOR",
            &["x", "0", "-1", "+1", "01", "1234567890", "1.5"],
        );
        assert_bad(
            "HOLDUNTIL",
            &["x", "10", "2030-01-01", "2030-13-01T00:00:00Z"],
        );
        assert_eq!(
            parse(" HOLDUNTIL=2030-01-01T00:00:00Z HOLDFOR=5"),
            Err(InvalidParameter::Exclusive("HOLDFOR", "HOLDUNTIL"))
        );
        let hold = parse(" HOLDFOR=999999999").unwrap().hold;
        assert_eq!(hold, HoldFor::new(999_999_999).map(Hold::For));
        assert_eq!(HoldFor::new(604_800), Some(HoldFor::WEEK));
    }

    #[test]
    fn s355_by_has_seconds_and_a_mode() {
        assert_bad(
            "BY",
            &[
                "0;R",
                "-1;R",
                "5",
                "5;",
                ";R",
                "5;X",
                "5;RX",
                "5;RTT",
                "x;R",
                "1234567890;R",
                "0000000001;R",
                "+;R",
                "5;R;T",
            ],
        );
        assert_eq!(
            parse(" BY=-0060;nt").unwrap().by,
            DeliverBy::new(-60, ByMode::Notify, true)
        );
        let traces = |text: &str| parse(text).unwrap().by.unwrap().trace();
        assert_eq!((traces(" BY=5;RT"), traces(" BY=5;R")), (true, false));
        assert_eq!(parse(" BY=+120;R").unwrap().to_string(), " BY=120;R");
        assert_eq!(DeliverBy::new(0, ByMode::Return, false), None);
        assert_eq!(DeliverBy::new(i32::MIN, ByMode::Notify, false), None);
    }

    #[test]
    fn s356_a_priority_is_one_digit() {
        assert_bad("MT-PRIORITY", &["10", "-10", "+1", "-0", "x", "1.0"]);
        for priority in -9..=9 {
            let parsed = parse(&format!(" mt-priority={priority}")).unwrap().priority;
            assert_eq!(parsed, Priority::new(priority));
        }
        assert_eq!(Priority::new(10), None);
    }

    proptest! {
        #[test]
        fn what_parses_prints_and_parses_to_the_same(
            words in proptest::collection::vec(
                " (SIZE=[0-9]{1,21}|BODY=(7bit|8BITMIME|binarymime)|SMTPUTF8|RET=(FULL|hdrs)|ENVID=[a+2B]{1,8}|AUTH=(<>|[a+2B]{1,8})|REQUIRETLS|BY=[-+]?[0-9]{1,9};[RNrn]T?|MT-PRIORITY=-?[0-9]|HOLDFOR=[0-9]{1,4}|HOLDUNTIL=20[0-9]{2}-0[1-9]-0[1-9]T00:00:00Z|[A-Z]{1,3}(=[!-~\u{e9}]{1,4})?)",
                0..6,
            )
        ) {
            if let Ok(parameters) = parse(&words.concat()) {
                let printed = parameters.to_string();
                prop_assert!(printed.is_ascii());
                prop_assert_eq!(parse(&printed).unwrap(), parameters.clone());
                let again = parameters.to_parameters().iter().map(|p| format!(" {p}")).collect::<Vec<_>>().concat();
                prop_assert_eq!(again, printed);
            }
        }
    }
}
