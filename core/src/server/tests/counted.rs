//! Whatever a client says in whatever order: the statistics count each refusal of mail that it has heard, once.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Options, Statistics};
use super::Running;
use super::talk::Talk;

/// Commands of one line, each with one reply.
const COMMANDS: &[&str] = &[
    "EHLO client.example",
    "HELO client.example",
    "LHLO client.example",
    "EHLO refuse.example",
    "RSET",
    "NOOP",
    "mail FROM:<a@b.example>",
    "MAIL FROM:<a@b.example> BODY=BINARYMIME",
    "MAIL FROM:<a@b.example> SIZE=1000",
    "MAIL FROM:<a@b.example> FOO=1",
    "MAIL FROM:<refuse@b.example>",
    "MAIL FROM:<early@b.example>",
    "MAIL FROM:<faulty@b.example>",
    "MAIL FROM:<unread@b.example>",
    "MAIL FROM:<crash@b.example>",
    "MAIL FROM:<strange@b.example>",
    "MAIL\tFROM:<a@b.example>",
    "MAIL\tFROM:<a",
    "MAIL",
    "MAIL FROM:<a",
    "RCPT TO:<c@d.example>",
    "rcpt TO:<e@d.example>",
    "RCPT TO:<later@d.example>",
    "RCPT TO:<refuse@d.example>",
    "RCPT TO:<c@elsewhere.example>",
    "RCPT\tTO:<c@d.example>",
    "RCPT\tTO:<c",
    "RCPT TO:<\u{fc}@d.example>",
    "RCPT",
    "DATA x",
];

/// Messages, as they go over the wire behind DATA and as a chunk; the limit is 40 octets and one Received.
const BODIES: &[&str] = &[
    "x\r\n",
    "x\ny\r\n",
    "Received: x\r\nReceived: y\r\n\r\n",
    "This is a message that is longer than it may be.\r\n",
    "",
];

#[derive(Debug, Clone)]
enum Act {
    Say(&'static str),
    Data(&'static str),
    Chunk(&'static str, bool),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => select(COMMANDS).prop_map(Act::Say),
        // Else few would come as far as a message.
        2 => select(&["MAIL FROM:<a@b.example>", "RCPT TO:<c@d.example>"][..]).prop_map(Act::Say),
        1 => select(BODIES).prop_map(Act::Data),
        1 => (select(BODIES), any::<bool>()).prop_map(|(body, last)| Act::Chunk(body, last)),
    ]
}

/// A client that keeps count of what it is told, and of the transaction that this makes.
struct Client {
    talk: Talk,
    lmtp: bool,
    extended: bool,
    transaction: Option<Transaction>,
    heard: Statistics,
}

#[derive(Default)]
struct Transaction {
    accepted: usize,
    failed: bool,
}

impl Client {
    fn act(&mut self, act: &Act) {
        match act {
            Act::Say(command) => self.say(command),
            Act::Data(body) => {
                let reply = self.talk.ask("DATA");
                if reply.starts_with("354 ") {
                    self.talk.send(format!("{body}.\r\n"));
                    self.hear_verdict();
                    self.transaction = None;
                } else {
                    self.hear_refused_message(&reply);
                }
            }
            Act::Chunk(body, last) => {
                let word = if *last { " LAST" } else { "" };
                self.talk
                    .send(format!("BDAT {}{word}\r\n{body}", body.len()));
                if *last && self.extended && self.can_be_refused() {
                    self.hear_verdict();
                    self.transaction = None;
                    return;
                }
                let reply = self.talk.reply();
                if !reply.starts_with('2') {
                    self.hear_refused_message(&reply);
                    if let Some(transaction) = &mut self.transaction {
                        transaction.failed = true;
                    }
                }
            }
        }
    }

    fn say(&mut self, command: &str) {
        let reply = self.talk.ask(command);
        let taken = reply.starts_with('2');
        assert!(taken || is_refusal(&reply), "{reply}");
        match command[..4].to_ascii_uppercase().as_str() {
            "MAIL" if taken => self.transaction = Some(Transaction::default()),
            "MAIL" => self.heard.refused_senders += 1,
            "RCPT" if taken => self.transaction.as_mut().unwrap().accepted += 1,
            "RCPT" => self.heard.refused_recipients += 1,
            "DATA" => self.hear_refused_message(&reply),
            "RSET" => self.transaction = None,
            "EHLO" | "HELO" | "LHLO" if taken => {
                self.transaction = None;
                self.extended = !command.starts_with("HELO");
            }
            _ => {}
        }
    }

    /// What a message is told that was sent whole: a reply, or in LMTP one for each recipient.
    fn hear_verdict(&mut self) {
        let accepted = self.transaction.as_ref().unwrap().accepted;
        let replies = if self.lmtp { accepted } else { 1 };
        let taken = (0..replies).filter(|_| self.talk.reply().starts_with('2'));
        if taken.count() > 0 {
            self.heard.messages += 1;
        } else {
            self.heard.refused_messages += 1;
        }
    }

    fn hear_refused_message(&mut self, reply: &str) {
        assert!(is_refusal(reply), "{reply}");
        if self.can_be_refused() {
            self.heard.refused_messages += 1;
        }
    }

    fn can_be_refused(&self) -> bool {
        let transaction = self.transaction.as_ref();
        transaction.is_some_and(|transaction| transaction.accepted > 0 && !transaction.failed)
    }
}

/// Whether it is one after which the session goes on.
fn is_refusal(reply: &str) -> bool {
    reply.starts_with(['4', '5']) && !reply.starts_with("421")
}

/// What a client heard that did all this, and what the server has counted then.
fn played(lmtp: bool, normalise: bool, acts: &[Act]) -> (Statistics, Statistics) {
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    for (name, value) in [
        ("protocol", if lmtp { "lmtp" } else { "smtp" }),
        ("line_ends", if normalise { "normalise" } else { "refuse" }),
        ("extensions", "SIZE,8BITMIME,CHUNKING,BINARYMIME"),
        ("max_message_size", "40"),
        ("max_recipients", "2"),
        ("max_hops", "1"),
        ("domains", "d.example"),
        ("max_bad_commands", "1000"),
        ("max_idle_commands", "1000"),
    ] {
        options.set(name, value).unwrap();
    }
    let server = Running::start(options);
    let mut talk = Talk::connect(server.address);
    assert!(talk.reply().starts_with("220 "));
    let mut client = Client {
        talk,
        lmtp,
        extended: true,
        transaction: None,
        heard: Statistics::default(),
    };
    client.say(if lmtp {
        "LHLO client.example"
    } else {
        "EHLO client.example"
    });
    for act in acts {
        client.act(act);
    }
    assert!(client.talk.ask("QUIT").starts_with("221 "));
    let control = server.control.clone();
    server.stop();
    (client.heard, control.statistics())
}

proptest! {
    #[test]
    fn each_refusal_that_a_client_hears_is_counted_once(
        lmtp in any::<bool>(),
        normalise in any::<bool>(),
        acts in vec(act(), 1..40),
    ) {
        let (heard, counted) = played(lmtp, normalise, &acts);
        let numbers = |told: &Statistics| {
            [told.messages, told.refused_messages, told.refused_senders, told.refused_recipients]
        };
        prop_assert_eq!(numbers(&heard), numbers(&counted));
    }
}
