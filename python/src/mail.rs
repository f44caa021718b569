//! Building a mail from its parts, with the engine's builder.

use mailwire::message::Mail;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use crate::error;

/// What a mail is made of, as Python gives it.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Parts {
    subject: String,
    text: Option<String>,
    html: Option<String>,
    sender: String,
    to: Vec<String>,
    cc: Vec<String>,
    bcc: Vec<String>,
    reply_to: Vec<String>,
    /// File name, content type, octets.
    attachments: Vec<(String, Option<String>, PyBackedBytes)>,
    /// Content-ID, content type, octets.
    inline: Vec<(String, String, PyBackedBytes)>,
    headers: Vec<(String, String)>,
}

/// A reverse-path, recipients, parameters of MAIL and a message.
type Mailed<'py> = (String, Vec<String>, Vec<String>, Bound<'py, PyBytes>);

/// Builds a mail. Gives the reverse-path, the recipients, the parameters of MAIL that it needs and the message.
#[pyfunction]
pub(crate) fn build_mail(py: Python<'_>, parts: Parts) -> PyResult<Mailed<'_>> {
    let built = build(&parts).map_err(|error| error::to_python(py, &error, None))?;
    let envelope = built.envelope();
    let recipients = envelope
        .recipients()
        .iter()
        .map(|recipient| recipient.path().to_string())
        .collect();
    let parameters = envelope.parameters().to_parameters();
    Ok((
        envelope.reverse_path().to_string(),
        recipients,
        parameters.iter().map(ToString::to_string).collect(),
        PyBytes::new(py, built.content()),
    ))
}

fn build(parts: &Parts) -> Result<mailwire::message::Built, mailwire::Error> {
    let mut mail = Mail::new();
    mail.from(&parts.sender)?.subject(&parts.subject)?;
    for address in &parts.to {
        mail.to(address)?;
    }
    for address in &parts.cc {
        mail.cc(address)?;
    }
    for address in &parts.bcc {
        mail.bcc(address)?;
    }
    for address in &parts.reply_to {
        mail.reply_to(address)?;
    }
    if let Some(text) = &parts.text {
        mail.text(text)?;
    }
    if let Some(html) = &parts.html {
        mail.html(html)?;
    }
    for (name, content_type, octets) in &parts.attachments {
        mail.attach(name, content_type.as_deref(), &octets[..])?;
    }
    for (content_id, content_type, octets) in &parts.inline {
        mail.inline(content_id, content_type, &octets[..])?;
    }
    for (name, value) in &parts.headers {
        mail.header(name, value)?;
    }
    mail.build()
}
