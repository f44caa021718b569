//! What a client is given to send, as a caller of mailwire would give it.

use mailwire::message::Mail;
use mailwire::proto::{
    Envelope, EnvelopeId, MailParameters, RcptParameters, Recipient, Submitter, Xtext,
};

/// A message and its envelope, in texts.
#[derive(Debug, Clone)]
pub struct Composition {
    /// The sender.
    pub from: String,
    /// Parameters of MAIL, as words.
    pub mail: Vec<String>,
    /// The identifier of the envelope, in plain text.
    pub envid: Option<String>,
    /// Who has submitted it, in plain text.
    pub submitter: Option<String>,
    /// The recipients, and the parameters of each.
    pub recipients: Vec<(String, Vec<String>)>,
    /// The message, ready-made.
    pub message: Vec<u8>,
    /// The parts of a message that is built: a word and a text.
    pub parts: Vec<(String, String)>,
}

impl Composition {
    /// The message that is sent where nothing else is said.
    pub const MESSAGE: &'static [u8] = b"Hello.\r\n";

    /// From this sender, and to nobody yet.
    pub fn new(from: &str) -> Self {
        Self {
            from: from.to_owned(),
            mail: Vec::new(),
            envid: None,
            submitter: None,
            recipients: Vec::new(),
            message: Self::MESSAGE.to_vec(),
            parts: Vec::new(),
        }
    }

    /// What mailwire makes of it. The error is what it says about it.
    pub fn compose(&self) -> Result<(Envelope, Vec<u8>), String> {
        let from = self.from.parse().map_err(|error| said("sender", error))?;
        let mut envelope = Envelope::new(from).with_parameters(self.parameters()?);
        for (recipient, words) in &self.recipients {
            let path = recipient
                .parse()
                .map_err(|error| said("recipient", error))?;
            let mut parameters = RcptParameters::default();
            for word in words {
                let (keyword, value) = keyword_and_value(word);
                let set = parameters.set(keyword, value);
                set.map_err(|error| said(keyword, error))?;
            }
            envelope.push(Recipient::new(path).with_parameters(parameters));
        }
        let message = if self.parts.is_empty() {
            self.message.clone()
        } else {
            self.build().map_err(|error| error.to_string())?
        };
        Ok((envelope, message))
    }

    fn parameters(&self) -> Result<MailParameters, String> {
        let mut parameters = MailParameters::default();
        for word in &self.mail {
            let (keyword, value) = keyword_and_value(word);
            let set = parameters.set(keyword, value);
            set.map_err(|error| said(keyword, error))?;
        }
        if let Some(text) = &self.envid {
            let envid = EnvelopeId::new(text);
            parameters.envid = Some(envid.ok_or("that text is no identifier of an envelope")?);
        }
        if let Some(text) = &self.submitter {
            parameters.auth = Some(Submitter::Known(Xtext::encode(text.as_bytes())));
        }
        Ok(parameters)
    }

    fn build(&self) -> Result<Vec<u8>, mailwire::Error> {
        let mut mail = Mail::new();
        mail.from(&self.from)?;
        for (recipient, _) in &self.recipients {
            mail.to(recipient)?;
        }
        for (part, text) in &self.parts {
            match part.as_str() {
                "subject" => mail.subject(text)?,
                "header" => {
                    let (name, value) = text.split_once(' ').unwrap_or((text, ""));
                    mail.header(name, value)?
                }
                _ => mail.text(text.as_str())?,
            };
        }
        Ok(mail.build()?.into_parts().1)
    }
}

fn keyword_and_value(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    }
}

fn said(what: &str, error: impl std::fmt::Display) -> String {
    format!("{what}: {error}")
}
