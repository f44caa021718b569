//! What is built is read back by a parser that no one here wrote; and nothing a caller gives breaks out of its field.

use std::collections::HashSet;

use mail_parser::{HeaderName, Message, MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::*;
use crate::{Error, Status};

mod utf8;

fn mail() -> Mail<'static> {
    let mut mail = Mail::new();
    mail.from("a@example.org")
        .unwrap()
        .to("b@example.net")
        .unwrap();
    mail
}

fn content(mail: &Mail<'_>) -> Vec<u8> {
    let content = mail.build().unwrap().into_parts().1;
    check_octets(&content).unwrap();
    content
}

fn text(mail: &Mail<'_>) -> String {
    String::from_utf8(content(mail)).unwrap()
}

/// 7-bit, no NUL, and lines as they are to be.
fn check_octets(content: &[u8]) -> Result<(), String> {
    if let Some(b) = content.iter().find(|b| !b.is_ascii() || **b == 0) {
        return Err(format!("octet {b}"));
    }
    check_lines(content)
}

/// UTF-8, CRLF only, lines of at most 998 octets, and an end.
fn check_lines(content: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(content).map_err(|error| error.to_string())?;
    let lines = text.strip_suffix("\r\n").ok_or("no end")?.split("\r\n");
    for line in lines {
        if line.len() > 998 || line.contains(['\r', '\n']) {
            return Err(format!("line {line:?}"));
        }
    }
    Ok(())
}

fn parse(content: &[u8]) -> Message<'_> {
    // Naming one field turns the parser's defaults off, so all kinds are named.
    let parser = MessageParser::new()
        .with_mime_headers()
        .with_date_headers()
        .with_address_headers()
        .header_text(HeaderName::Subject)
        .header_text(HeaderName::Other("X-Value".into()));
    parser.parse(content).unwrap()
}

fn recipients(mail: &Mail<'_>) -> Vec<String> {
    let built = mail.build().unwrap();
    let paths = built.envelope().recipients().iter();
    paths
        .map(|recipient| recipient.path().to_string())
        .collect()
}

fn pairs(address: Option<&mail_parser::Address<'_>>) -> Vec<(Option<String>, String)> {
    let pair = |addr: &mail_parser::Addr<'_>| {
        (
            addr.name().map(str::to_owned),
            addr.address().unwrap().to_owned(),
        )
    };
    address.unwrap().iter().map(pair).collect()
}

#[test]
fn a_whole_mail_is_read_back_equal() {
    let octet = |i: u32| i.wrapping_mul(2_654_435_761).to_le_bytes()[3];
    let binary: Vec<u8> = (0..1 << 20).map(octet).collect();
    let mut mail = Mail::new();
    mail.from("Zoë Müller <zoe@example.org>").unwrap();
    mail.to("\"Last, First\" <b@example.net>, c@example.net")
        .unwrap();
    mail.cc("日本 <d@bücher.example>").unwrap();
    mail.reply_to("Desk <desk@example.org>").unwrap();
    mail.subject("Grüße: 100 % — ✓ and so on, far beyond the end of one line of the header")
        .unwrap();
    mail.text("Hällo\nworld\n.\n").unwrap();
    mail.html("<p>Hällo</p><img src=\"cid:logo\">").unwrap();
    mail.inline("logo", "image/png", &b"\x89PNG"[..]).unwrap();
    mail.attach("data.bin", None, &binary).unwrap();
    mail.attach("Übersicht; \"2024\".csv", None, &b"a;b\nc\r\r\n\xff\0"[..])
        .unwrap();
    mail.header("X-Größe", "x").unwrap_err();
    mail.header("X-Value", "naïve").unwrap();
    let content = content(&mail);
    let read = parse(&content);

    let owned = |name: Option<&str>, address: &str| (name.map(str::to_owned), address.to_owned());
    assert_eq!(
        pairs(read.from()),
        [owned(Some("Zoë Müller"), "zoe@example.org")]
    );
    assert_eq!(
        pairs(read.to()),
        [
            owned(Some("Last, First"), "b@example.net"),
            owned(None, "c@example.net")
        ]
    );
    assert_eq!(
        pairs(read.cc()),
        [owned(Some("日本"), "d@xn--bcher-kva.example")]
    );
    assert_eq!(
        pairs(read.reply_to()),
        [owned(Some("Desk"), "desk@example.org")]
    );
    assert_eq!(
        read.subject().unwrap(),
        "Grüße: 100 % — ✓ and so on, far beyond the end of one line of the header"
    );
    assert_eq!(read.body_text(0).unwrap(), "Hällo\r\nworld\r\n.\r\n");
    assert_eq!(
        read.body_html(0).unwrap(),
        "<p>Hällo</p><img src=\"cid:logo\">"
    );
    assert_eq!(read.header("X-Value").unwrap().as_text().unwrap(), "naïve");
    assert!(read.date().is_some());

    let parts: Vec<_> = read.attachments().collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[0].content_id(), Some("logo"));
    assert_eq!(parts[0].contents(), b"\x89PNG");
    assert_eq!(parts[1].attachment_name(), Some("data.bin"));
    assert!(parts[1].contents() == binary);
    assert_eq!(parts[2].attachment_name(), Some("Übersicht; \"2024\".csv"));
    assert_eq!(parts[2].content_type().unwrap().subtype(), Some("csv"));
    let encoded = String::from_utf8_lossy(&content);
    assert!(
        encoded.contains("YTtiCmMNDQr/AA=="),
        "the octets of a text attachment stay"
    );
}

#[test]
fn the_parts_nest_as_readers_expect() {
    let types = |mail: &Mail<'_>| {
        let content = content(mail);
        let read = parse(&content);
        let kind = |part: &mail_parser::MessagePart<'_>| {
            let kind = part.content_type().unwrap();
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap())
        };
        read.parts.iter().map(kind).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(types(&mail()), "text/plain");
    assert_eq!(types(mail().text("x").unwrap()), "text/plain");
    assert_eq!(types(mail().html("x").unwrap()), "text/html");
    assert_eq!(
        types(mail().text("x").unwrap().html("y").unwrap()),
        "multipart/alternative text/plain text/html"
    );
    assert_eq!(
        types(mail().attach("x", None, &b"y"[..]).unwrap()),
        "application/octet-stream"
    );
    let mut all = mail();
    all.attach("x.pdf", None, &b"y"[..])
        .unwrap()
        .inline("i", "image/gif", &b"z"[..])
        .unwrap();
    assert_eq!(types(&all), "multipart/mixed image/gif application/pdf");
    all.html("y").unwrap().text("x").unwrap();
    assert_eq!(
        types(&all),
        "multipart/mixed multipart/alternative text/plain multipart/related text/html image/gif application/pdf"
    );
}

#[test]
fn bcc_is_in_the_envelope_and_nowhere_in_the_message() {
    let mut mail = mail();
    mail.bcc("Secret <hidden@example.com>").unwrap();
    mail.header("bCC", "hidden2@example.com").unwrap();
    assert_eq!(
        recipients(&mail),
        ["b@example.net", "hidden@example.com", "hidden2@example.com"]
    );
    let text = text(&mail).to_lowercase();
    // The hexadecimal digits of its Message-ID may well be "bcc".
    for part in ["hidden", "bcc:", "secret"] {
        assert!(!text.contains(part), "{text}");
    }
}

#[test]
fn the_envelope_has_each_recipient_once_and_the_sender_that_was_set() {
    let mut mail = mail();
    mail.cc("B <b@EXAMPLE.net>, c@x")
        .unwrap()
        .bcc("c@x, d@x")
        .unwrap();
    assert_eq!(recipients(&mail), ["b@example.net", "c@x", "d@x"]);
    let sender = |mail: &Mail<'_>| mail.build().unwrap().envelope().reverse_path().to_string();
    assert_eq!(sender(&mail), "a@example.org");
    mail.header("Sender", "S <s@x>").unwrap();
    assert_eq!(sender(&mail), "s@x");
    assert!(text(&mail).contains("\r\nSender: \"S\" <s@x>\r\n"));
    mail.sender("bounce@x").unwrap();
    assert_eq!(sender(&mail), "bounce@x");
    mail.sender("").unwrap();
    assert_eq!(sender(&mail), "");
    assert!(!text(&mail).contains("bounce"));
}

#[test]
fn date_and_message_id_are_made_unless_given() {
    let count = |text: &str, name: &str| text.matches(&format!("\r\n{name}: ")).count();
    let made = format!("\r\n{}", text(&mail()));
    assert_eq!(
        (count(&made, "Date"), count(&made, "Message-ID")),
        (1, 1),
        "{made}"
    );
    assert!(made.contains("@example.org>\r\n"));
    assert!(made.contains(" +0000\r\n"), "{made}");

    let ids: HashSet<_> = (0..100)
        .map(|_| headers::message_id(&content(&mail())).unwrap())
        .collect();
    assert_eq!(ids.len(), 100);

    let mut given = mail();
    given
        .header("date", "Mon, 1 Jan 2024 00:00:00 +0100")
        .unwrap();
    given.header("MESSAGE-id", "<x@y>").unwrap();
    let given = format!("\r\n{}", text(&given));
    assert_eq!(
        (count(&given, "Date"), count(&given, "Message-ID")),
        (1, 1),
        "{given}"
    );
    assert!(given.contains("\r\nMessage-ID: <x@y>\r\n"));
}

#[test]
fn fields_that_a_message_has_once_stay_single() {
    for (name, value) in [
        ("Date", "Mon, 1 Jan 2024 00:00:00 +0000"),
        ("Message-ID", "<x@y>"),
        ("In-Reply-To", "<x@y>"),
        ("References", "<x@y> <z@y>"),
    ] {
        let mut mail = mail();
        mail.header(name, value).unwrap();
        let error = mail.header(&name.to_lowercase(), value).unwrap_err();
        assert!(
            error.message().starts_with(&format!("header {name}: ")),
            "{error}"
        );
    }
    for name in [
        "Content-Type",
        "content-transfer-encoding",
        "MIME-Version",
        "Resent-To",
        "Return-Path",
        "Received",
    ] {
        assert!(mail().header(name, "x").is_err(), "{name}");
    }
    let mut mail = mail();
    mail.subject("one")
        .unwrap()
        .header("Subject", "two")
        .unwrap();
    mail.header("From", "other@x")
        .unwrap()
        .header("To", "c@x")
        .unwrap();
    mail.header("X-Tag", "1")
        .unwrap()
        .header("X-Tag", "2")
        .unwrap();
    let text = text(&mail);
    assert!(
        text.contains("Subject: two\r\n") && !text.contains("one"),
        "{text}"
    );
    assert!(
        text.contains("From: <other@x>\r\n") && !text.contains("a@example.org"),
        "{text}"
    );
    assert!(text.contains("To: <b@example.net>, <c@x>\r\n"), "{text}");
    assert!(text.contains("X-Tag: 1\r\nX-Tag: 2\r\n"), "{text}");
}

#[test]
fn what_is_missing_is_named() {
    let error = Mail::new().build().unwrap_err();
    assert!(error.message().starts_with("from: "), "{error}");
    let error = Mail::new().from("a@b").unwrap().build().unwrap_err();
    assert!(error.message().starts_with("to, cc, bcc: "), "{error}");
}

type Setter = fn(&mut Mail<'static>, &str) -> Result<(), Error>;

/// Every place where a caller's text enters, with the field that its error names and a text that is accepted.
const SETTERS: [(&str, &str, Setter); 17] = [
    ("from", "x@y", |m, s| m.from(s).map(drop)),
    ("sender", "x@y", |m, s| m.sender(s).map(drop)),
    ("to", "\"x\" <x@y>", |m, s| m.to(s).map(drop)),
    ("cc", "x <x@y>", |m, s| m.cc(s).map(drop)),
    ("bcc", "x@y (c)", |m, s| m.bcc(s).map(drop)),
    ("reply_to", "x@y", |m, s| m.reply_to(s).map(drop)),
    ("subject", "x", |m, s| m.subject(s).map(drop)),
    ("attach: file name", "x", |m, s| {
        m.attach(s, None, &b"z"[..]).map(drop)
    }),
    ("attach: content type", "text/plain; a=\"b\"", |m, s| {
        m.attach("x", Some(s), &b"z"[..]).map(drop)
    }),
    ("inline: content id", "x", |m, s| {
        m.inline(s, "a/b", &b"z"[..]).map(drop)
    }),
    ("inline: content type", "a/b", |m, s| {
        m.inline("x", s, &b"z"[..]).map(drop)
    }),
    ("header name", "X-Y", |m, s| m.header(s, "x").map(drop)),
    ("header X-Y", "x", |m, s| m.header("X-Y", s).map(drop)),
    ("header Subject", "x", |m, s| {
        m.header("Subject", s).map(drop)
    }),
    ("header Sender", "x@y", |m, s| {
        m.header("Sender", s).map(drop)
    }),
    ("header Message-ID", "<x@y>", |m, s| {
        m.header("Message-ID", s).map(drop)
    }),
    ("header To", "x@y", |m, s| m.header("To", s).map(drop)),
];

#[test]
fn no_setter_takes_a_line_end_or_nul() {
    for (field, good, set) in SETTERS {
        let mut mail = mail();
        set(&mut mail, good).unwrap_or_else(|error| panic!("{field}: {error}"));
        let before = mail.clone();
        for evil in [
            "\r",
            "\n",
            "\0",
            "\r\n",
            "\r\nBcc: evil@x",
            "\n evil",
            "\r\n\r\nevil",
        ] {
            let places = (0..=good.len()).map(|at| format!("{}{evil}{}", &good[..at], &good[at..]));
            for text in places {
                let error = set(&mut mail, &text).expect_err(&format!("{field}: {text:?}"));
                assert_eq!(error.status(), Status::InvalidArgument);
                assert!(
                    error.message().starts_with(&format!("{field}: ")),
                    "{field}: {error}"
                );
                assert!(!error.to_string().contains(['\r', '\n', '\0']), "{error}");
            }
        }
        assert_eq!(recipients(&mail), recipients(&before), "{field}");
        assert!(!text(&mail).contains("evil"));
    }
}

#[test]
fn an_encoded_word_smuggles_no_line_end() {
    for text in [
        "=?utf-8?q?=0D=0ABcc:?= <a@b>",
        "=?utf-8?b?DQpCY2M6?= <a@b>",
        "=?iso-8859-1?q?=85?= <a@b>",
    ] {
        assert!(mail().to(text).is_err(), "{text}");
    }
}

#[test]
fn long_identifiers_stay_as_they_are() {
    let ids = (0..40).map(|i| format!("<{i}.{}@example.org>", "x".repeat(40)));
    let ids = ids.collect::<Vec<_>>().join(" ");
    let mut mail = mail();
    mail.header("References", &ids).unwrap();
    mail.header(
        "List-Unsubscribe",
        &format!("<https://example.org/{}>", "u".repeat(300)),
    )
    .unwrap();
    let text = text(&mail);
    assert!(!text.contains("=?"), "{text}");
    assert!(
        text.replace("\r\n ", " ")
            .contains(&format!("References: {ids}\r\n"))
    );
}

#[test]
fn a_message_is_attached_as_it_is_or_not_at_all() {
    let mut mail = mail();
    mail.attach(
        "m.eml",
        Some("message/rfc822"),
        &b"From: x@y\r\n\r\nHello\r\n"[..],
    )
    .unwrap();
    mail.text("see below").unwrap();
    assert!(text(&mail).contains("\r\n\r\nFrom: x@y\r\n\r\nHello\r\n"));
    assert!(
        mail.attach("m", Some("message/rfc822"), &b"\xff"[..])
            .is_err()
    );
    assert!(
        mail.attach("m", Some("message/partial"), &b"x"[..])
            .is_err()
    );
    assert!(
        mail.attach("m", Some("Multipart/mixed"), &b"x"[..])
            .is_err()
    );
}

#[test]
fn debug_shows_no_contents() {
    let mut mail = mail();
    mail.text("very private")
        .unwrap()
        .attach("x", None, &b"very private"[..])
        .unwrap();
    assert!(!format!("{mail:?}").contains("private"));
}

/// Letters of all scripts, controls and line ends, and the marks that mean something in a header or a body.
const ANY: &str =
    "(\\PC|[\\x00-\\x7f]|[.=?_ \t-]{1,4}|\r|\n|\r\n|x{80}|=\\?utf-8\\?q\\?a\\?=){0,60}";

/// The same without CR, LF and NUL.
const ANY_LINE: &str =
    "(\\PC|[\\x01-\\x09\\x0e-\\x7f]|[=?_ \t-]{1,30}|x{400}|=\\?utf-8\\?q\\?a\\?=){0,30}";

proptest! {
    #[test]
    fn any_text_leaves_as_seven_bit_lines_and_is_read_back(text in ANY, html in ANY) {
        let mut mail = mail();
        mail.text(text.as_str()).unwrap().html(html.as_str()).unwrap();
        let content = mail.build().unwrap().into_parts().1;
        prop_assert_eq!(check_octets(&content), Ok(()));
        let read = parse(&content);
        let canonical = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
        prop_assert_eq!(read.body_text(0).unwrap(), canonical(&text));
        prop_assert_eq!(read.body_html(0).unwrap(), canonical(&html));
    }

    #[test]
    fn any_text_alone_leaves_as_seven_bit_lines(text in ANY) {
        let content = mail().text(text).unwrap().build().unwrap().into_parts().1;
        prop_assert_eq!(check_octets(&content), Ok(()));
    }

    #[test]
    fn any_subject_value_and_file_name_are_read_back(subject in ANY_LINE, value in ANY_LINE, file_name in "\\PC{1,100}") {
        let mut mail = mail();
        mail.subject(&subject).unwrap().header("X-Value", &value).unwrap();
        mail.attach(&file_name, None, &b"x"[..]).unwrap();
        let content = mail.build().unwrap().into_parts().1;
        prop_assert_eq!(check_octets(&content), Ok(()));
        let read = parse(&content);
        prop_assert_eq!(read.subject().unwrap_or_default(), subject);
        prop_assert_eq!(read.header("X-Value").unwrap().as_text().unwrap_or_default(), value);
        prop_assert_eq!(read.parts[0].attachment_name().unwrap(), file_name);
    }

    #[test]
    fn spaces_in_a_row_are_read_back_wherever_the_line_is_folded(before in 1_usize..90, after in 1_usize..400) {
        let value = format!("{}  {}", "_".repeat(before), "x".repeat(after));
        let mut mail = mail();
        mail.header("X-Value", &value).unwrap();
        let content = mail.build().unwrap().into_parts().1;
        let read = parse(&content);
        prop_assert_eq!(read.header("X-Value").unwrap().as_text().unwrap_or_default(), value);
    }

    #[test]
    fn any_name_is_read_back(name in "[^\\p{C}\\p{Z}]([^\\p{C}\\p{Z}]| ){0,100}[^\\p{C}\\p{Z}]") {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let mut mail = mail();
        mail.cc(&format!("\"{quoted}\" <c@x>, d@x")).unwrap();
        let content = mail.build().unwrap().into_parts().1;
        prop_assert_eq!(check_octets(&content), Ok(()));
        let read = parse(&content);
        prop_assert_eq!(&pairs(read.cc())[0], &(Some(name), "c@x".to_owned()));
    }
}

#[test]
fn an_attachment_comes_from_a_file_or_a_reader_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.pdf");
    std::fs::write(&path, b"%PDF-1.7\n\xff\0").unwrap();
    let mut built = mail();
    built.attach_file(&path).unwrap();
    built
        .attach_reader("b.bin", Some("image/png"), &b"a\r\r\n"[..])
        .unwrap();
    let content = content(&built);
    let read = parse(&content);
    let parts: Vec<_> = read.attachments().collect();
    let names: Vec<_> = parts.iter().map(|part| part.attachment_name()).collect();
    assert_eq!(names, [Some("notes.pdf"), Some("b.bin")]);
    let kind = parts[0].content_type().unwrap();
    assert_eq!((kind.ctype(), kind.subtype()), ("application", Some("pdf")));
    assert_eq!(parts[0].contents(), b"%PDF-1.7\n\xff\0");
    assert_eq!(parts[1].contents(), b"a\r\r\n");

    for wrong in [folder.path().join("none"), folder.path().join("..")] {
        let error = mail().attach_file(&wrong).map(drop).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(wrong.to_str().unwrap()), "{text}");
        assert!(!error.is_transient(), "{text}");
    }
    let error = mail().attach_reader("a", None, Torn).map(drop).unwrap_err();
    assert_eq!(error.status(), Status::Io);
    assert!(!error.is_transient(), "{error}");
    assert!(error.to_string().contains("the tape is torn"), "{error}");
}

/// A reader that fails.
struct Torn;

impl std::io::Read for Torn {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the tape is torn"))
    }
}
