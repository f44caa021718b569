//! A part of a message: text, an attachment, or a thing that the HTML shows; and how its octets are carried.

use std::borrow::Cow;

use mail_builder::headers::HeaderType;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::message_id::MessageId;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::{BodyPart, MimePart};
use memchr::memchr2;

use crate::error::Error;

use super::check;
use super::unique::unique;

/// An attachment or an inline part, checked.
#[derive(Clone)]
pub(super) struct Part<'a> {
    content_type: String,
    disposition: Disposition,
    bytes: Cow<'a, [u8]>,
    /// It is a message, which goes as it is.
    is_message: bool,
}

#[derive(Clone)]
enum Disposition {
    /// With its file name.
    Attachment(String),
    /// With its content id.
    Inline(String),
}

impl<'a> Part<'a> {
    pub(super) fn attachment(
        file_name: &str,
        content_type: Option<&str>,
        bytes: Cow<'a, [u8]>,
    ) -> Result<Self, Error> {
        check::no_control("attach: file name", file_name)?;
        if file_name.is_empty() {
            return Err(check::invalid("attach: file name", "it is empty"));
        }
        let content_type = content_type.unwrap_or_else(|| by_extension(file_name));
        let disposition = Disposition::Attachment(file_name.to_owned());
        Self::new("attach", content_type, disposition, bytes)
    }

    pub(super) fn inline(
        content_id: &str,
        content_type: &str,
        bytes: Cow<'a, [u8]>,
    ) -> Result<Self, Error> {
        let id = check::content_id("inline: content id", content_id)?;
        Self::new(
            "inline",
            content_type,
            Disposition::Inline(id.to_owned()),
            bytes,
        )
    }

    fn new(
        setter: &str,
        content_type: &str,
        disposition: Disposition,
        bytes: Cow<'a, [u8]>,
    ) -> Result<Self, Error> {
        let field = format!("{setter}: content type");
        let kind = check::content_type(&field, content_type)?;
        let is_message = kind == "message/rfc822";
        // RFC 2046 sections 5.1 and 5.2: these may not be in base64, and only a reader could tell whether they are whole.
        if (kind.starts_with("message/") || kind.starts_with("multipart/")) && !is_message {
            return Err(check::invalid(
                &field,
                format_args!("{kind} cannot be attached; application/octet-stream can"),
            ));
        }
        if is_message && !goes_as_it_is(&bytes) {
            return Err(check::invalid(
                setter,
                "a message/rfc822 with 8-bit octets, long lines or line ends other than CRLF cannot be attached as such; \
                 application/octet-stream can",
            ));
        }
        Ok(Self {
            content_type: content_type.to_owned(),
            disposition,
            bytes,
            is_message,
        })
    }

    /// As the MIME library takes it.
    pub(super) fn to_mime(&self) -> MimePart<'_> {
        // A raw Content-Type keeps the library from treating text/* as text: an attachment's octets must not change.
        let mut part = raw_part(
            &self.content_type,
            BodyPart::Binary(Cow::Borrowed(&self.bytes)),
        );
        if self.is_message {
            push(&mut part, "Content-Transfer-Encoding", Raw::new("7bit"));
        }
        match &self.disposition {
            Disposition::Attachment(name) => part.attachment(name.as_str()),
            Disposition::Inline(id) => {
                push(&mut part, "Content-ID", MessageId::new(id.as_str()));
                part.inline()
            }
        }
    }
}

/// A text part. Its line ends are CRLF already.
pub(super) fn text<'a>(kind: &'static str, text: &'a str) -> MimePart<'a> {
    let odd = |b: u8| b.is_ascii_control() && !matches!(b, b'\r' | b'\n' | b'\t');
    if text.bytes().any(odd) {
        // NUL and its kin may not travel as they are (RFC 2045 section 2.7), and the library would let them.
        let content_type = format!("{kind}; charset=\"utf-8\"");
        return raw_part(
            content_type,
            BodyPart::Binary(Cow::Borrowed(text.as_bytes())),
        );
    }
    MimePart::new(kind, text)
}

/// Several parts in one, if there are several.
pub(super) fn multipart<'a>(
    kind: ContentType<'a>,
    mut parts: Vec<MimePart<'a>>,
) -> Option<MimePart<'a>> {
    if parts.len() < 2 {
        return parts.pop();
    }
    // `=_` stands in no line of quoted-printable or base64 (RFC 2045 section 6.7).
    let boundary = format!("=_{}", unique());
    Some(MimePart::new(kind.attribute("boundary", boundary), parts))
}

/// CRLF for every line end, be it CRLF, CR or LF.
pub(super) fn canonical(text: Cow<'_, str>) -> Cow<'_, str> {
    let Some(first) = memchr2(b'\r', b'\n', text.as_bytes()) else {
        return text;
    };
    let mut out = String::with_capacity(text.len() + text.len() / 32);
    let mut rest = &*text;
    let mut next = Some(first);
    while let Some(end) = next {
        out.push_str(&rest[..end]);
        out.push_str("\r\n");
        let length = if rest[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + length..];
        next = memchr2(b'\r', b'\n', rest.as_bytes());
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn raw_part<'a>(content_type: impl Into<Cow<'a, str>>, contents: BodyPart<'a>) -> MimePart<'a> {
    let mut part = MimePart::raw(contents);
    push(&mut part, "Content-Type", Raw::new(content_type));
    part
}

fn push<'a>(part: &mut MimePart<'a>, name: &'static str, value: impl Into<HeaderType<'a>>) {
    part.headers.push((name.into(), value.into()));
}

/// Whether a message may be a part without an encoding: 7-bit, CRLF, lines of at most 998 octets (RFC 2045 section 2.7).
fn goes_as_it_is(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        if end > 998 || !line.is_ascii() || line.contains(&0) {
            return false;
        }
        rest = match &rest[end..] {
            [] => &[],
            [b'\r', b'\n', after @ ..] => after,
            _ => return false,
        };
    }
    true
}

/// The content type that a file name suggests, for the kinds that mails often carry.
fn by_extension(file_name: &str) -> &'static str {
    let extension = file_name
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "csv" => "text/csv",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "gif" => "image/gif",
        "gz" => "application/gzip",
        "htm" | "html" => "text/html",
        "ics" => "text/calendar",
        "jpeg" | "jpg" => "image/jpeg",
        "json" => "application/json",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "odt" => "application/vnd.oasis.opendocument.text",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "svg" => "image/svg+xml",
        "txt" | "log" => "text/plain",
        "vcf" => "text/vcard",
        "webp" => "image/webp",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xml" => "application/xml",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_becomes_crlf() {
        for (text, expected) in [
            ("", ""),
            ("a", "a"),
            ("a\nb", "a\r\nb"),
            ("a\rb\r\nc\n\rd\r", "a\r\nb\r\nc\r\n\r\nd\r\n"),
            ("\r\r\n\n", "\r\n\r\n\r\n"),
        ] {
            assert_eq!(canonical(text.into()), expected, "{text:?}");
        }
    }

    #[test]
    fn only_a_seven_bit_message_goes_as_it_is() {
        assert!(goes_as_it_is(b""));
        assert!(goes_as_it_is(b"A: b\r\n\r\nc"));
        for bytes in [&b"a\nb"[..], b"a\r", b"a\rb", b"\xff", b"\0", &[b'x'; 999]] {
            assert!(!goes_as_it_is(bytes));
        }
    }
}
