//! Commands beside mail: ETRN, XCLIENT, VRFY and EXPN outside ASCII, and those of an application's own.

use super::*;
use crate::proto::{Attribute, ClientAttributes, ClientText};

#[test]
fn etrn_starts_a_queue_where_it_is_offered() {
    let mut talk = Talk::ready(Protocol::Smtp, &["ETRN"]);
    for node in ["mx.example.org", "@example.org", "#queue"] {
        talk.connection.start_queue(node).unwrap();
        talk.script(&format!(
            "C: ETRN {node}\nS: 250 started\nE: reply ETRN 250"
        ));
    }
    for bad in ["", "a b", "a\r\nQUIT", "a\0", "é"] {
        let refused = talk.connection.start_queue(bad);
        assert!(matches!(refused, Err(NotNow::Argument(_))), "{bad:?}");
    }
    talk.silent();
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    let refused = talk.connection.start_queue("a");
    assert_eq!(refused, Err(NotNow::NotOffered("ETRN")));
}

fn client() -> ClientAttributes {
    ClientAttributes {
        address: Some(Attribute::Known([192, 0, 2, 1].into())),
        login: Some(Attribute::Known(ClientText::new("a b").unwrap())),
        ..ClientAttributes::default()
    }
}

#[test]
fn xclient_begins_the_session_anew() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING", "XCLIENT ADDR login"]);
    talk.connection.speak_for(&client()).unwrap();
    talk.script("C: XCLIENT ADDR=192.0.2.1 LOGIN=a+20b\nS: 550 not you\nE: reply XCLIENT 550");
    assert!(talk.connection.pipelining());
    talk.connection.speak_for(&client()).unwrap();
    talk.script("C: XCLIENT ADDR=192.0.2.1 LOGIN=a+20b\nS: 220 mx\nE: reply XCLIENT 220");
    let begun = talk
        .connection
        .begin(envelope(&["a"]), TransactionOptions::default());
    assert_eq!(begun, Err(NotNow::NoHello));
    assert!(!talk.connection.pipelining() && !talk.connection.capabilities().has("XCLIENT"));
    talk.hello(Hello::Ehlo);
    talk.script("C: EHLO client.example.org\nS: 250 mx\nE: hello 250");
    talk.begin(&["a"]);
    talk.script("C: MAIL FROM:<me@example.org>");
}

#[test]
fn xclient_says_only_what_the_server_takes() {
    for (extension, refused) in [
        ("XCLIENT ADDR NAME", NotNow::NotOffered("LOGIN")),
        ("XCLIENT", NotNow::NotOffered("ADDR")),
        ("ETRN", NotNow::NotOffered("XCLIENT")),
    ] {
        let mut talk = Talk::ready(Protocol::Smtp, &[extension]);
        assert_eq!(talk.connection.speak_for(&client()), Err(refused));
        let nothing = talk.connection.speak_for(&ClientAttributes::default());
        assert!(matches!(nothing, Err(NotNow::Argument(_))));
        talk.silent();
    }
}

#[test]
fn vrfy_and_expn_outside_ascii_say_smtputf8() {
    let mut talk = Talk::ready(Protocol::Smtp, &["SMTPUTF8"]);
    talk.connection.verify("é@x.example").unwrap();
    talk.script("C: VRFY é@x.example SMTPUTF8\nS: 252 maybe\nE: reply VRFY 252");
    talk.connection.expand("ölist").unwrap();
    talk.script("C: EXPN ölist SMTPUTF8\nS: 550 no\nE: reply EXPN 550");
    talk.connection.verify("a@x.example").unwrap();
    talk.script("C: VRFY a@x.example\nS: 252 maybe\nE: reply VRFY 252");
}

#[test]
fn c004_a_command_of_the_callers_own_cannot_smuggle_another() {
    let mut talk = Talk::ready(Protocol::Smtp, &[]);
    talk.connection.extension_command("X-Thing", "a b").unwrap();
    talk.script("C: X-Thing a b\nS: 250 did it\nE: reply (extension) 250");
    talk.connection.extension_command("XSTATUS", "").unwrap();
    talk.script("C: XSTATUS\nS: 500 what?\nE: reply (extension) 500");
    for (verb, argument) in [
        ("", ""),
        ("X Y", ""),
        ("X\r\nQUIT", ""),
        ("é", ""),
        ("-X", ""),
        ("X", "a\r\nQUIT"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        (&"X".repeat(33), ""),
        ("X", &"a".repeat(5000)),
    ] {
        let refused = talk.connection.extension_command(verb, argument);
        assert!(
            matches!(refused, Err(NotNow::Argument(_))),
            "{verb:?} {argument:?}"
        );
    }
    let refused = talk.connection.extension_command("X", "é");
    assert_eq!(refused, Err(NotNow::NotOffered("SMTPUTF8")));
    talk.silent();
}

#[test]
fn a_command_of_the_callers_own_is_none_that_changes_the_session() {
    let mut talk = Talk::ready(Protocol::Smtp, &["XCLIENT", "CHUNKING"]);
    for verb in [
        "HELO", "ehlo", "LHLO", "MAIL", "Rcpt", "DATA", "BDAT", "BURL", "RSET", "QUIT", "STARTTLS",
        "AUTH", "XCLIENT", "TURN", "ATRN", "SEND", "SOML", "SAML",
    ] {
        let refused = talk.connection.extension_command(verb, "x");
        assert!(matches!(refused, Err(NotNow::Reserved(_))), "{verb}");
    }
    talk.silent();
    talk.connection.extension_command("X", "").unwrap();
    talk.flush();
    assert!(matches!(
        talk.violates("354 go"),
        Violation::WrongReply { .. }
    ));
}
