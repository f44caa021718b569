//! Addresses outside ASCII: what is UTF-8 in the header, what stays ASCII, and what the envelope says of it.

use proptest::prelude::*;

use super::{Mail, SETTERS, check_lines, content, mail, pairs, parse, recipients};
use crate::Status;
use crate::message::Built;
use crate::proto::BodyType;

type Setter = fn(&mut Mail<'static>, &str);

/// The setters whose addresses stand in the header, with the fields where they do.
const SHOWN: [(&str, Setter); 5] = [
    ("From", |m, s| m.from(s).map(drop).unwrap()),
    ("Sender", |m, s| m.header("Sender", s).map(drop).unwrap()),
    ("Reply-To", |m, s| m.reply_to(s).map(drop).unwrap()),
    ("To", |m, s| m.to(s).map(drop).unwrap()),
    ("Cc", |m, s| m.cc(s).map(drop).unwrap()),
];

fn build(mail: &Mail<'_>) -> Built {
    let built = mail.build().unwrap();
    check_lines(built.content()).unwrap();
    built
}

/// What the envelope asks of a server: SMTPUTF8, and a kind of body.
fn asks(built: &Built) -> (bool, Option<BodyType>) {
    let parameters = built.envelope().parameters();
    (parameters.smtputf8, parameters.body)
}

fn header(built: &Built) -> &str {
    let text = std::str::from_utf8(built.content()).unwrap();
    text.split_once("\r\n\r\n").unwrap().0
}

#[test]
fn a_local_part_outside_ascii_is_utf8_in_the_header_and_all_else_is_ascii() {
    for (field, set) in SHOWN {
        let mut mail = mail();
        mail.subject("Grüße").unwrap().text("Hällo\n").unwrap();
        mail.header("X-Value", "naïve").unwrap();
        mail.attach("Übersicht.csv", None, "ü".as_bytes()).unwrap();
        set(&mut mail, "Zoë Müller <zoë@example.org>");
        let built = build(&mail);
        assert_eq!(
            asks(&built),
            (true, Some(BodyType::EightBitMime)),
            "{field}"
        );
        let text = std::str::from_utf8(built.content()).unwrap();
        let (before, after) = text.split_once("<zoë@example.org>").unwrap();
        assert!(before.is_ascii() && after.is_ascii(), "{field}: {text}");

        let read = parse(built.content());
        let address = read.header(field).unwrap().as_address();
        let expected = (Some("Zoë Müller".to_owned()), "zoë@example.org".to_owned());
        assert_eq!(pairs(address).last(), Some(&expected), "{field}");
        assert_eq!(read.subject().unwrap(), "Grüße");
        assert_eq!(read.body_text(0).unwrap(), "Hällo\r\n");
    }
}

#[test]
fn what_stands_in_no_header_leaves_the_message_as_any_server_takes_it() {
    let mut mail = mail();
    mail.bcc("Zoë <zoë@bücher.example>, b@example.net").unwrap();
    mail.sender("jürgen@example.org").unwrap();
    let built = mail.build().unwrap();
    assert_eq!(asks(&built), (false, None));
    assert!(content(&mail).is_ascii());
    assert_eq!(
        recipients(&mail),
        ["b@example.net", "zoë@xn--bcher-kva.example"]
    );
    assert_eq!(
        built.envelope().reverse_path().to_string(),
        "jürgen@example.org"
    );
}

#[test]
fn a_domain_is_in_a_labels_beside_any_local_part() {
    for (field, set) in SHOWN {
        let mut mail = mail();
        set(&mut mail, "zoe@bücher.example");
        assert_eq!(asks(&build(&mail)), (false, None), "{field}");
        assert!(content(&mail).is_ascii(), "{field}");

        set(&mut mail, "zoë@bücher.example");
        let built = build(&mail);
        let header = header(&built);
        assert!(
            header.contains("<zoë@xn--bcher-kva.example>") && !header.contains("bücher"),
            "{header}"
        );
    }
    let mut mail = mail();
    mail.from("zoë@bücher.example").unwrap();
    let built = build(&mail);
    assert_eq!(
        built.envelope().reverse_path().to_string(),
        "zoë@xn--bcher-kva.example"
    );
    let id = super::headers::message_id(built.content()).unwrap();
    assert!(
        id.is_ascii() && id.ends_with("@xn--bcher-kva.example>"),
        "{id}"
    );
}

#[test]
fn the_longest_addresses_fit_on_their_lines() {
    // In UTF-8 this domain has 891 octets, in A-labels 253.
    let domain = [56, 56, 56, 54].map(|length| "𐌰".repeat(length)).join(".");
    let address = format!("{}@{domain}", "ü".repeat(64));
    for (field, set) in SHOWN {
        let mut mail = mail();
        set(&mut mail, &format!("{} <{address}>", "Ü".repeat(300)));
        let built = build(&mail);
        let header = header(&built).replace("\r\n ", " ");
        assert!(header.contains(&"ü".repeat(64)), "{field}: {header}");
    }
}

#[test]
fn no_line_end_gets_in_beside_letters_outside_ascii() {
    let fields = [
        "from",
        "sender",
        "to",
        "cc",
        "bcc",
        "reply_to",
        "header Sender",
    ];
    let setters = SETTERS.iter().filter(|(field, ..)| fields.contains(field));
    let mut seen = 0;
    for (field, _, set) in setters {
        seen += 1;
        for good in ["zoë@bücher.example", "\"zo ë\"@example.org"] {
            let mut mail = mail();
            set(&mut mail, good).unwrap_or_else(|error| panic!("{field}: {error}"));
            // U+0085, U+2028 and U+2029 are line ends to some readers of UTF-8; U+202E turns what is shown around.
            for evil in [
                "\r",
                "\n",
                "\0",
                "\r\nBcc: evil@x",
                "\u{85}",
                "\u{2028}",
                "\u{2029}",
                "\u{202e}",
            ] {
                let places = good.char_indices().map(|(at, _)| at).chain([good.len()]);
                for at in places {
                    let text = format!("{}{evil}{}", &good[..at], &good[at..]);
                    let error = set(&mut mail, &text).expect_err(&format!("{field}: {text:?}"));
                    assert_eq!(error.status(), Status::InvalidArgument);
                    assert!(
                        error.message().starts_with(&format!("{field}: ")),
                        "{field}: {error}"
                    );
                    assert!(!error.to_string().contains(evil), "{error:?}");
                }
            }
        }
    }
    assert_eq!(seen, fields.len());
}

proptest! {
    #[test]
    fn any_local_part_is_read_back(
        local_part in "[\\p{L}\\p{N}\\p{S}--[`^<>=+|$~]]{1,30}(\\.[\\p{L}\\p{N}]{1,5})?",
        name in "[^\\p{C}\\p{Z}]{1,60}",
        field in 0..SHOWN.len(),
    ) {
        let address = format!("{local_part}@example.org");
        prop_assume!(address.parse::<crate::proto::Mailbox>().is_ok());
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let mut mail = mail();
        let (field, set) = SHOWN[field];
        set(&mut mail, &format!("\"{quoted}\" <{address}>"));
        let built = mail.build().unwrap();
        prop_assert_eq!(check_lines(built.content()), Ok(()));
        prop_assert_eq!(asks(&built).0, !local_part.is_ascii());
        prop_assert_eq!(built.content().is_ascii(), local_part.is_ascii());
        let read = parse(built.content());
        let read = pairs(read.header(field).unwrap().as_address());
        prop_assert_eq!(read.last(), Some(&(Some(name), address)));
    }
}
