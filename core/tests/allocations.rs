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
use mailwire::sasl::Mechanism;

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
    let config = config().with_max_bad_commands(u32::MAX);
    assert_eq!(in_steady_state(config.clone(), &lines), [0; 10]);
    assert_eq!(
        in_steady_state(config.with_hooks(Hooks::ALL), &lines),
        [0; 10]
    );
}

#[test]
fn a_server_allocates_for_a_message_what_its_envelope_holds() {
    let lines = [
        (
            "MAIL FROM:<some.body@client.example> SIZE=100 BODY=8BITMIME\r\n",
            1,
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
    // The sender as this server is told it; and for all recipients together who is barred, and the verdicts.
    assert_eq!(counted[0], 3);
    // The room for the texts of replies went with the last one that was kept, and is made anew with the first.
    assert_eq!(counted[1], 1, "MAIL");
    assert_eq!(counted[2..], [0; 5], "three RCPT, DATA and the end mark");
}

/// What a machine may keep at most, whoever is at the other end: 64 KiB of replies that wait, an envelope of a hundred recipients,
/// one reply of 64 KiB or one line, and what vectors have in reserve.
const KEPT: u64 = 256 * 1024;

/// Octets that a hostile peer sends.
const FLOOD: usize = 1024 * 1024;

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

#[test]
fn a_client_keeps_little_of_what_a_server_sends() {
    let long = "x".repeat(8000);
    for flood in [
        "x",
        "250-x\r\n",
        &format!("250-{long}\r\n"),
        "250 x\r\n",
        "250-\u{1b}\r\n",
        "2",
        "334 QUFB\r\n",
    ] {
        let stream = flood.repeat(FLOOD / flood.len());
        let kept = measure(|| {
            let mut connection = client::Connection::new(Protocol::Smtp, None);
            let mut used = 0;
            while let Ok(Progress::Event { used: more, .. } | Progress::Need { used: more, .. }) =
                connection.receive(&stream.as_bytes()[used..])
            {
                used += more;
                if more == 0 {
                    break;
                }
            }
        });
        let shown = &flood[..flood.len().min(20)];
        assert!(
            kept.bytes_max < KEPT,
            "{} octets for {shown:?}",
            kept.bytes_max
        );
        assert_eq!(kept.bytes_current, 0, "nothing stays behind");
    }
}
