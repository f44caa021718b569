//! From a checked [`Mail`] to octets: the header's fields, the tree of parts, and the envelope.

use std::borrow::Cow;

use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::address::Address as MimeAddress;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::date::Date;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;

use crate::error::Error;
use crate::proto::{BodyType, Envelope, MailParameters, ReversePath};

use super::address::{self, Address};
use super::mail::Mail;
use super::part::{self, Part};
use super::unique::unique;
use super::{check, words};

/// A message ready to be sent, with its envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    envelope: Envelope,
    content: Vec<u8>,
}

impl Built {
    /// Sender and recipients, the hidden ones (bcc) among them, each once.
    ///
    /// Its parameters are those that the message needs: none, or SMTPUTF8 (RFC 6531 section 3.4) and BODY=8BITMIME where an
    /// address in the header has letters outside ASCII before its `@`. A server that does not offer both cannot take the
    /// message, and sending it there is an error before anything of it is sent.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The message, ending with CRLF, as do all its lines; none is longer than 998 octets without it.
    ///
    /// It is 7-bit ASCII, unless its envelope has SMTPUTF8: then the addresses that need it are UTF-8 in the header (RFC 6532),
    /// and all else is ASCII even so.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The envelope and the message.
    pub fn into_parts(self) -> (Envelope, Vec<u8>) {
        (self.envelope, self.content)
    }
}

pub(super) fn build(mail: &Mail<'_>) -> Result<Built, Error> {
    let from = mail
        .from
        .as_ref()
        .ok_or_else(|| check::invalid("from", "it is missing"))?;
    let mut message = MessageBuilder::new().body(body(mail));
    message.headers = header(mail, from);
    let mut content = Vec::new();
    message.serialize(&mut content);
    // The text of a mail without parts may lack its last line end, which SMTP would add (RFC 5321 section 4.1.1.4).
    if !content.ends_with(b"\r\n") {
        content.extend_from_slice(b"\r\n");
    }
    Ok(Built {
        envelope: envelope(mail, from)?,
        content,
    })
}

fn envelope(mail: &Mail<'_>, from: &Address) -> Result<Envelope, Error> {
    // RFC 5322 section 3.6.2: the Sender field, where there is one, names who sends.
    let sender = mail.sender.as_ref().unwrap_or(from);
    let reverse_path = mail
        .reverse_path
        .clone()
        .unwrap_or_else(|| ReversePath::Mailbox(sender.mailbox.clone()));
    let all = mail.to.iter().chain(&mail.cc).chain(&mail.bcc);
    let mailboxes = address::each_once(all.map(|address| address.mailbox.clone()));
    if mailboxes.is_empty() {
        return Err(check::invalid(
            "to, cc, bcc",
            "at least one recipient is needed",
        ));
    }
    Ok(address::envelope(reverse_path, mailboxes).with_parameters(parameters(mail, from)))
}

/// What a server has to offer for the header. An address of the envelope alone needs nothing here: the client sees to it for
/// the server that it has.
fn parameters(mail: &Mail<'_>, from: &Address) -> MailParameters {
    let mut parameters = MailParameters::default();
    let lists = [&mail.reply_to, &mail.to, &mail.cc];
    let mut shown = lists
        .into_iter()
        .flatten()
        .chain(&mail.sender)
        .chain([from]);
    if shown.any(|address| !address.mailbox.is_ascii()) {
        // RFC 6531 section 3.6: octets outside ASCII are 8-bit in a header too.
        parameters.body = Some(BodyType::EightBitMime);
        parameters.smtputf8 = true;
    }
    parameters
}

type Fields<'x> = Vec<(Cow<'x, str>, HeaderType<'x>)>;

/// All fields but those of the body. Bcc is not among them.
fn header<'x>(mail: &'x Mail<'_>, from: &'x Address) -> Fields<'x> {
    let mut fields: Fields<'x> = Vec::new();
    let mut add = |name: &'x str, value: HeaderType<'x>| fields.push((name.into(), value));
    if !mail.has("Date") {
        // In UTC: the zone of the sender's machine is nobody's business.
        add("Date", Date::now().into());
    }
    add("From", list([from]));
    if let Some(sender) = &mail.sender {
        add("Sender", list([sender]));
    }
    for (name, addresses) in [
        ("Reply-To", &mail.reply_to),
        ("To", &mail.to),
        ("Cc", &mail.cc),
    ] {
        if !addresses.is_empty() {
            add(name, list(addresses));
        }
    }
    if let Some(subject) = &mail.subject {
        add(
            "Subject",
            Raw::new(words::encode("Subject", subject)).into(),
        );
    }
    if !mail.has("Message-ID") {
        // The author's domain, never the name of this host. It is ASCII, as identifiers are also beside UTF-8.
        let id = format!("<{}@{}>", unique(), from.mailbox.domain());
        add("Message-ID", Raw::new(id).into());
    }
    for (name, value) in &mail.headers {
        add(name, Raw::new(words::encode(name, value)).into());
    }
    fields
}

/// Names go out in encoded words beside an address in UTF-8 too: every reader knows them, also where a message is handed on
/// by one that does not know RFC 6532. Only what has no form in ASCII is UTF-8.
fn list<'x>(addresses: impl IntoIterator<Item = &'x Address>) -> HeaderType<'x> {
    let one = |address: &'x Address| {
        MimeAddress::new_address(address.name.as_deref(), address.mailbox.as_str())
    };
    MimeAddress::new_list(addresses.into_iter().map(one).collect()).into()
}

/// mixed(alternative(text, related(html, inline…)), attachments…), less what is not there.
fn body<'x>(mail: &'x Mail<'_>) -> MimePart<'x> {
    let mut inline: Vec<_> = mail.inline.iter().map(Part::to_mime).collect();
    let mut readable = Vec::new();
    if let Some(text) = &mail.text {
        readable.push(part::text("text/plain", text));
    }
    if let Some(html) = &mail.html {
        let mut related = vec![part::text("text/html", html)];
        related.append(&mut inline);
        // RFC 2387 section 3.1: the type of the part that the others belong to.
        let kind = ContentType::new("multipart/related").attribute("type", "text/html");
        readable.extend(part::multipart(kind, related));
    }
    let mut parts = Vec::new();
    parts.extend(part::multipart(
        ContentType::new("multipart/alternative"),
        readable,
    ));
    parts.append(&mut inline);
    parts.extend(mail.attachments.iter().map(Part::to_mime));
    part::multipart(ContentType::new("multipart/mixed"), parts)
        .unwrap_or_else(|| part::text("text/plain", ""))
}
