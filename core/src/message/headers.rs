//! The envelope of a ready-made message, read from its header, and the message without its Bcc fields.
//!
//! The rules are those of Python's `smtplib.send_message`. If the message has a `Resent-Date`, it is being sent again
//! and the `Resent-` fields count (RFC 5322 section 3.6.6), otherwise the plain ones. The sender is `Sender`, or the first
//! address of `From`; the recipients are those of `To`, `Cc` and `Bcc`, each once.
//!
//! Lines may end with CRLF, LF or CR, as they may in what the client sends: a line end that the wire encoder makes a
//! CRLF is a line end here too, so that no Bcc field can hide behind one.

use std::borrow::Cow;

use memchr::memchr2;

use crate::error::Error;
use crate::proto::{Envelope, Mailbox, ReversePath};

use super::address::{self, Address};
use super::check::invalid;

/// The envelope that the header describes, and the message without `Bcc` and `Resent-Bcc`.
///
/// The error has [`Status::InvalidArgument`](crate::Status) and names the field that is missing or that holds no
/// addresses.
pub fn envelope_from_headers(message: &[u8]) -> Result<(Envelope, Cow<'_, [u8]>), Error> {
    let sender = sender(message)?;
    let envelope = address::envelope(ReversePath::Mailbox(sender), recipients(message)?);
    Ok((envelope, without_bcc(message)))
}

/// The mailbox of `Sender`, or the first one of `From`; of the `Resent-` ones if the message is being sent again.
pub fn sender(message: &[u8]) -> Result<Mailbox, Error> {
    let prefix = prefix(message)?;
    for name in ["Sender", "From"] {
        let name = format!("{prefix}{name}");
        if let Some(field) = fields(message).find(|field| field.is(&name)) {
            let first = field.addresses(&name)?.into_iter().next();
            return first
                .map(|address| address.mailbox)
                .ok_or_else(|| invalid(&name, "the field of the message is empty"));
        }
    }
    Err(invalid(
        "sender",
        format_args!("none was given, and the message has no {prefix}From"),
    ))
}

/// The mailboxes of `To`, `Cc` and `Bcc`, each once; of the `Resent-` ones if the message is being sent again.
pub fn recipients(message: &[u8]) -> Result<Vec<Mailbox>, Error> {
    let prefix = prefix(message)?;
    let mut mailboxes = Vec::new();
    for name in ["To", "Cc", "Bcc"] {
        let name = format!("{prefix}{name}");
        for field in fields(message).filter(|field| field.is(&name)) {
            let addresses = field.addresses(&name)?;
            mailboxes.extend(addresses.into_iter().map(|address| address.mailbox));
        }
    }
    if mailboxes.is_empty() {
        let what = format!(
            "none were given, and the message has none in {prefix}To, {prefix}Cc and {prefix}Bcc"
        );
        return Err(invalid("recipients", what));
    }
    Ok(address::each_once(mailboxes))
}

/// The message without its `Bcc` and `Resent-Bcc` fields; all else stays octet by octet. Borrowed if it has none.
pub fn without_bcc(message: &[u8]) -> Cow<'_, [u8]> {
    let hidden = |field: &Field<'_>| field.is("Bcc") || field.is("Resent-Bcc");
    let mut out = Vec::new();
    let mut kept = 0;
    for field in fields(message).filter(hidden) {
        out.extend_from_slice(&message[kept..field.start]);
        kept = field.end;
    }
    if kept == 0 {
        return Cow::Borrowed(message);
    }
    out.extend_from_slice(&message[kept..]);
    Cow::Owned(out)
}

/// The value of `Message-ID`, if the message has one.
pub fn message_id(message: &[u8]) -> Option<String> {
    let field = fields(message).find(|field| field.is("Message-ID"))?;
    Some(field.value().trim().to_owned())
}

/// `Resent-` if the message is being sent again.
fn prefix(message: &[u8]) -> Result<&'static str, Error> {
    match fields(message)
        .filter(|field| field.is("Resent-Date"))
        .count()
    {
        0 => Ok(""),
        1 => Ok("Resent-"),
        // Which of the blocks is the newest cannot be told for sure.
        _ => Err(invalid(
            "Resent-Date",
            "the message has more than one; give sender and recipients",
        )),
    }
}

/// A field of the header with its lines.
struct Field<'a> {
    /// Where it is in the message, its last line end included.
    start: usize,
    end: usize,
    name: &'a [u8],
    /// Behind the colon, line ends included.
    value: &'a [u8],
}

impl Field<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Unfolded (RFC 5322 section 2.2.3). Octets that are no UTF-8 can only be in names and comments of addresses.
    fn value(&self) -> String {
        String::from_utf8_lossy(self.value).replace(['\r', '\n'], "")
    }

    fn addresses(&self, name: &str) -> Result<Vec<Address>, Error> {
        let list = address::parse(&self.value());
        let addresses = list.map_err(|what| invalid(name, what))?.addresses;
        // Whoever gives sender and recipients says too whether the message, whose header is not made here, needs SMTPUTF8.
        match addresses.iter().find(|one| !one.mailbox.is_ascii()) {
            Some(one) => Err(invalid(
                name,
                format_args!(
                    "{}: letters outside ASCII before the @ need SMTPUTF8; give sender and recipients, and that parameter of MAIL",
                    one.mailbox
                ),
            )),
            None => Ok(addresses),
        }
    }
}

/// The fields of the header, up to the first empty line. A line that is no field, such as the `From ` of a mailbox file, is
/// a field without a name.
fn fields(message: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = next;
        let (text_end, mut end) = line(message, start);
        if text_end == start {
            return None;
        }
        while matches!(message.get(end), Some(b' ' | b'\t')) {
            end = line(message, end).1;
        }
        next = end;
        let whole = &message[start..end];
        let colon = memchr::memchr(b':', &message[start..text_end]);
        let (name, value) = colon.map_or((&[][..], whole), |at| (&whole[..at], &whole[at + 1..]));
        Some(Field {
            start,
            end,
            // RFC 5322 section 4.5: white space before the colon was allowed once, and is still understood by others.
            name: name.trim_ascii_end(),
            value,
        })
    })
}

/// Where the line that begins here ends, without and with its line end.
fn line(message: &[u8], start: usize) -> (usize, usize) {
    let rest = &message[start..];
    let Some(length) = memchr2(b'\r', b'\n', rest) else {
        return (message.len(), message.len());
    };
    let mark = if rest[length..].starts_with(b"\r\n") {
        2
    } else {
        1
    };
    (start + length, start + length + mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Status;
    use proptest::prelude::*;

    fn read(message: &str) -> (String, Vec<String>, String) {
        let (envelope, content) = envelope_from_headers(message.as_bytes()).unwrap();
        (
            envelope.reverse_path().to_string(),
            envelope
                .recipients()
                .iter()
                .map(|recipient| recipient.path().to_string())
                .collect(),
            String::from_utf8(content.into_owned()).unwrap(),
        )
    }

    #[test]
    fn sender_and_recipients_come_from_the_header_and_bcc_is_removed() {
        for end in ["\r\n", "\n", "\r"] {
            let message = "From: A <a@x>, b@x\nTO: \"C, c\" <c@x>,\n d@x\nBcc: e@x,\n\tf@x\nSubject: s\ncc : D <d@X>, g: h@x;\nbcc:i@x\n\nBcc: body\n"
                .replace('\n', end);
            let (sender, recipients, content) = read(&message);
            assert_eq!(sender, "a@x");
            assert_eq!(recipients, ["c@x", "d@x", "h@x", "e@x", "f@x", "i@x"]);
            let expected = "From: A <a@x>, b@x\nTO: \"C, c\" <c@x>,\n d@x\nSubject: s\ncc : D <d@X>, g: h@x;\n\nBcc: body\n"
                .replace('\n', end);
            assert_eq!(content, expected);
        }
    }

    #[test]
    fn the_sender_field_wins_over_from() {
        let (sender, ..) = read("From: a@x\nSender: S <s@x>\nTo: t@x\n\n");
        assert_eq!(sender, "s@x");
    }

    #[test]
    fn a_message_sent_again_is_read_by_its_resent_fields() {
        let (sender, recipients, content) = read(
            "Resent-Date: now\nResent-From: r@x\nResent-To: t@y\nResent-Bcc: b@y\nFrom: a@x\nTo: c@x\nBcc: d@x\n\n",
        );
        assert_eq!(sender, "r@x");
        assert_eq!(recipients, ["t@y", "b@y"]);
        assert!(!content.contains("Bcc"));
        let twice = b"Resent-Date: a\nResent-Date: b\nResent-From: r@x\nResent-To: t@y\n\n";
        assert!(envelope_from_headers(twice).is_err());
    }

    #[test]
    fn what_has_no_bcc_is_not_copied() {
        let message = b"From: a@x\r\nTo: b@x\r\n\r\nBcc: c@x\r\n";
        let (_, content) = envelope_from_headers(message).unwrap();
        assert!(matches!(content, Cow::Borrowed(_)));
    }

    #[test]
    fn bcc_is_removed_wherever_a_reader_may_see_it() {
        for (message, expected) in [
            ("Bcc: a@x", ""),
            ("Bcc: a@x\r\n\r\n", "\r\n"),
            ("no field\nBcc: a@x\nA: b\n", "no field\nA: b\n"),
            ("From me\nbCC\t: a@x\n b\n \nA: b\n\n", "From me\nA: b\n\n"),
            ("A: b\rBcc: a@x\rC: d", "A: b\rC: d"),
            ("A: b\n\rBcc: body", "A: b\n\rBcc: body"),
            ("", ""),
        ] {
            assert_eq!(
                without_bcc(message.as_bytes()),
                expected.as_bytes(),
                "{message:?}"
            );
        }
    }

    #[test]
    fn the_error_names_the_field() {
        for (message, field) in [
            ("To: a@x\n\n", "sender: "),
            ("From: a@x\n\n", "recipients: "),
            ("From: a@x\nTo: undisclosed:;\n\n", "recipients: "),
            ("From: a@x\nTo: Smith, J <j@x>\n\n", "To: "),
            ("From:\nTo: a@x\n\n", "From: "),
            ("From: a@x\nTo: \u{fc}@x\n\n", "To: "),
            ("\nFrom: a@x\nTo: a@x\n\n", "sender: "),
            ("", "sender: "),
        ] {
            let error = envelope_from_headers(message.as_bytes()).unwrap_err();
            assert_eq!(error.status(), Status::InvalidArgument);
            assert!(error.message().starts_with(field), "{message:?}: {error}");
        }
    }

    #[test]
    fn octets_that_are_no_utf8_do_no_harm_in_names() {
        let (envelope, _) = envelope_from_headers(b"From: J\xfcrgen <a@x>\nTo: b@x\n\n").unwrap();
        assert_eq!(envelope.reverse_path().to_string(), "a@x");
    }

    #[test]
    fn the_message_id_is_found() {
        assert_eq!(
            message_id(b"a: b\r\nMessage-Id:\r\n <x@y>\r\n\r\n").unwrap(),
            "<x@y>"
        );
        assert_eq!(message_id(b"a: b\r\n\r\nMessage-Id: <x@y>"), None);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_a_panic_and_no_bcc_stays(message in "([bB]cc|To|From|X)?[ :\t]{0,2}[\r\n\t :abc@,<>]{0,12}([bB]cc|To)?: ?[\r\n a@]{0,8}") {
            let _ = envelope_from_headers(message.as_bytes());
            let content = without_bcc(message.as_bytes());
            prop_assert!(!fields(&content).any(|field| field.is("Bcc")), "{:?}", content);
        }
    }
}
