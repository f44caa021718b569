//! The envelope of a message on its way out: what the caller says, and else what the message's header says.

use mailwire::message::headers;
use mailwire::proto::{
    Envelope, ForwardPath, InvalidParameter, MailParameters, RcptParameters, Recipient, ReversePath,
};
use pyo3::prelude::*;

use crate::error::{self, invalid};

/// An envelope. A sender or recipients that were not given are read from `header`.
pub(crate) fn from_python(
    py: Python<'_>,
    header: &[u8],
    sender: Option<&str>,
    recipients: Option<&[String]>,
    mail_options: &[String],
    rcpt_options: &[String],
) -> PyResult<Envelope> {
    let reverse_path = match sender {
        Some(text) => text
            .parse()
            .map_err(|e| invalid(py, format!("sender {text:?}: {e}")))?,
        None => ReversePath::Mailbox(
            headers::sender(header).map_err(|e| error::to_python(py, &e, None))?,
        ),
    };
    let mut envelope =
        Envelope::new(reverse_path).with_parameters(mail_parameters(py, mail_options)?);
    let parameters = rcpt_parameters(py, rcpt_options)?;
    let paths: Vec<ForwardPath> = if let Some(texts) = recipients {
        let parse = |text: &String| {
            text.parse()
                .map_err(|e| invalid(py, format!("recipient {text:?}: {e}")))
        };
        texts.iter().map(parse).collect::<PyResult<_>>()?
    } else {
        let mailboxes = headers::recipients(header).map_err(|e| error::to_python(py, &e, None))?;
        mailboxes.into_iter().map(ForwardPath::Mailbox).collect()
    };
    if paths.is_empty() {
        return Err(invalid(py, "recipients: at least one is needed"));
    }
    for path in paths {
        envelope.push(Recipient::new(path).with_parameters(parameters.clone()));
    }
    Ok(envelope)
}

/// The parameters of MAIL from words such as `BODY=8BITMIME`.
fn mail_parameters(py: Python<'_>, options: &[String]) -> PyResult<MailParameters> {
    let mut parameters = MailParameters::default();
    each(py, "mail_options", options, |keyword, value| {
        parameters.set(keyword, value)
    })?;
    Ok(parameters)
}

fn rcpt_parameters(py: Python<'_>, options: &[String]) -> PyResult<RcptParameters> {
    let mut parameters = RcptParameters::default();
    each(py, "rcpt_options", options, |keyword, value| {
        parameters.set(keyword, value)
    })?;
    Ok(parameters)
}

fn each(
    py: Python<'_>,
    argument: &str,
    options: &[String],
    mut set: impl FnMut(&str, Option<&str>) -> Result<(), InvalidParameter>,
) -> PyResult<()> {
    for option in options {
        let (keyword, value) = option
            .split_once('=')
            .map_or((option.as_str(), None), |(keyword, value)| {
                (keyword, Some(value))
            });
        set(keyword, value)
            .map_err(|error| invalid(py, format!("{argument}: {option:?}: {error}")))?;
    }
    Ok(())
}
