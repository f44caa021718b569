//! Inward, in memory: every body of the table against every way of cutting it, on every kind of session.

use std::sync::Arc;

use mailwire::proto::data::LineEnds;
use mailwire::proto::server::{Answer, Config, Connection, Event, Hooks};
use mailwire::proto::{Need, Progress, Protocol, TlsInfo, TlsVersion};

use crate::families::{Body, LAST_OCTET, SECOND, bodies};

/// How the client reaches the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Plain,
    StartTls,
    Tls,
}

/// A kind of session.
#[derive(Debug)]
struct Kind {
    config: Arc<Config>,
    link: Link,
    lax: bool,
}

impl Kind {
    fn new(protocol: Protocol, link: Link, size_limit: Option<u64>) -> Self {
        let config = Config::new("mx.example.org".parse().unwrap(), protocol)
            .with_starttls(link == Link::StartTls)
            .with_size_limit(size_limit)
            .with_hooks(Hooks::ALL);
        Self {
            config: Arc::new(config),
            link,
            lax: false,
        }
    }

    /// The same, set to make a CRLF of each bare CR or LF, and to let LF alone end a command.
    fn lax(self) -> Self {
        let config = Config::clone(&self.config)
            .with_line_ends(LineEnds::Normalise)
            .with_lenient_line_ends(true);
        Self {
            config: Arc::new(config),
            lax: true,
            ..self
        }
    }

    /// The commands up to DATA, for two recipients.
    fn before(&self) -> String {
        format!(
            "{} a.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<c@b.example>\r\nDATA\r\n",
            self.hello()
        )
    }

    fn hello(&self) -> &'static str {
        match self.config.protocol() {
            Protocol::Lmtp => "LHLO",
            Protocol::Smtp => "EHLO",
        }
    }

    /// What is said about the message: with LMTP, for each of its recipients.
    fn verdicts(&self, verdict: &'static str) -> Vec<&'static str> {
        let recipients = if self.config.protocol() == Protocol::Lmtp {
            2
        } else {
            1
        };
        vec![verdict; recipients]
    }
}

fn kinds(size_limit: Option<u64>) -> Vec<Kind> {
    [
        (Protocol::Smtp, Link::Plain),
        (Protocol::Smtp, Link::StartTls),
        (Protocol::Smtp, Link::Tls),
        (Protocol::Lmtp, Link::Plain),
        (Protocol::Lmtp, Link::StartTls),
    ]
    .into_iter()
    .map(|(protocol, link)| Kind::new(protocol, link, size_limit))
    .collect()
}

/// What a session came to.
#[derive(Debug, PartialEq, Eq, Default)]
struct Came {
    messages: Vec<Vec<u8>>,
    discarded: usize,
    /// Every command that the application was told of.
    commands: Vec<String>,
    output: String,
}

impl Came {
    /// The lines that the server said behind the first 354.
    fn replies(&self) -> Vec<&str> {
        let mut lines = self.output.lines();
        lines.find(|line| line.starts_with("354"));
        lines.collect()
    }
}

/// A session, its driver, and what came of it.
struct Session {
    connection: Connection,
    message: Vec<u8>,
    input: Vec<u8>,
    came: Came,
}

impl Session {
    fn run(kind: &Kind, pieces: &[&[u8]]) -> Came {
        let info = || TlsInfo::new(TlsVersion::Tls13, "TLS13_AES_256_GCM_SHA384");
        let tls = (kind.link == Link::Tls).then(info);
        let mut session = Self {
            connection: Connection::new(Arc::clone(&kind.config), tls),
            message: Vec::new(),
            input: Vec::new(),
            came: Came::default(),
        };
        session.lend(b"");
        if kind.link == Link::StartTls {
            session.lend(format!("{} a.example\r\n", kind.hello()).as_bytes());
            session.lend(b"STARTTLS\r\n");
            session.connection.secured(b"", info()).unwrap();
            session.came = Came::default();
        }
        for piece in pieces {
            session.lend(piece);
        }
        session.came
    }

    fn lend(&mut self, piece: &[u8]) {
        self.input.extend_from_slice(piece);
        let input = std::mem::take(&mut self.input);
        let mut start = 0;
        loop {
            match self.connection.receive(&input[start..]).unwrap() {
                Progress::Event { used, event } => {
                    start += used;
                    match event {
                        Event::Body(piece) => self.message.extend_from_slice(piece),
                        Event::Discarded => {
                            self.message.clear();
                            self.came.discarded += 1;
                        }
                        Event::EndOfData { size } => {
                            assert_eq!(size, self.message.len() as u64);
                            self.came.messages.push(std::mem::take(&mut self.message));
                        }
                        Event::Mail { reverse_path, .. } => {
                            self.came.commands.push(reverse_path.to_string());
                        }
                        Event::Rcpt { path, .. } => self.came.commands.push(path.to_string()),
                        Event::Unknown { verb, .. } => self.came.commands.push(verb.to_owned()),
                        Event::Data => self.came.commands.push("DATA".to_owned()),
                        _ => {}
                    }
                    while self.connection.owed() > 0 {
                        self.connection.answer(Answer::Accept).unwrap();
                    }
                }
                Progress::Need { used, need } => {
                    start += used;
                    let mut sent = 0;
                    for slice in self.connection.transmit() {
                        sent += slice.len();
                        self.came
                            .output
                            .push_str(std::str::from_utf8(&slice).unwrap());
                    }
                    self.connection.sent(sent);
                    if sent == 0 || need != Need::More {
                        break;
                    }
                }
            }
        }
        self.input.extend_from_slice(&input[start..]);
    }
}

const ACCEPTED: &str = "250 2.0.0 OK";
const BARE: &str = "554 5.6.0 Message has a bare CR or LF";
const TOO_BIG: &str = "552 5.3.4 Message too big";

const COMMANDS: [&str; 4] = ["a@a.example", "b@b.example", "c@b.example", "DATA"];

/// The body in one go, and then each of `cuts` of it: one message at the most, one verdict, and then NOOP's reply and QUIT's.
fn check(kind: &Kind, body: &Body, cuts: impl Iterator<Item = usize>) {
    let before = kind.before();
    let all = [before.as_bytes(), &body.ended(), b"NOOP\r\nQUIT\r\n"].concat();
    let place = || format!("{kind:?} {}", body.octets.escape_ascii());
    let whole = Session::run(kind, &[&all]);
    let too_big = kind.config.size_limit().is_some();
    let (verdict, messages) = match (too_big, body.bare) {
        (true, _) => (TOO_BIG, Vec::new()),
        (false, true) if kind.lax => (ACCEPTED, vec![body.normalised()]),
        (false, true) => (BARE, Vec::new()),
        (false, false) => (ACCEPTED, vec![body.unstuffed()]),
    };
    assert_eq!(whole.messages, messages, "{}", place());
    assert_eq!(whole.discarded, 1 - messages.len(), "{}", place());
    assert_eq!(whole.commands, COMMANDS, "{}", place());
    let mut replies = kind.verdicts(verdict);
    replies.extend(["250 2.0.0 OK", "221 2.0.0 Bye"]);
    assert_eq!(whole.replies(), replies, "{}", place());
    for cut in cuts {
        let (one, two) = all.split_at(before.len() + cut);
        assert_eq!(
            Session::run(kind, &[one, two]),
            whole,
            "{} cut at {cut}",
            place()
        );
    }
    let single: Vec<_> = all.chunks(1).collect();
    assert_eq!(Session::run(kind, &single), whole, "{} by octets", place());
}

#[test]
fn s113_to_s121_nothing_but_crlf_dot_crlf_ends_the_data() {
    for kind in kinds(None) {
        // The others share the decoder: for them a bare octet in front of the mark is tried without the families.
        let plain = kind.link == Link::Plain && kind.config.protocol() == Protocol::Smtp;
        for body in bodies().into_iter().filter(|body| plain || !body.tail) {
            check(&kind, &body, 0..=body.octets.len() + 3);
        }
    }
}

#[test]
fn with_a_size_limit_exceeded_too_nothing_else_ends_the_data() {
    // The size is looked at in one place for all kinds: the simplest and the one with the most answers stand for them.
    for kind in [
        Kind::new(Protocol::Smtp, Link::Plain, Some(4)),
        Kind::new(Protocol::Lmtp, Link::StartTls, Some(4)),
    ] {
        for body in bodies() {
            check(&kind, &body, 0..=body.octets.len() + 3);
        }
    }
}

#[test]
fn a_server_that_normalises_and_is_lenient_sees_the_same_end() {
    for body in bodies() {
        let kind = Kind::new(Protocol::Smtp, Link::Plain, None).lax();
        let all = if body.tail { 0 } else { body.octets.len() + 3 };
        check(&kind, &body, 0..=all);
        let kind = Kind::new(Protocol::Lmtp, Link::StartTls, Some(4)).lax();
        check(&kind, &body, 0..=0);
    }
}

#[test]
fn in_chunks_a_normalised_message_is_the_same() {
    let kind = Kind::new(Protocol::Smtp, Link::Plain, None).lax();
    for body in bodies() {
        // No dots are stuffed here, and there is no end mark.
        let Body { octets, .. } = &body;
        let (one, two) = octets.split_at(octets.len() / 3);
        let before = kind.before().replace("DATA\r\n", "");
        let chunks = [
            format!("{before}BDAT {}\r\n", one.len()).as_bytes(),
            one,
            format!("BDAT {} LAST\r\n", two.len()).as_bytes(),
            two,
            b"QUIT\r\n",
        ]
        .concat();
        let mut lines = octets.clone();
        // What came last may have been a CR alone.
        if !lines.ends_with(b"\r\n") {
            lines.extend_from_slice(b"\r\n");
        }
        let mut expected = Vec::new();
        for (at, octet) in lines.iter().enumerate() {
            match octet {
                b'\n' if lines[..at].ends_with(b"\r") => {}
                b'\r' | b'\n' => expected.extend_from_slice(b"\r\n"),
                _ => expected.push(*octet),
            }
        }
        let whole = Session::run(&kind, &[&chunks]);
        assert_eq!(whole.messages, [expected], "{}", octets.escape_ascii());
        let single: Vec<_> = chunks.chunks(1).collect();
        assert_eq!(Session::run(&kind, &single), whole);
    }
}

#[test]
fn what_becomes_too_big_by_normalising_is_refused() {
    let kind = Kind::new(Protocol::Smtp, Link::Plain, Some(12)).lax();
    for (body, verdict) in [("\n\n\n\n\n\r\n", ACCEPTED), ("\n\n\n\n\n\n\r\n", TOO_BIG)] {
        let all = [kind.before().as_bytes(), body.as_bytes(), b".\r\n"].concat();
        assert_eq!(Session::run(&kind, &[&all]).replies(), [verdict]);
    }
}

#[test]
fn s118b_s120_a_bare_line_end_right_before_the_true_end_refuses_the_message() {
    for kind in kinds(None) {
        for octets in LAST_OCTET {
            let body = Body {
                octets: octets.to_vec(),
                bare: true,
                tail: true,
            };
            check(&kind, &body, 0..=octets.len() + 3);
        }
    }
}

#[test]
fn what_stands_behind_the_true_end_is_a_transaction_of_its_own() {
    let kind = Kind::new(Protocol::Smtp, Link::Plain, None);
    for (body, verdict) in [("a\r\n", ACCEPTED), ("a\r\r\n", BARE), ("", ACCEPTED)] {
        let all = [
            kind.before().as_bytes(),
            body.as_bytes(),
            b".\r\n",
            SECOND,
            b".\r\nQUIT\r\n",
        ]
        .concat();
        for cut in 0..=all.len() {
            let came = Session::run(&kind, &[&all[..cut], &all[cut..]]);
            assert_eq!(
                came.replies(),
                [
                    verdict,
                    "250 2.1.0 OK",
                    "250 2.1.5 OK",
                    "354 End data with <CR><LF>.<CR><LF>",
                    ACCEPTED,
                    "221 2.0.0 Bye"
                ]
            );
            assert_eq!(came.messages.last().unwrap(), b"smuggled\r\n");
        }
    }
}

#[test]
fn s112_s122_s126_s291_what_is_delivered_is_what_was_sent() {
    let every_octet: Vec<u8> = (0..=255).filter(|b| !b"\r\n".contains(b)).collect();
    for octets in [
        b"".as_slice(),
        b"\r\n",
        b"..\r\n...\r\n",
        &[every_octet.as_slice(), b"\r\n"].concat(),
    ] {
        let body = Body {
            octets: octets.to_vec(),
            bare: false,
            tail: false,
        };
        for kind in kinds(None) {
            check(&kind, &body, 0..=octets.len());
        }
    }
}
