//! The builder of a mail: what a caller gives, checked as it is given.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::error::{Error, Status};
use crate::proto::ReversePath;

use super::address::Address;
use super::assemble::{self, Built};
use super::check;
use super::part::{self, Part};

/// Builds a mail: addresses, subject, text, HTML, attachments.
///
/// Each setter checks what it is given and refuses CR, LF and NUL (other than line ends in a text), so nothing given
/// here can add a field, a part or a recipient. An error has [`Status::InvalidArgument`](crate::Status) and begins with
/// the name of the field; the mail is then as it was before.
///
/// Addresses may have letters outside ASCII. A domain stands in the mail in its A-labels (RFC 5891), which every server and
/// reader takes. A local part has no such form: in `from`, `to`, `cc`, `reply_to` or `Sender` it makes the header one of
/// RFC 6532, and the envelope has SMTPUTF8 and BODY=8BITMIME; sending to a server that does not offer them fails with
/// [`Status::NotSupported`](crate::Status) before anything of the mail is sent. In `bcc` it concerns that recipient alone, who is
/// [`Refused`](crate::Delivery::Refused) there, and as the reverse-path it needs SMTPUTF8 for the envelope, not for the header.
///
/// `to`, `cc`, `bcc`, `reply_to`, `attach`, `inline` and `header` add; the other setters replace what was set before.
///
/// ```
/// # fn main() -> Result<(), mailwire::Error> {
/// let mut mail = mailwire::message::Mail::new();
/// mail.from("Ada Lovelace <ada@example.org>")?
///     .to("\"Babbage, Charles\" <charles@example.net>")?
///     .subject("The engine")?
///     .text("It works.\n")?
///     .attach("notes.pdf", None, &b"%PDF-1.7"[..])?;
/// let built = mail.build()?;
/// assert_eq!(built.envelope().recipients()[0].path().as_str(), "charles@example.net");
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Mail<'a> {
    pub(super) reverse_path: Option<ReversePath>,
    pub(super) from: Option<Address>,
    pub(super) sender: Option<Address>,
    pub(super) reply_to: Vec<Address>,
    pub(super) to: Vec<Address>,
    pub(super) cc: Vec<Address>,
    pub(super) bcc: Vec<Address>,
    pub(super) subject: Option<String>,
    /// Other fields, checked, at most one of those in `ONCE`.
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: Option<Cow<'a, str>>,
    pub(super) html: Option<Cow<'a, str>>,
    pub(super) inline: Vec<Part<'a>>,
    pub(super) attachments: Vec<Part<'a>>,
}

/// Fields of the header that a message has once (RFC 5322 section 3.6) and that have no setter, in their usual spelling.
const ONCE: [&str; 4] = ["Date", "Message-ID", "In-Reply-To", "References"];

impl<'a> Mail<'a> {
    /// A mail without anything. It needs at least `from` and one of `to`, `cc` and `bcc`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The author: `ada@example.org`, `Ada <ada@example.org>` or `"Lovelace, Ada" <ada@example.org>`.
    ///
    /// A name may have any letters. Its encoded words (RFC 2047), if it has some, are read first.
    pub fn from(&mut self, address: &str) -> Result<&mut Self, Error> {
        self.from = Some(check::address("from", address)?);
        Ok(self)
    }

    /// The reverse-path of the envelope, where notices of failure go; the empty text is the null reverse-path.
    ///
    /// Without it the mailbox of the `Sender` field is taken, or that of `from`. It appears nowhere in the message.
    pub fn sender(&mut self, reverse_path: &str) -> Result<&mut Self, Error> {
        let path = reverse_path
            .parse()
            .map_err(|error| check::invalid("sender", error))?;
        self.reverse_path = Some(path);
        Ok(self)
    }

    /// Adds recipients: one address as in [`Mail::from`], or several separated by commas.
    pub fn to(&mut self, addresses: &str) -> Result<&mut Self, Error> {
        self.to.extend(check::addresses("to", addresses)?);
        Ok(self)
    }

    /// Adds recipients who get a copy, as [`Mail::to`] does.
    pub fn cc(&mut self, addresses: &str) -> Result<&mut Self, Error> {
        self.cc.extend(check::addresses("cc", addresses)?);
        Ok(self)
    }

    /// Adds recipients whom no one sees: they are in the envelope and nowhere in the message.
    pub fn bcc(&mut self, addresses: &str) -> Result<&mut Self, Error> {
        self.bcc.extend(check::addresses("bcc", addresses)?);
        Ok(self)
    }

    /// Adds addresses that answers go to.
    pub fn reply_to(&mut self, addresses: &str) -> Result<&mut Self, Error> {
        self.reply_to
            .extend(check::addresses("reply_to", addresses)?);
        Ok(self)
    }

    /// The subject, in any letters.
    pub fn subject(&mut self, subject: &str) -> Result<&mut Self, Error> {
        check::no_line_break("subject", subject)?;
        self.subject = Some(subject.to_owned());
        Ok(self)
    }

    /// The text. Its line ends may be CRLF, LF or CR.
    pub fn text(&mut self, text: impl Into<Cow<'a, str>>) -> Result<&mut Self, Error> {
        self.text = Some(part::canonical(text.into()));
        Ok(self)
    }

    /// The text as HTML. With [`Mail::text`] set too, the reader's program chooses between them.
    pub fn html(&mut self, html: impl Into<Cow<'a, str>>) -> Result<&mut Self, Error> {
        self.html = Some(part::canonical(html.into()));
        Ok(self)
    }

    /// Adds an attachment. Its octets arrive unchanged.
    ///
    /// Without a content type the usual one of the file name's ending is taken, or `application/octet-stream`. A
    /// `message/rfc822` must be 7-bit with CRLF line ends, and other messages and multiparts are refused, because
    /// RFC 2046 section 5.2.1 lets them have no encoding.
    pub fn attach(
        &mut self,
        file_name: &str,
        content_type: Option<&str>,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> Result<&mut Self, Error> {
        let part = Part::attachment(file_name, content_type, bytes.into())?;
        self.attachments.push(part);
        Ok(self)
    }

    /// Adds a file as an attachment, with its own name and the usual content type of that. It is read now, all of it.
    ///
    /// Fails with [`Status::Io`](crate::Status) if it cannot be read.
    pub fn attach_file(&mut self, path: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let path = path.as_ref();
        let name = path.file_name().and_then(OsStr::to_str).ok_or_else(|| {
            let path = path.display();
            check::invalid("attach_file", format_args!("{path} has no name in UTF-8"))
        })?;
        let bytes = fs::read(path).map_err(|error| unread(&path.display(), error))?;
        self.attach(name, None, bytes)
    }

    /// Adds as an attachment what is read, which happens now, up to the end.
    ///
    /// Fails with [`Status::Io`](crate::Status) if it cannot be read; all else is as with [`Mail::attach`].
    pub fn attach_reader(
        &mut self,
        file_name: &str,
        content_type: Option<&str>,
        mut reader: impl Read,
    ) -> Result<&mut Self, Error> {
        let mut bytes = Vec::new();
        let read = reader.read_to_end(&mut bytes);
        read.map_err(|error| unread(&file_name, error))?;
        self.attach(file_name, content_type, bytes)
    }

    /// Adds what the HTML shows as `cid:content_id`, an image for example.
    pub fn inline(
        &mut self,
        content_id: &str,
        content_type: &str,
        bytes: impl Into<Cow<'a, [u8]>>,
    ) -> Result<&mut Self, Error> {
        let part = Part::inline(content_id, content_type, bytes.into())?;
        self.inline.push(part);
        Ok(self)
    }

    /// Adds a field to the header.
    ///
    /// `From`, `To`, `Cc`, `Bcc`, `Reply-To` and `Subject` do what the setter of that name does. `Sender` replaces.
    /// `Date`, `Message-ID`, `In-Reply-To` and `References` may be given once. Refused are `MIME-Version` and
    /// `Content-…`, which the parts decide, and `Resent-…`, `Return-Path` and `Received`, which belong to a message that
    /// is under way. All others may be given any number of times, in any letters.
    pub fn header(&mut self, name: &str, value: &str) -> Result<&mut Self, Error> {
        check::header_name(name)?;
        check::no_line_break(&format!("header {name}"), value)?;
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "from" => return self.from(value),
            "to" => return self.to(value),
            "cc" => return self.cc(value),
            "bcc" => return self.bcc(value),
            "reply-to" => return self.reply_to(value),
            "subject" => return self.subject(value),
            "sender" => {
                self.sender = Some(check::address("header Sender", value)?);
                return Ok(self);
            }
            "mime-version" => return Err(refused(name, "the parts of the mail decide it")),
            "return-path" | "received" => {
                return Err(refused(name, "servers add it"));
            }
            _ if lower.starts_with("content-") => {
                return Err(refused(name, "the parts of the mail decide it"));
            }
            _ if lower.starts_with("resent-") => {
                return Err(refused(name, "it belongs to a message that is sent again"));
            }
            _ => {}
        }
        let once = ONCE
            .into_iter()
            .find(|once| once.eq_ignore_ascii_case(name));
        if let Some(name) = once {
            let field = format!("header {name}");
            check::plain(&field, value)?;
            if name == "Message-ID" {
                check::message_id(&field, value)?;
            }
            if self.has(name) {
                return Err(check::invalid(&field, "it was given already"));
            }
        }
        let name = once.unwrap_or(name).to_owned();
        self.headers.push((name, value.to_owned()));
        Ok(self)
    }

    /// Makes the message and its envelope. The mail can be changed and built again; each time the `Message-ID` is new
    /// unless it was given.
    ///
    /// The error names what is missing: `from`, or a recipient.
    pub fn build(&self) -> Result<Built, Error> {
        assemble::build(self)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(given, _)| given == name)
    }
}

impl fmt::Debug for Mail<'_> {
    /// The header's fields and the number of attachments, not their contents.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("cc", &self.cc)
            .field("bcc", &self.bcc)
            .field("subject", &self.subject)
            .field("attachments", &self.attachments.len())
            .finish_non_exhaustive()
    }
}

fn unread(what: &dyn fmt::Display, error: io::Error) -> Error {
    let text = format!("attach: {what} cannot be read: {error}");
    Error::new(Status::Io, text).lasting().with_source(error)
}

fn refused(name: &str, why: &str) -> Error {
    check::invalid(
        &format!("header {name}"),
        format_args!("it cannot be given: {why}"),
    )
}
