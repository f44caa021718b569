//! The envelope (RFC 5321 section 2.3.1): what MAIL and RCPT said, or are to say.

use super::{ForwardPath, InvalidAddress, MailParameters, RcptParameters, ReversePath};

/// A reverse-path and the recipients, with their parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    reverse_path: ReversePath,
    parameters: MailParameters,
    recipients: Vec<Recipient>,
}

/// A recipient of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    path: ForwardPath,
    parameters: RcptParameters,
}

impl Envelope {
    /// An envelope without recipients.
    pub fn new(reverse_path: ReversePath) -> Self {
        Self {
            reverse_path,
            parameters: MailParameters::default(),
            recipients: Vec::new(),
        }
    }

    /// An envelope from texts: an empty `sender` is the null reverse-path. The error names the address that is wrong.
    pub fn parse<R: AsRef<str>>(
        sender: &str,
        recipients: impl IntoIterator<Item = R>,
    ) -> Result<Self, InvalidEnvelope> {
        let reverse_path = sender.parse().map_err(|source| InvalidEnvelope {
            recipient: None,
            source,
        })?;
        let mut envelope = Self::new(reverse_path);
        for (index, recipient) in recipients.into_iter().enumerate() {
            let path = recipient
                .as_ref()
                .parse()
                .map_err(|source| InvalidEnvelope {
                    recipient: Some(index),
                    source,
                })?;
            envelope.push(Recipient::new(path));
        }
        Ok(envelope)
    }

    /// The same with these parameters of MAIL.
    #[must_use]
    pub fn with_parameters(mut self, parameters: MailParameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// Whether all of it is ASCII. What is not needs SMTPUTF8 (RFC 6531), unless [`to_ascii`](Self::to_ascii) finds a way around.
    pub fn is_ascii(&self) -> bool {
        self.reverse_path.is_ascii() && self.recipients.iter().all(Recipient::is_ascii)
    }

    /// The same envelope in ASCII, with domains in A-labels, for a server without SMTPUTF8. `None` if a local part is not ASCII, or an
    /// ORCPT is too long in it. Its SMTPUTF8 parameter stays as it is: the message may need that even so.
    pub fn to_ascii(&self) -> Option<Self> {
        Some(Self {
            reverse_path: self.reverse_path.to_ascii()?,
            parameters: self.parameters.clone(),
            recipients: self
                .recipients
                .iter()
                .map(Recipient::to_ascii)
                .collect::<Option<_>>()?,
        })
    }

    /// Adds a recipient.
    pub fn push(&mut self, recipient: Recipient) {
        self.recipients.push(recipient);
    }

    /// Takes the recipients out.
    #[cfg(feature = "io")]
    pub(crate) fn take_recipients(&mut self) -> Vec<Recipient> {
        std::mem::take(&mut self.recipients)
    }

    /// Where notices of failure go.
    pub fn reverse_path(&self) -> &ReversePath {
        &self.reverse_path
    }

    /// The parameters of MAIL.
    pub fn parameters(&self) -> &MailParameters {
        &self.parameters
    }

    /// The recipients, in order.
    pub fn recipients(&self) -> &[Recipient] {
        &self.recipients
    }
}

impl Recipient {
    /// A recipient without parameters.
    pub fn new(path: ForwardPath) -> Self {
        Self {
            path,
            parameters: RcptParameters::default(),
        }
    }

    /// The same with these parameters of RCPT.
    #[must_use]
    pub fn with_parameters(mut self, parameters: RcptParameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// Whether its path and parameters are ASCII.
    pub fn is_ascii(&self) -> bool {
        self.path.is_ascii() && self.parameters.is_ascii()
    }

    /// The same in ASCII, with a domain in A-labels. `None` if the local part is not ASCII, or ORCPT is too long in it.
    pub fn to_ascii(&self) -> Option<Self> {
        Some(Self {
            path: self.path.to_ascii()?,
            parameters: self.parameters.to_ascii()?,
        })
    }

    /// The forward-path.
    pub fn path(&self) -> &ForwardPath {
        &self.path
    }

    /// The parameters of RCPT.
    pub fn parameters(&self) -> &RcptParameters {
        &self.parameters
    }
}

/// Which address of an envelope is not valid, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {source}", match .recipient { Some(index) => format!("recipient {}", index + 1), None => "the sender".to_owned() })]
pub struct InvalidEnvelope {
    /// The index of the recipient; `None` for the sender.
    pub recipient: Option<usize>,
    /// What is wrong with it.
    pub source: InvalidAddress,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_address_that_is_wrong() {
        let error = Envelope::parse("a@b", ["c@d", "e"]).unwrap_err();
        assert_eq!(error.recipient, Some(1));
        assert!(error.to_string().starts_with("recipient 2: "), "{error}");
        let error = Envelope::parse("a\r\n@b", ["c@d"]).unwrap_err();
        assert!(error.to_string().starts_with("the sender: "), "{error}");
    }

    #[test]
    fn an_envelope_has_an_ascii_form_unless_a_local_part_has_none() {
        let envelope = Envelope::parse("a@\u{fc}.example", ["c@d", "e@xn--tda.example"]).unwrap();
        assert!(!envelope.is_ascii());
        let ascii = envelope.to_ascii().unwrap();
        assert!(ascii.is_ascii());
        assert_eq!(ascii, envelope);
        assert_eq!(ascii.reverse_path().to_string(), "a@xn--tda.example");
        for (sender, recipient) in [("\u{fc}@b", "c@d"), ("a@b", "\u{fc}@d")] {
            let envelope = Envelope::parse(sender, [recipient]).unwrap();
            assert_eq!(envelope.to_ascii(), None);
        }
        let mut envelope = Envelope::parse("", ["a@b"]).unwrap();
        let mut parameters = RcptParameters::default();
        parameters.set("ORCPT", Some("utf-8;\u{fc}@b")).unwrap();
        envelope.push(Recipient::new("c@d".parse().unwrap()).with_parameters(parameters));
        assert!(!envelope.is_ascii() && envelope.to_ascii().unwrap().is_ascii());
        let mut parameters = RcptParameters::default();
        let long = format!("utf-8;{}@b", "\u{fc}".repeat(200));
        parameters.set("ORCPT", Some(&long)).unwrap();
        envelope.push(Recipient::new("e@f".parse().unwrap()).with_parameters(parameters));
        assert_eq!(envelope.to_ascii(), None);
    }
}
