//! How often an address may do something, and what the application refuses, as clients and statistics see it.

use super::Running;
use super::talk::Talk;

const CONNECTIONS: &str =
    "421 4.7.0 Too many connections from your address in a minute, try again later";
const MESSAGES: &str = "452 4.7.0 Too many messages from your address in a minute, try again later";
const RECIPIENTS: &str =
    "452 4.7.0 Too many recipients from your address in a minute, try again later";

#[test]
fn an_address_that_connects_too_often_is_turned_away_and_others_are_served() {
    let server = Running::trusting(&[("connections_per_minute", "3"), ("xclient", "")]);
    for _ in 0..3 {
        assert_eq!(server.client().ask("QUIT"), "221 2.0.0 Bye");
    }
    for refused in 1..=2 {
        let mut talk = Talk::connect(server.address);
        assert_eq!(talk.reply(), CONNECTIONS);
        assert!(talk.is_closed());
        assert_eq!(server.statistics().connections_too_often, refused);
    }
    let mut other = Talk::connect_from([127, 0, 0, 2].into(), server.address);
    assert!(other.reply().starts_with("220 "));
    assert_eq!(server.statistics().sessions, 4);
}

#[test]
fn an_address_with_too_many_messages_is_told_and_others_are_served() {
    let server = Running::trusting(&[("messages_per_minute", "3")]);
    let mut other = server.speaking_for("192.0.2.2");
    let mut one = server.speaking_for("192.0.2.1");
    let mut two = server.speaking_for("192.0.2.1");
    let text = b"x\r\n";
    for _ in 0..2 {
        let reply = one.message("a@b.example", &["c@d.example"], text);
        assert_eq!(reply, "250 2.0.0 queued");
    }
    let reply = two.message("a@b.example", &["c@d.example"], text);
    assert_eq!(reply, "250 2.0.0 queued");
    for talk in [&mut one, &mut two] {
        assert_eq!(talk.ask("MAIL FROM:<a@b.example>"), MESSAGES);
    }
    for _ in 0..3 {
        assert_eq!(
            other.message("a@b.example", &["c@d.example"], text),
            "250 2.0.0 queued"
        );
    }
    let told = server.statistics();
    assert_eq!((told.messages, told.messages_too_often), (6, 2));
    assert_eq!((told.refused_senders, told.refused_messages), (2, 0));
}

#[test]
fn an_address_with_too_many_recipients_is_told_and_its_message_goes_to_the_others() {
    let server = Running::trusting(&[("recipients_per_minute", "3"), ("domains", "d.example")]);
    let mut other = server.speaking_for("192.0.2.2");
    let mut talk = server.speaking_for("192.0.2.1");
    // In one go, and of one that is refused the place is taken all the same.
    talk.send(
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<1@d.example>\r\nRCPT TO:<2@else.example>\r\nRCPT TO:<3@d.example>\r\nRCPT TO:<4@d.example>\r\n",
    );
    let replies: Vec<String> = (0..5).map(|_| talk.reply()).collect();
    assert_eq!(replies[1], "250 2.1.5 OK");
    assert!(replies[2].starts_with("550 5.7.1"), "{}", replies[2]);
    assert_eq!(replies[3..], ["250 2.1.5 OK", RECIPIENTS]);
    assert_eq!(talk.ask("RCPT TO:<5@d.example>"), RECIPIENTS);
    assert!(talk.ask("DATA").starts_with("354 "));
    assert_eq!(talk.ask("x\r\n."), "250 2.0.0 queued");
    other.ask("MAIL FROM:<a@b.example>");
    assert_eq!(other.ask("RCPT TO:<1@d.example>"), "250 2.1.5 OK");
    let told = server.statistics();
    assert_eq!((told.refused_recipients, told.denied_relays), (3, 1));
    assert_eq!(told.recipients_too_often, 2);
}

#[test]
fn what_the_application_refuses_is_counted_as_its_own() {
    let server = Running::with(|_| {});
    let mut talk = server.client();
    let count = || {
        let told = server.statistics();
        told.hellos_refused_by_application
            + told.senders_refused_by_application
            + told.recipients_refused_by_application
            + told.messages_refused_by_application
    };
    assert!(talk.ask("EHLO refuse.example").starts_with("550 "));
    assert_eq!(count(), 1);
    talk.ask("EHLO client.example");
    assert!(talk.ask("MAIL FROM:<refuse@b.example>").starts_with("550 "));
    assert_eq!(count(), 2);
    // One that fails has refused too.
    assert!(talk.ask("MAIL FROM:<panic@b.example>").starts_with("451 "));
    assert_eq!(count(), 3);
    talk.ask("MAIL FROM:<a@b.example>");
    assert!(talk.ask("RCPT TO:<refuse@d.example>").starts_with("550 "));
    assert_eq!((count(), server.statistics().refused_recipients), (4, 1));
    talk.ask("RSET");
    // Before its first octet, and at its end.
    talk.ask("MAIL FROM:<early@b.example>");
    talk.ask("RCPT TO:<c@d.example>");
    assert!(talk.ask("DATA").starts_with("554 "));
    assert_eq!(count(), 5);
    talk.ask("RSET");
    let refused = talk.message("a@b.example", &["later@d.example"], b"x\r\n");
    assert!(refused.starts_with("450 "), "{refused}");
    assert_eq!((count(), server.statistics().refused_messages), (6, 2));
    // What the server refuses by itself is none of its.
    assert!(
        talk.message("a@b.example", &["c@d.example"], b"x\ny\r\n")
            .starts_with('5')
    );
    assert!(talk.ask("NONSENSE").starts_with("500 "));
    assert_eq!(count(), 6);
    let text = server.statistics().to_prometheus();
    for (kind, times) in [
        ("hellos", 1),
        ("senders", 2),
        ("recipients", 1),
        ("messages", 2),
    ] {
        let line = format!("mailwire_refused_{kind}_total{{reason=\"application\"}} {times}\n");
        assert!(text.contains(&line), "{line} {text}");
    }
}
