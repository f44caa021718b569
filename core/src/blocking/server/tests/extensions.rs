//! What extensions bring into the queue: chunks, parameters, ETRN, and verbs that were added.

use super::{ALL_ASKED, EventKind, content, greeted, next, start};
use crate::server::Hooks;

#[test]
fn a_message_in_chunks_is_one_message() {
    let server = start(|_| {});
    let mut talk = greeted(&server);
    talk.send(
        "MAIL FROM:<\u{fc}@b> SMTPUTF8\r\nRCPT TO:<c@d>\r\nBDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n",
    );
    let mut event = next(&server);
    assert_eq!(content(&event), b"a\r\nb\r\n");
    let EventKind::Message { envelope, .. } = event.kind() else {
        panic!("{event:?}")
    };
    assert_eq!(envelope.reverse_path().to_string(), "\u{fc}@b");
    event.accept().unwrap();
    let replies: Vec<String> = (0..4).map(|_| talk.reply()).collect();
    assert_eq!(replies[3], "250 2.0.0 OK");
}

#[test]
fn a_streamed_message_that_is_given_up_is_discarded() {
    let server = start(|options| options.set_stream(true));
    let mut talk = greeted(&server);
    talk.send("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\na\r\n");
    let mut begin = next(&server);
    assert!(matches!(begin.kind(), EventKind::Body { .. }));
    begin.accept().unwrap();
    assert_eq!(content(&next(&server)), b"a\r\n");
    for _ in 0..3 {
        assert!(talk.reply().starts_with("250 "));
    }
    assert_eq!(talk.ask("RSET"), "250 2.0.0 OK");
    let event = next(&server);
    assert!(matches!(event.kind(), EventKind::Discarded), "{event:?}");
}

#[test]
fn etrn_parameters_and_verbs_become_events() {
    let server = start(|options| {
        options.set_hooks(Hooks::ETRN.with(Hooks::MAIL));
        options.add_verb("XFOO").unwrap();
        options.add_mail_parameter("X-MAIL").unwrap();
    });
    assert!(ALL_ASKED.has(Hooks::ETRN));
    let mut talk = greeted(&server);
    talk.send("ETRN @a.example\r\n");
    let mut event = next(&server);
    assert!(
        matches!(event.kind(), EventKind::Etrn(node) if node == "@a.example"),
        "{event:?}"
    );
    event.accept().unwrap();
    assert_eq!(talk.reply(), "250 2.0.0 OK, queue started");
    talk.send("XFOO bar\r\n");
    let mut event = next(&server);
    let EventKind::Unknown { verb, argument } = event.kind() else {
        panic!("{event:?}")
    };
    assert_eq!((verb.as_str(), argument.as_str()), ("XFOO", "bar"));
    event.accept().unwrap();
    assert_eq!(talk.reply(), "250 2.0.0 OK");
    assert_eq!(talk.ask("XBAR"), "500 5.5.1 Unknown command");
    talk.send("MAIL FROM:<a@b> X-MAIL=1\r\n");
    let mut event = next(&server);
    let EventKind::Mail { parameters, .. } = event.kind() else {
        panic!("{event:?}")
    };
    assert_eq!(parameters.others()[0].value(), Some("1"));
    event.accept().unwrap();
    assert_eq!(talk.reply(), "250 2.1.0 OK");
}
