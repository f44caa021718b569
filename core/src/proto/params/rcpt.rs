//! The parameters of RCPT.

use std::fmt;

use super::{
    Each, InvalidParameter, Notify, OriginalRecipient, Parameter, gather, keep, once, print, words,
};

/// The parameters of one RCPT command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// NOTIFY (RFC 3461): when notices are wanted.
    pub notify: Option<Notify>,
    /// ORCPT (RFC 3461): the recipient as first given.
    pub orcpt: Option<OriginalRecipient>,
    others: Vec<Parameter>,
}

impl RcptParameters {
    /// Sets a parameter by its keyword, in any case, and its value as it stands on the wire. Fails if it is set already.
    pub fn set(&mut self, keyword: &str, value: Option<&str>) -> Result<(), InvalidParameter> {
        super::check(keyword, value)?;
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if is("NOTIFY") {
            let notify = value.and_then(Notify::from_names);
            once(&mut self.notify, keyword, notify, "NOTIFY")
        } else if is("ORCPT") {
            let orcpt = value.and_then(|value| value.parse().ok());
            once(&mut self.orcpt, keyword, orcpt, "ORCPT")
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.notify.is_none() && self.orcpt.is_none() && self.others.is_empty()
    }

    /// Whether all of them are ASCII.
    pub fn is_ascii(&self) -> bool {
        self.orcpt.as_ref().is_none_or(OriginalRecipient::is_ascii)
    }

    /// The same in ASCII. `None` if ORCPT is too long in it.
    pub fn to_ascii(&self) -> Option<Self> {
        let orcpt = match &self.orcpt {
            Some(orcpt) => Some(orcpt.to_ascii()?),
            None => None,
        };
        Some(Self {
            orcpt,
            ..self.clone()
        })
    }

    /// Parses what follows the path of an RCPT command.
    pub(in crate::proto) fn parse(text: &str) -> Result<Self, InvalidParameter> {
        let mut parameters = Self::default();
        for word in words(text) {
            let (keyword, value) = word?;
            parameters.set(keyword, value)?;
        }
        Ok(parameters)
    }

    fn each(&self, each: &mut Each<'_>) -> fmt::Result {
        if let Some(notify) = &self.notify {
            each("NOTIFY", Some(notify))?;
        }
        if let Some(orcpt) = &self.orcpt {
            each("ORCPT", Some(orcpt))?;
        }
        self.others
            .iter()
            .try_for_each(|other| each(&other.keyword, other.value.as_ref().map(|v| v as _)))
    }
}

impl fmt::Display for RcptParameters {
    /// As they follow the path of an RCPT command, each with a space in front.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, |each| self.each(each))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proto::limits;

    fn parse(text: &str) -> Result<RcptParameters, InvalidParameter> {
        RcptParameters::parse(text)
    }

    #[test]
    fn s300_notify_is_never_alone_or_each_of_the_others_once() {
        let notify = parse(" notify=Success,DELAY").unwrap().notify.unwrap();
        assert!(notify.has(Notify::SUCCESS.with(Notify::DELAY)) && !notify.has(Notify::FAILURE));
        let never = parse(" NOTIFY=never").unwrap().notify.unwrap();
        assert!(never.is_never() && never.has(Notify::NEVER) && !never.has(Notify::SUCCESS));
        assert!(!notify.is_never() && !notify.has(Notify::NEVER));
        let failure = parse(" NOTIFY=FAILURE").unwrap().notify.unwrap();
        assert!(failure.has(Notify::FAILURE) && !failure.is_never());
        assert!(failure.with(failure).has(Notify::FAILURE));
        for value in [
            "NEVER,SUCCESS",
            "SUCCESS,NEVER",
            "SUCCESS,SUCCESS",
            "SUCCESS,",
            ",",
            "FOO",
            "SUCCESS,FOO",
            "SUCCESS;DELAY",
        ] {
            let text = format!(" NOTIFY={value}");
            assert_eq!(
                parse(&text),
                Err(InvalidParameter::Value("NOTIFY")),
                "{text}"
            );
        }
        assert_eq!(parse(" NOTIFY"), Err(InvalidParameter::Value("NOTIFY")));
        assert!(matches!(
            parse(" NOTIFY=NEVER notify=NEVER"),
            Err(InvalidParameter::Twice(_))
        ));
    }

    #[test]
    fn s301_orcpt_has_a_type_and_an_address_in_xtext() {
        let orcpt = parse(" ORCPT=rfc822;a+2Bb@c").unwrap().orcpt.unwrap();
        assert_eq!(
            (orcpt.address_type(), orcpt.address().as_deref()),
            ("rfc822", Some("a+b@c"))
        );
        assert_eq!(OriginalRecipient::of_mailbox("a+b@c"), Ok(orcpt));
        let long = format!("rfc822;{}", "a".repeat(494));
        for value in [
            "rfc822;a+ZZ",
            "rfc822",
            ";a",
            "rfc822;",
            "rf(c;a",
            "rfc822;a+0D+0AQUIT",
            "rfc822;a+00",
            "rfc822;\u{e9}",
            "utf-8;a+2Bb",
            "utf-8;\\x{}",
            "utf-8;\\x{D800}",
            "utf-8;\\x{0A}",
            "utf-8;a\\x{200B}b",
            "utf-8;\\y",
            "utf-8;\\x{110000}",
            "utf-8;\\x{00000FC}",
            "utf-8;\\x{+FC}",
            &long,
        ] {
            let text = format!(" ORCPT={value}");
            assert_eq!(
                parse(&text),
                Err(InvalidParameter::Value("ORCPT")),
                "{text}"
            );
        }
        let blank = parse(" ORCPT=utf-8;a\u{3000}b");
        assert_eq!(blank, Err(InvalidParameter::Syntax));
        assert!(parse(&format!(" ORCPT=rfc822;{}", "a".repeat(493))).is_ok());
    }

    #[test]
    fn there_are_none_only_if_none_of_each_kind_is_there() {
        assert!(RcptParameters::default().is_empty());
        for one in [" NOTIFY=NEVER", " ORCPT=rfc822;a", " X-A"] {
            assert!(!parse(one).unwrap().is_empty(), "{one}");
        }
    }

    #[test]
    fn the_form_in_ascii_has_all_that_the_other_has() {
        let both = parse(" NOTIFY=NEVER ORCPT=utf-8;\u{fc} X-A=b").unwrap();
        assert_eq!(
            both.to_ascii().unwrap().to_string(),
            " NOTIFY=NEVER ORCPT=utf-8;\\x{FC} X-A=b"
        );
    }

    #[test]
    fn an_original_recipient_outside_ascii_has_a_form_inside_it() {
        let orcpt = parse(" ORCPT=utf-8;\u{fc}\\x{2B}x@b\u{fc}.example")
            .unwrap()
            .orcpt
            .unwrap();
        assert_eq!(orcpt.address().unwrap(), "\u{fc}+x@b\u{fc}.example");
        assert!(!orcpt.is_ascii());
        let ascii = orcpt.to_ascii().unwrap();
        assert_eq!(ascii.as_str(), "utf-8;\\x{FC}\\x{2B}x@b\\x{FC}.example");
        assert_eq!(ascii.address(), orcpt.address());
        assert_eq!(
            OriginalRecipient::of_mailbox("\u{fc}+x@b\u{fc}.example"),
            Ok(orcpt)
        );
    }

    proptest! {
        #[test]
        fn what_parses_prints_and_parses_to_the_same(
            words in proptest::collection::vec(
                " (NOTIFY=(NEVER|SUCCESS|FAILURE,DELAY|delay,success)|ORCPT=(rfc822|utf-8);[a+2B@\\\\x{}1\u{e9}]{0,10}|[A-Z]{1,3}(=[!-~\u{e9}]{1,4})?)", 0..5
            )
        ) {
            if let Ok(parameters) = parse(&words.concat()) {
                let printed = parameters.to_string();
                prop_assert_eq!(parse(&printed).unwrap(), parameters.clone());
                let ascii = parameters.to_ascii().unwrap();
                prop_assert!(ascii.is_ascii() && ascii.to_string().is_ascii());
                prop_assert_eq!(parse(&ascii.to_string()).unwrap(), ascii);
                let again = parameters.to_parameters().iter().map(|p| format!(" {p}")).collect::<Vec<_>>().concat();
                prop_assert_eq!(again, printed);
                if let Some(orcpt) = &parameters.orcpt {
                    prop_assert_eq!(orcpt.to_ascii().unwrap().address(), orcpt.address());
                }
            }
        }

        #[test]
        fn s301_an_original_recipient_has_an_ascii_form_if_that_is_not_too_long(
            address in "[a@]{1,20}[\u{e9}\u{4e2d}a]{50,100}|[a\u{e9}\u{20ac}\u{1f600}]{1,170}|[a\u{e9}]{240,260}"
        ) {
            let text = format!("utf-8;{address}");
            if let Ok(orcpt) = text.parse::<OriginalRecipient>() {
                let number = |c: char| if c.is_ascii() { 1 } else { format!("\\x{{{:X}}}", u32::from(c)).len() };
                let fits = text.chars().map(number).sum::<usize>() <= limits::ORIGINAL_RECIPIENT;
                let ascii = orcpt.to_ascii();
                prop_assert_eq!(ascii.is_some(), fits);
                if let Some(ascii) = ascii {
                    prop_assert!(ascii.is_ascii());
                    prop_assert_eq!(ascii.address(), orcpt.address());
                    prop_assert_eq!(ascii.as_str().parse::<OriginalRecipient>().unwrap(), ascii);
                }
            }
        }
    }
}
