//! Every bound at its edge and beyond.

use mailwire::proto::server::{Answer, Event, Extensions, Hooks};
use mailwire::proto::{Need, Progress};

use crate::talk::{MORE, Talk, after_hello, config, greeted};

fn noop_of(octets: usize) -> Vec<u8> {
    let mut line = b"NOOP ".to_vec();
    line.resize(octets - 2, b'x');
    line.extend_from_slice(b"\r\n");
    line
}

#[test]
fn s009_s010_an_over_long_line_gets_one_500_and_the_session_goes_on() {
    for (octets, reply) in [
        (512, "250 2.0.0 OK"),
        (4096, "250 2.0.0 OK"),
        (4097, "500 5.5.2 Line too long"),
        (64 * 1024, "500 5.5.2 Line too long"),
    ] {
        for piece in [1, 1000, octets] {
            let mut talk = greeted(config());
            noop_of(octets)
                .chunks(piece)
                .for_each(|piece| talk.lend(piece));
            assert_eq!(talk.line().as_deref(), Some(reply), "{octets} by {piece}");
            talk.follow(&["C: NOOP", "S: 250 2.0.0 OK"]);
        }
    }
}

#[test]
fn a_command_may_be_as_long_as_the_server_was_told() {
    // What is out of range becomes the nearest that is not.
    for (told, most) in [
        (512, 512),
        (1000, 1000),
        // As long as AUTH may be: no other command is taken for it.
        (12_322, 12_322),
        (32_768, 32_768),
        (0, 512),
        (usize::MAX, 32_768),
    ] {
        let mut talk = greeted(config().with_command_line(told));
        talk.lend(&noop_of(most));
        talk.lend(&noop_of(most + 1));
        talk.follow(&[
            "S: 250 2.0.0 OK",
            "S: 500 5.5.2 Line too long",
            "C: NOOP",
            "S: 250 2.0.0 OK",
        ]);
        // By pieces too.
        let long = noop_of(most + 1);
        long.chunks(400).for_each(|piece| talk.lend(piece));
        talk.follow(&["S: 500 5.5.2 Line too long"]);
    }
}

#[test]
fn s383_a_line_without_end_ends_the_connection_and_is_not_kept() {
    let mut talk = greeted(config());
    let line = noop_of(64 * 1024 + 1);
    line.chunks(1000).for_each(|piece| talk.lend(piece));
    talk.follow(&["S: 500 5.5.2 Line too long", "V: CommandLineTooLong"]);
    assert!(talk.connection.is_closing());
}

#[test]
fn what_stands_in_an_over_long_line_is_no_command() {
    let mut talk = greeted(config());
    talk.lend(&[b'x'; 5000]);
    talk.follow(&[
        "c: AUTH PLAIN GET / HTTP/1.1",
        "N: More",
        "C: POST / ",
        "S: 500 5.5.2 Line too long",
        "C: NOOP",
        "S: 250 2.0.0 OK",
    ]);
}

#[test]
fn s019_s020_too_many_bad_commands_end_the_session() {
    let mut talk = greeted(config());
    for _ in 0..20 {
        talk.follow(&["C: FOO", "S: 500 5.5.1 Unknown command"]);
    }
    talk.follow(&["C: NOOP", "S: 250 2.0.0 OK"]);
    talk.follow(&[
        "C: FOO",
        "C: NOOP",
        "S: 421 4.7.0 Too many bad commands",
        "N: Close",
    ]);
}

const MESSAGE: [&str; 9] = [
    "C: MAIL FROM:<a@b>",
    "C: RCPT TO:<c@d>",
    "C: DATA",
    "C: .",
    "S: 250 2.1.0 OK",
    "S: 250 2.1.5 OK",
    "S: 354 End data with <CR><LF>.<CR><LF>",
    "E: EndOfData 0",
    "N: Answer",
];

#[test]
fn only_a_message_that_is_accepted_forgives() {
    let mut talk = greeted(config().with_max_bad_commands(1));
    talk.follow(&["C: FOO", "S: 500 5.5.1 Unknown command"]);
    talk.follow(&MESSAGE);
    talk.follow(&[
        "A: accept",
        "S: 250 2.0.0 OK",
        "C: FOO",
        "S: 500 5.5.1 Unknown command",
    ]);
    talk.follow(&MESSAGE);
    talk.follow(&[
        "A: 550 no",
        "S: 550 5.0.0 no",
        "C: FOO",
        "S: 421 4.7.0 Too many bad commands",
        "N: Close",
    ]);
}

#[test]
fn s388_commands_without_mail_end_the_session() {
    let mut talk = greeted(config().with_max_idle_commands(8));
    talk.follow(&MESSAGE);
    talk.answer(Answer::Accept);
    talk.output.clear();
    for _ in 0..8 {
        talk.follow(&["C: NOOP", "S: 250 2.0.0 OK"]);
    }
    talk.follow(&[
        "C: NOOP",
        "S: 421 4.7.0 Too many commands without mail",
        "N: Close",
    ]);
    // Who leaves is not told that it stayed too long.
    let mut talk = greeted(config().with_max_idle_commands(2));
    talk.follow(&["C: NOOP", "S: 250 2.0.0 OK"]);
    talk.follow(&["C: QUIT", "S: 221 2.0.0 Bye", "N: Close"]);
}

#[test]
fn recipients_that_are_refused_are_commands_without_mail() {
    let mut talk = greeted(config().with_hooks(Hooks::RCPT).with_max_idle_commands(5));
    talk.follow(&["C: MAIL FROM:<a@b>", "S: 250 2.1.0 OK"]);
    for _ in 0..4 {
        talk.follow(&[
            "C: RCPT TO:<c@d>",
            "E: Rcpt <c@d>",
            "A: 550 no",
            "S: 550 5.0.0 no",
        ]);
    }
    talk.follow(&[
        "C: RCPT TO:<c@d>",
        "S: 421 4.7.0 Too many commands without mail",
        "N: Close",
    ]);
}

/// The lines are said again until the session ends, and so often they are answered.
fn answered_before_the_end(talk: &mut Talk, line: &[u8], reply: &str) -> usize {
    for count in 0..1000 {
        talk.lend(line);
        let said = talk.line();
        if said.as_deref() == Some("421 4.7.0 Too many commands without mail") {
            talk.follow(&["N: Close"]);
            return count;
        }
        assert_eq!(said.as_deref(), Some(reply));
    }
    panic!("{reply} is said for ever")
}

#[test]
fn chunks_that_are_refused_are_commands_without_mail() {
    let idle = || config().with_max_idle_commands(5).with_size_limit(Some(10));
    let none = "503 5.5.1 No valid recipient";
    let reset = "503 5.5.1 A chunk was refused, say RSET first";
    // EHLO, MAIL and the first chunk are three of them.
    for (octets, chunk) in [("1", "BDAT 1\r\nx"), ("0", "BDAT 0\r\n")] {
        let mut talk = greeted(idle());
        talk.follow(&["C: MAIL FROM:<a@b>", "S: 250 2.1.0 OK"]);
        talk.lend(chunk.as_bytes());
        assert_eq!(talk.line().as_deref(), Some(none));
        let answered = answered_before_the_end(&mut talk, chunk.as_bytes(), reset);
        // An empty chunk is known beforehand to bring no mail.
        assert_eq!(answered, if octets == "0" { 2 } else { 3 }, "BDAT {octets}");
    }
    let too_big = [
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<c@d>",
        "C: BDAT 11",
        "c: 12345678901",
        "S: 250 2.1.0 OK",
        "S: 250 2.1.5 OK",
        "S: 552 5.3.4 Message too big",
    ];
    let mut talk = greeted(idle());
    talk.follow(&too_big);
    assert_eq!(answered_before_the_end(&mut talk, b"BDAT 1\r\nx", reset), 3);
}

#[test]
fn a_chunk_that_the_application_refuses_is_a_command_without_mail() {
    let config = config().with_hooks(Hooks::DATA).with_max_idle_commands(5);
    let mut talk = greeted(config);
    for _ in 0..2 {
        talk.follow(&[
            "C: MAIL FROM:<a@b>",
            "C: RCPT TO:<c@d>",
            "C: BDAT 1 LAST",
            "c: x",
            "S: 250 2.1.0 OK",
            "S: 250 2.1.5 OK",
            "E: Data",
            "A: 554 no",
            "S: 554 5.0.0 no",
        ]);
    }
    // EHLO, two of MAIL, two of BDAT.
    talk.follow(&[
        "C: NOOP",
        "S: 421 4.7.0 Too many commands without mail",
        "N: Close",
    ]);
}

#[test]
fn recipients_behind_a_chunk_are_commands_without_mail() {
    let mut talk = greeted(config().with_max_idle_commands(5));
    talk.follow(&[
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<c@d>",
        "C: BDAT 1",
        "c: x",
        "E: Body x",
        "S: 250 2.1.0 OK",
        "S: 250 2.1.5 OK",
        "S: 250 2.0.0 OK",
    ]);
    let begun = "503 5.5.1 The message has begun";
    let answered = answered_before_the_end(&mut talk, b"RCPT TO:<c@d>\r\n", begun);
    assert_eq!(answered, 4);
}

#[test]
fn s388_addresses_outside_ascii_are_commands_without_mail() {
    let sender = "550 5.6.7 The sender's address needs SMTPUTF8";
    let recipient = "553 5.6.7 The recipient's address needs SMTPUTF8";
    let none = Extensions::USUAL.without(Extensions::SMTPUTF8);
    // In UTF-8 where it was not asked for, and in what is not UTF-8 where it could not be.
    for (letter, offered) in [
        (b"\xc3\xa9".as_slice(), Extensions::USUAL),
        (b"\xc3\xa9", none),
        (b"\xe9", none),
    ] {
        let config = || config().with_max_idle_commands(5).with_extensions(offered);
        let line = |start: &[u8]| [start, letter, b"@b>\r\n"].concat();
        let mut talk = greeted(config());
        let line_of_mail = line(b"MAIL FROM:<");
        assert_eq!(answered_before_the_end(&mut talk, &line_of_mail, sender), 4);
        let mut talk = greeted(config());
        talk.follow(&["C: MAIL FROM:<a@b>", "S: 250 2.1.0 OK"]);
        let line_of_rcpt = line(b"RCPT TO:<");
        let answered = answered_before_the_end(&mut talk, &line_of_rcpt, recipient);
        // What can be read is refused first and counted then.
        assert_eq!(answered, if letter.len() == 1 { 3 } else { 4 });
    }
}

#[test]
fn a_client_that_pipelines_behind_a_refused_sender_is_not_bad() {
    let mut talk = greeted(config().with_hooks(Hooks::MAIL));
    talk.lend(b"MAIL FROM:<a@b>\r\n");
    talk.lend(&b"RCPT TO:<c@d>\r\n".repeat(100));
    talk.lend(b"DATA\r\n");
    talk.event();
    talk.answer(Answer::Reply(crate::talk::reply("550 5.7.1 no")));
    let lines: Vec<_> = std::iter::from_fn(|| talk.line()).collect();
    assert_eq!(lines.len(), 102);
    assert!(
        lines[1..]
            .iter()
            .all(|line| line == "503 5.5.1 Say MAIL first"),
        "{lines:?}"
    );
}

#[test]
fn s088_s089_more_recipients_than_the_limit() {
    let mut talk = greeted(config().with_max_recipients(100));
    talk.lend(b"MAIL FROM:<a@b>\r\n");
    talk.lend(&b"RCPT TO:<c@d>\r\n".repeat(105));
    talk.lend(b"DATA\r\n.\r\n");
    let lines: Vec<_> = std::iter::from_fn(|| talk.line()).collect();
    assert_eq!(
        lines.iter().filter(|line| *line == "250 2.1.5 OK").count(),
        100
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| *line == "452 4.5.3 Too many recipients")
            .count(),
        5
    );
    assert_eq!(talk.connection.envelope().unwrap().recipients().len(), 100);
    talk.follow(&["E: EndOfData 0", "A: accept", "S: 250 2.0.0 OK"]);
}

const DATA: [&str; 6] = [
    "C: MAIL FROM:<a@b>",
    "C: RCPT TO:<c@d>",
    "C: DATA",
    "S: 250 2.1.0 OK",
    "S: 250 2.1.5 OK",
    "S: 354 End data with <CR><LF>.<CR><LF>",
];

#[test]
fn s128_s254_s255_size_is_what_is_counted_not_what_is_declared() {
    let config = config().with_size_limit(Some(10));
    // Ten octets with the last CRLF; dots that were stuffed do not count.
    after_hello(config.clone(), &DATA).follow(&[
        "C: ..2345678",
        "C: .",
        "E: Body .2345678\\r\\n",
        "E: EndOfData 10",
        "A: accept",
        "S: 250 2.0.0 OK",
    ]);
    after_hello(config.clone(), &DATA).follow(&[
        "C: 123456789",
        "C: .",
        "C: NOOP",
        "E: Discarded",
        "S: 552 5.3.4 Message too big",
        "S: 250 2.0.0 OK",
    ]);
    let mut talk = after_hello(config, &DATA);
    talk.follow(&[
        "c: 1234567890",
        "E: Body 1234567890",
        "c: 1",
        "E: Discarded",
        "c: 234",
        "C: ",
        "C: .",
        "S: 552 5.3.4 Message too big",
    ]);
    talk.follow(&["C: DATA", "S: 503 5.5.1 Say MAIL first"]);
}

#[test]
fn s129_a_message_far_over_the_limit_is_not_read_to_its_end() {
    for piece in [1000, 4 * 1024 * 1024] {
        let mut talk = after_hello(config().with_size_limit(Some(10)), &DATA);
        let mut body = vec![b'x'; 2 * 1024 * 1024];
        body.extend_from_slice(b"\r\n.\r\nNOOP\r\n");
        body.chunks(piece).for_each(|piece| talk.lend(piece));
        let first = talk.event().unwrap();
        assert!(first == "Discarded" || talk.event().unwrap() == "Discarded");
        talk.follow(&["S: 552 5.3.4 Message too big", "N: Close"]);
    }
}

#[test]
fn a_message_is_far_over_the_limit_behind_so_many_octets() {
    const MIB: usize = 1024 * 1024;
    for (limit, read) in [(10, MIB), (128 * 1024, 2 * MIB)] {
        for (octets, ends) in [(read, false), (read + 2, true)] {
            let mut talk = after_hello(config().with_size_limit(Some(limit)), &DATA);
            let mut body = vec![b'x'; octets - 2];
            body.extend_from_slice(b"\r\n");
            // The last octets come alone: what has come with them is what is counted.
            talk.lend(&body[..MIB]);
            talk.lend(&body[MIB..]);
            while talk.event().is_some() {}
            assert_eq!(talk.need == Some(Need::Close), ends, "{octets}");
            if !ends {
                talk.follow(&["C: .", "S: 552 5.3.4 Message too big", "N: More"]);
            }
        }
    }
}

#[test]
fn replies_that_wait_hold_commands_back_beyond_16_kib() {
    let reply = "250 2.0.0 OK\r\n".len();
    let in_time = 16 * 1024 / reply + 1;
    // As many as fit, one more on the way over the limit, and no other.
    let mut talk = greeted(config().with_max_idle_commands(1_000_000));
    let input = b"NOOP\r\n".repeat(in_time + 10);
    let mut used = 0;
    loop {
        match talk.connection.receive(&input[used..]) {
            Ok(Progress::Need { used: 0, need }) => break assert_eq!(need, Need::More),
            Ok(Progress::Need { used: more, .. } | Progress::Event { used: more, .. }) => {
                used += more;
            }
            Err(violation) => panic!("{violation}"),
        }
    }
    assert_eq!(used, in_time * 6);
    // Exactly so many octets hold nothing back yet.
    talk.connection.sent(in_time * reply - 16 * 1024);
    let again = talk.connection.receive(&input[used..]);
    assert!(
        matches!(again, Ok(Progress::Need { used: 6, .. })),
        "{again:?}"
    );
}

#[test]
fn a_large_message_streams_through() {
    let mut talk = after_hello(config(), &DATA);
    let chunk = [b"x".repeat(1022), b"\r\n".to_vec()].concat().repeat(64);
    let mut seen = 0;
    for _ in 0..128 {
        let mut start = 0;
        // The pieces are slices of the input: no octet of the message is kept.
        while start < chunk.len() {
            match talk.connection.receive(&chunk[start..]).unwrap() {
                Progress::Event {
                    used,
                    event: Event::Body(piece),
                } => {
                    assert!(chunk.as_ptr_range().contains(&piece.as_ptr()));
                    start += used;
                    seen += piece.len();
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(seen, 128 * 64 * 1024);
    assert_eq!(talk.need, MORE);
    talk.follow(&["C: ", "C: .", "E: Body \\r\\n", "E: EndOfData 8388610"]);
}

#[test]
fn the_greeting_is_said_once() {
    let mut talk = Talk::new(config());
    talk.pump();
    talk.follow(&["S: 220 mx.example.org ESMTP"]);
}
