//! The rows of building a mail.

use mailwire::message::Mail;

use crate::row::{Row, contained, refused, told};

fn mail(
    set: impl FnOnce(&mut Mail<'static>) -> Result<(), mailwire::Error>,
) -> Result<String, String> {
    told(set(&mut Mail::new()))
}

/// Everything in front of the text of a mail that is good but for what `set` gives it, without line ends between fields.
fn header_of(set: impl FnOnce(&mut Mail<'static>)) -> String {
    let mut mail = Mail::new();
    mail.from("a@b.example").unwrap().to("c@d.example").unwrap();
    set(&mut mail);
    let built = mail.build().unwrap();
    let content = String::from_utf8(built.content().to_vec()).unwrap();
    let (header, _) = content.split_once("\r\n\r\n").unwrap();
    header.replace("\r\n", "|")
}

/// A mail's setter and a good text for it.
macro_rules! setter {
    ($name:ident, $parameter:literal, $text:literal) => {
        refused(
            concat!("message Mail::", stringify!($name)),
            $parameter,
            $text,
            stringify!($name),
            |text| mail(|m| m.$name(text).map(drop)),
        )
    };
}

pub(crate) fn rows() -> Vec<Row> {
    let text = "line ends are what a text has; they are made canonical behind the header";
    vec![
        setter!(from, "address", "A{}B <a@b.example>"),
        setter!(from, "address", "a{}b@c.example"),
        setter!(sender, "reverse_path", "a{}b@c.example"),
        setter!(to, "addresses", "A <a@b.example>, b{}c@d.example"),
        setter!(cc, "addresses", "A <a@b{}.example>"),
        setter!(bcc, "addresses", "a@b{}.example"),
        setter!(reply_to, "addresses", "A{}B <a@b.example>"),
        setter!(from, "address", "\u{fc}{}b@c.example"),
        setter!(sender, "reverse_path", "\u{fc}{}b@c.example"),
        setter!(to, "addresses", "A <a@b.example>, \u{fc}{}c@d.example"),
        setter!(cc, "addresses", "\u{dc} <\u{fc}@b{}.example>"),
        setter!(bcc, "addresses", "\u{fc}{}b@c.example"),
        setter!(reply_to, "addresses", "\"\u{fc} {}b\"@c.example"),
        setter!(subject, "subject", "a{}b"),
        contained("message Mail::text", "text", text, |text| {
            let text = text.to_owned();
            Ok(header_of(|m| drop(m.text(text).map(drop))))
        }),
        contained("message Mail::html", "html", text, |text| {
            let text = text.to_owned();
            Ok(header_of(|m| drop(m.html(text).map(drop))))
        }),
        refused(
            "message Mail::attach",
            "file_name",
            "a{}b.txt",
            "attach",
            |text| mail(|m| m.attach(text, None, &b"x"[..]).map(drop)),
        ),
        refused(
            "message Mail::attach",
            "content_type",
            "text/{}plain",
            "attach",
            |text| mail(|m| m.attach("a.txt", Some(text), &b"x"[..]).map(drop)),
        ),
        refused(
            "message Mail::attach_file",
            "path",
            "Cargo{}.toml",
            "attach",
            |text| mail(|m| m.attach_file(text).map(drop)),
        ),
        refused(
            "message Mail::attach_reader",
            "file_name",
            "a{}b.txt",
            "attach",
            |text| mail(|m| m.attach_reader(text, None, &b"x"[..]).map(drop)),
        ),
        refused(
            "message Mail::attach_reader",
            "content_type",
            "text/{}plain",
            "attach",
            |text| mail(|m| m.attach_reader("a.txt", Some(text), &b"x"[..]).map(drop)),
        ),
        refused(
            "message Mail::inline",
            "content_id",
            "a{}b",
            "inline",
            |text| mail(|m| m.inline(text, "image/png", &b"x"[..]).map(drop)),
        ),
        refused(
            "message Mail::inline",
            "content_type",
            "image/{}png",
            "inline",
            |text| mail(|m| m.inline("a", text, &b"x"[..]).map(drop)),
        ),
        refused(
            "message Mail::header",
            "name",
            "X-{}A",
            "header name",
            |text| mail(|m| m.header(text, "a").map(drop)),
        ),
        refused(
            "message Mail::header",
            "value",
            "a{}b",
            "header X-A",
            |text| mail(|m| m.header("X-A", text).map(drop)),
        ),
        refused(
            "message Mail::header",
            "value",
            "<a{}b@c.example>",
            "header Message-ID",
            |text| mail(|m| m.header("Message-ID", text).map(drop)),
        ),
        refused(
            "message Mail::header",
            "value",
            "A <\u{fc}{}b@c.example>",
            "header Sender",
            |text| mail(|m| m.header("Sender", text).map(drop)),
        ),
    ]
}
