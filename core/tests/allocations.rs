//! In steady state a command allocates nothing: all that is allocated is what is handed over to be kept, such as an address.
//!
//! And whatever a peer says, a machine keeps little of it.
//!
//! Steady state is what a session reaches once it has seen each kind of command. Counted are the allocations of this thread.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use allocation_counter::measure;
use mailwire::proto::client::{self, Hello, TransactionOptions};
use mailwire::proto::server::{Answer, Config, Connection, Hooks};
use mailwire::proto::{Envelope, Progress, Protocol};
use mailwire::sasl::{ClientContext, ClientExchange, Credentials, Mechanism};

/// How often a session does all before it is in steady state.
const WARM_UP: usize = 3;

/// Lends the server `input`, accepts whatever it asks about, and takes its replies.
fn serve(connection: &mut Connection, mut input: &[u8]) {
    loop {
        let used = match connection.receive(input).unwrap() {
            Progress::Event { used, .. } => {
                while connection.owed() > 0 {
                    connection.answer(Answer::Accept).unwrap();
                }
                used
            }
            Progress::Need { used, .. } => {
                let said = connection.transmit().map(|slice| slice.len()).sum();
                connection.sent(said);
                if said == 0 {
                    assert_eq!(used, input.len());
                    return;
                }
                used
            }
        };
        input = &input[used..];
    }
}

/// Each line in turn, over and over, then what it allocates.
fn in_steady_state(config: Config, lines: &[&str]) -> Vec<u64> {
    let mut connection = Connection::new(Arc::new(config), None);
    serve(&mut connection, b"");
    serve(&mut connection, b"EHLO client.example\r\n");
    for line in lines.repeat(WARM_UP) {
        serve(&mut connection, line.as_bytes());
    }
    let count = |line: &&str| measure(|| serve(&mut connection, line.as_bytes())).count_total;
    lines.iter().map(count).collect()
}

fn config() -> Config {
    Config::new("mx.example.org".parse().unwrap(), Protocol::Smtp).with_max_idle_commands(u32::MAX)
}

#[test]
fn a_server_allocates_nothing_for_a_command() {
    let lines = [
        "NOOP\r\n",
        "RSET\r\n",
        "HELP\r\n",
        "VRFY x\r\n",
        "TURN\r\n",
        "DATA\r\n",
        "MAIL FROM:<>\r\n",
        "MAIL FROM:<>\r\n",
        "RCPT TO:<\r\n",
        "RSET\r\nNOOP\r\nHELP\r\nRSET\r\n",
    ];
    // MAIL makes an envelope, for which a session that waits has no room.
    let allocated = [0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    let config = config().with_max_bad_commands(u32::MAX);
    assert_eq!(in_steady_state(config.clone(), &lines), allocated);
    assert_eq!(
        in_steady_state(config.with_hooks(Hooks::ALL), &lines),
        allocated
    );
}

#[test]
fn a_server_allocates_for_a_message_what_its_envelope_holds() {
    let lines = [
        // The envelope and its sender.
        (
            "MAIL FROM:<some.body@client.example> SIZE=100 BODY=8BITMIME\r\n",
            2,
        ),
        // The list of recipients, and the first of them.
        ("RCPT TO:<somebody@server.example>\r\n", 2),
        ("RCPT TO:<nobody@server.example>\r\n", 1),
        ("RCPT TO:<postmaster>\r\n", 1),
        ("DATA\r\n", 0),
        ("Subject: x\r\n\r\n..dots\r\nand", 0),
        (" more\r\n.\r\n", 0),
    ];
    let counted = in_steady_state(config(), &lines.map(|(line, _)| line));
    assert_eq!(counted, lines.map(|(_, allocated)| allocated));
}

/// Queues nothing itself: lends the client a server's reply, and sends what there is to send.
fn answer(connection: &mut client::Connection, mut reply: &[u8]) {
    while !reply.is_empty() {
        let (Progress::Event { used, .. } | Progress::Need { used, .. }) =
            connection.receive(reply).unwrap();
        reply = &reply[used..];
    }
    let said = connection.transmit().map(|slice| slice.len()).sum();
    connection.sent(said);
}

fn greeted() -> client::Connection {
    let mut connection = client::Connection::new(Protocol::Smtp, None);
    answer(&mut connection, b"220 mx.example ESMTP\r\n");
    connection
        .hello(Hello::Ehlo, &"client.example".parse().unwrap())
        .unwrap();
    answer(&mut connection, b"");
    answer(
        &mut connection,
        b"250-mx.example\r\n250-PIPELINING\r\n250 SIZE 0\r\n",
    );
    connection
}

#[test]
fn a_client_allocates_the_reply_that_it_hands_over() {
    let mut connection = greeted();
    let mut noop = || {
        let sent = measure(|| {
            connection.noop().unwrap();
            answer(&mut connection, b"");
        });
        let received = measure(|| answer(&mut connection, b"250 2.0.0 At your service\r\n"));
        (sent.count_total, received.count_total)
    };
    for _ in 0..WARM_UP {
        noop();
    }
    assert_eq!(noop(), (0, 1));
}

#[test]
fn a_client_allocates_for_a_transaction_what_its_envelope_and_outcome_hold() {
    let mut connection = greeted();
    let recipients = ["a@server.example", "b@server.example", "c@server.example"];
    let mut transaction = || {
        let envelope = Envelope::parse("me@client.example", recipients).unwrap();
        let (mut envelope, mut id) = (Some(envelope), None);
        let mut counts = Vec::new();
        let mut count = |step: &mut dyn FnMut()| counts.push(measure(step).count_total);
        count(&mut || {
            let options = TransactionOptions::default();
            id = Some(connection.begin(envelope.take().unwrap(), options).unwrap());
            answer(&mut connection, b"");
        });
        count(&mut || answer(&mut connection, b"250 2.1.0 Sender is welcome\r\n"));
        for _ in recipients {
            count(&mut || answer(&mut connection, b"250 2.1.5 Recipient is welcome\r\n"));
        }
        count(&mut || answer(&mut connection, b"354 Go ahead\r\n"));
        count(&mut || connection.end_of_data(id.unwrap()).unwrap());
        answer(&mut connection, b"250 2.0.0 Queued\r\n");
        counts
    };
    for _ in 0..WARM_UP {
        transaction();
    }
    let counted = transaction();
    // For all recipients together, what is known of each.
    assert_eq!(counted[0], 1);
    assert_eq!(counted[1..], [0; 6], "all that follows, up to the end mark");
}

/// What a machine may keep at most, whoever is at the other end: 16 KiB of replies that wait, an envelope of a hundred recipients,
/// one reply of 64 KiB or one line, and what vectors have in reserve.
const KEPT: u64 = 256 * 1024;

/// Octets that a hostile peer sends.
const FLOOD: usize = 1024 * 1024;

#[test]
fn a_server_keeps_little_for_a_client_that_never_reads_to_the_end() {
    let kept = measure(|| {
        let config = config().with_max_bad_commands(u32::MAX);
        let mut connection = Connection::new(Arc::new(config), None);
        for _ in 0..FLOOD / 64 {
            let (Progress::Event { used, .. } | Progress::Need { used, .. }) =
                connection.receive(b"HELP\r\n").unwrap();
            let said: usize = connection.transmit().map(|slice| slice.len()).sum();
            // All but an octet: the machine has always something left to send.
            connection.sent(said.saturating_sub(1));
            assert!(used > 0 && connection.has_output());
        }
    });
    assert!(kept.bytes_max < 16 * 1024, "{} octets", kept.bytes_max);
    assert_eq!(kept.bytes_current, 0, "nothing stays behind");
}

#[test]
fn a_server_keeps_little_of_what_a_client_sends_that_reads_nothing() {
    let start = "EHLO a\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";
    let long = "x".repeat(4000);
    let floods = [
        ("", "NOOP\r\n".to_owned()),
        ("", "HELP\r\n".to_owned()),
        ("", "EHLO a.example\r\n".to_owned()),
        ("", "x".to_owned()),
        ("", format!("{long}\r\n")),
        ("", format!("VRFY {long}\r\n")),
        ("EHLO a\r\n", format!("AUTH PLAIN {long}\r\n")),
        ("EHLO a\r\nAUTH LOGIN\r\n", "QUFB".to_owned()),
        (start, format!("RCPT TO:<{}@d.example>\r\n", &long[..120])),
        (start, "RSET\r\nMAIL FROM:<a@b> AUTH=<>\r\n".to_owned()),
        (&format!("{start}DATA\r\n"), "\r\n..\n\r".to_owned()),
        (&format!("{start}BDAT 999999999\r\n"), "x\r\n".to_owned()),
        (start, "BDAT 1\r\nx".to_owned()),
    ];
    for (start, flood) in floods {
        let stream = [start, &flood.repeat(FLOOD / flood.len())].concat();
        let kept = measure(|| {
            let config = config()
                .with_max_recipients(100)
                .with_max_bad_commands(u32::MAX)
                .with_mechanisms(Mechanism::ALL)
                .with_auth_in_clear(true);
            let mut connection = Connection::new(Arc::new(config), None);
            let (mut used, mut idle) = (0, 0);
            // Replies are not taken, so that the machine has to stop by itself.
            while idle < 3 && !connection.is_closing() {
                let end = stream.len().min(used + 64 * 1024);
                let before = used;
                used += match connection.receive(&stream.as_bytes()[used..end]) {
                    Ok(Progress::Event { used, .. } | Progress::Need { used, .. }) => used,
                    Err(_) => break,
                };
                while connection.owed() > 0 {
                    connection.answer(Answer::Accept).unwrap();
                }
                idle = if used > before { 0 } else { idle + 1 };
            }
        });
        let shown = &flood[..flood.len().min(20)];
        assert!(
            kept.bytes_max < KEPT,
            "{} octets for {start:?} {shown:?}",
            kept.bytes_max
        );
        assert_eq!(kept.bytes_current, 0, "nothing stays behind");
    }
}

/// Clients that wait for their server, each for something else.
fn states() -> [fn() -> client::Connection; 6] {
    fn introduced() -> client::Connection {
        let mut connection = client::Connection::new(Protocol::Smtp, None);
        answer(&mut connection, b"220 mx.example ESMTP\r\n");
        let name = "client.example".parse().unwrap();
        connection.hello(Hello::Ehlo, &name).unwrap();
        answer(&mut connection, b"");
        connection
    }
    fn begun() -> client::Connection {
        let mut connection = greeted();
        let envelope = Envelope::parse("me@client.example", ["a@b.example"; 100]).unwrap();
        let options = TransactionOptions::default();
        connection.begin(envelope, options).unwrap();
        answer(&mut connection, b"");
        connection
    }
    [
        || client::Connection::new(Protocol::Smtp, None),
        introduced,
        || {
            let mut connection = introduced();
            answer(&mut connection, b"250-mx.example\r\n250 AUTH LOGIN\r\n");
            let credentials = Credentials::new("tim", "pw").unwrap();
            let context = ClientContext::default();
            let login = ClientExchange::new(Mechanism::Login, &credentials, &context).unwrap();
            connection.auth(login).unwrap();
            answer(&mut connection, b"");
            connection
        },
        begun,
        || {
            let mut connection = begun();
            answer(&mut connection, b"250 2.1.0 OK\r\n");
            connection
        },
        || {
            let mut connection = begun();
            answer(&mut connection, &b"250 2.1.0 OK\r\n".repeat(101));
            connection
        },
    ]
}

#[test]
fn a_client_keeps_little_of_what_a_server_sends_wherever_it_stands() {
    let long = "x".repeat(8000);
    for flood in [
        "x",
        "250-x\r\n",
        &format!("250-{long}\r\n"),
        "250 x\r\n",
        "250-\u{1b}\r\n",
        "2",
        "334 QUFB\r\n",
        &format!("334 {}\r\n", &long[..7996].replace('x', "A")),
        "354 x\r\n",
        "550 x\r\n",
        &format!("550-{long}\r\n"),
    ] {
        let stream = flood.repeat(FLOOD / flood.len());
        for (state, begin) in states().into_iter().enumerate() {
            let kept = measure(|| {
                let mut connection = begin();
                let mut used = 0;
                while let Ok(
                    Progress::Event { used: more, .. } | Progress::Need { used: more, .. },
                ) = connection.receive(&stream.as_bytes()[used..])
                {
                    used += more;
                    if more == 0 {
                        break;
                    }
                    // What follows a reply is to be sent before the next can come.
                    let said = connection.transmit().map(|slice| slice.len()).sum();
                    connection.sent(said);
                }
            });
            let shown = &flood[..flood.len().min(20)];
            assert!(
                kept.bytes_max < KEPT,
                "{} octets for {shown:?} in state {state}",
                kept.bytes_max
            );
            assert_eq!(kept.bytes_current, 0, "nothing stays behind");
        }
    }
}

#[test]
fn a_client_keeps_one_reply_for_however_many_recipients_it_is_about() {
    let recipients: Vec<String> = (0..10_000).map(|n| format!("{n}@b.example")).collect();
    let line = [b"550-".as_slice(), &b"x".repeat(250), b"\r\n"].concat();
    let long = [line.repeat(255), b"550 x\r\n".to_vec()].concat();
    let kept = |reply: &[u8]| {
        let mut connection = greeted();
        let envelope = Envelope::parse("me@client.example", &recipients).unwrap();
        let options = TransactionOptions::default();
        connection.begin(envelope, options).unwrap();
        let (mut used, mut finished) = (0, None);
        answer(&mut connection, b"");
        let taken = measure(|| {
            while finished.is_none() {
                // The replies to RCPT are short.
                let input = if used < reply.len() {
                    &reply[used..]
                } else {
                    b"503 x\r\n"
                };
                match connection.receive(input).unwrap() {
                    Progress::Event { event, .. } => finished = Some(event),
                    Progress::Need { used: more, .. } => used += more,
                }
                let said = connection.transmit().map(|slice| slice.len()).sum();
                connection.sent(said);
            }
        });
        let lines = std::str::from_utf8(reply).unwrap().lines().count();
        let Some(client::Event::Finished { outcome, .. }) = finished else {
            panic!("{finished:?}");
        };
        assert_eq!(outcome.recipients().len(), recipients.len());
        let mut replies = outcome.recipients().iter().map(|one| one.reply().unwrap());
        assert!(replies.clone().all(|told| told.code() == 550));
        assert_eq!(replies.next_back().unwrap().lines().count(), lines);
        taken.bytes_max
    };
    let (short, long) = (kept(b"550 x\r\n"), kept(&long));
    assert!(long < short + KEPT, "{long} octets in place of {short}");
}
