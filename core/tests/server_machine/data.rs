//! The end of data: nothing but CRLF.CRLF, and no command of what stands in front of it.

use std::sync::Arc;

use mailwire::proto::server::{Answer, Config, Connection, Event};
use mailwire::proto::{Need, Progress, Protocol};

use crate::talk::{asking, config, reply, tls};

/// What must not end the data, and whether a bare CR or LF is in it.
const FAMILIES: [(&str, bool); 26] = [
    ("\n.\n", true),
    ("\n.\r\n", true),
    ("\n.\r", true),
    ("\r.\r", true),
    ("\r.\n", true),
    ("\r.\r\n", true),
    ("\r\n.\n", true),
    ("\r\n.\r", true),
    ("\r\n.\r\r\n", true),
    ("\r\r\n.\r\r\n", true),
    ("\r\n\0.\r\n", false),
    ("\r\n.\0\r\n", false),
    ("\r\n. \r\n", false),
    ("\r\n.\t\r\n", false),
    ("\r\n..\r\n", false),
    ("\n\r.\r\n", true),
    ("\r\n.\n\r", true),
    ("\r\n\x0b.\r\n", false),
    ("\r\n.\x0b\r\n", false),
    ("\r\n.\x0c\r\n", false),
    ("\r\n\x0c.\r\n", false),
    ("\r\n\u{85}.\r\n", false),
    ("\r\n.\u{85}\r\n", false),
    ("\r\n\u{2028}.\r\n", false),
    ("\r\n.\u{2028}\r\n", false),
    ("\u{2028}.\u{2028}", false),
];

const SECOND: &str =
    "MAIL FROM:<evil@a.example>\r\nRCPT TO:<victim@b.example>\r\nDATA\r\nsmuggled\r\n.\r\n";

/// What a session came to.
#[derive(Debug, PartialEq, Eq, Default)]
struct Came {
    messages: Vec<Vec<u8>>,
    discarded: usize,
    recipients: Vec<String>,
    output: String,
}

fn run(config: &Config, over_tls: bool, pieces: &[&[u8]]) -> Came {
    let mut connection = Connection::new(Arc::new(config.clone()), over_tls.then(tls));
    let (mut came, mut message, mut input) = (Came::default(), Vec::new(), Vec::new());
    for piece in [&b""[..]].iter().chain(pieces) {
        input.extend_from_slice(piece);
        let mut start = 0;
        loop {
            match connection.receive(&input[start..]).unwrap() {
                Progress::Event { used, event } => {
                    start += used;
                    match event {
                        Event::Body(piece) => message.extend_from_slice(piece),
                        Event::Discarded => {
                            message.clear();
                            came.discarded += 1;
                        }
                        Event::EndOfData { size } => {
                            assert_eq!(size, message.len() as u64);
                            came.messages.push(std::mem::take(&mut message));
                        }
                        Event::Rcpt { path, .. } => came.recipients.push(path.to_string()),
                        _ => {}
                    }
                    while connection.owed() > 0 {
                        connection.answer(Answer::Accept).unwrap();
                    }
                }
                Progress::Need { used, need } => {
                    start += used;
                    let output: Vec<u8> = connection
                        .transmit()
                        .flat_map(|slice| slice.to_vec())
                        .collect();
                    connection.sent(output.len());
                    came.output.push_str(std::str::from_utf8(&output).unwrap());
                    if output.is_empty() || need == Need::Close {
                        break;
                    }
                }
            }
        }
        input.drain(..start);
    }
    came
}

#[test]
fn s113_to_s121_nothing_but_crlf_dot_crlf_ends_the_data() {
    let lmtp =
        Config::new("mx.example.org".parse().unwrap(), Protocol::Lmtp).with_hooks(asking().hooks());
    let smtp = config().with_hooks(asking().hooks());
    for (family, bare) in FAMILIES {
        for first in ["", "text", "text\r\nmore"] {
            for (config, hello, over_tls) in [
                (&smtp, "EHLO", false),
                (&smtp, "EHLO", true),
                (&lmtp, "LHLO", false),
            ] {
                let before = format!(
                    "{hello} a.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"
                );
                let all = format!("{before}{first}{family}{SECOND}NOOP\r\nQUIT\r\n");
                let whole = run(config, over_tls, &[all.as_bytes()]);
                let place = format!("{} {}", first.escape_debug(), family.escape_debug());
                assert_eq!(whole.messages.len(), usize::from(!bare), "{place}");
                assert_eq!(whole.discarded, usize::from(bare), "{place}");
                assert_eq!(whole.recipients, ["b@b.example"], "{place}");
                // The end of the smuggled message is that of the true one: then one reply each to NOOP and QUIT.
                let replies: Vec<_> = whole
                    .output
                    .lines()
                    .skip_while(|line| !line.starts_with("354"))
                    .collect();
                let verdict = if bare {
                    "554 5.6.0 Message has a bare CR or LF"
                } else {
                    "250 2.0.0 OK"
                };
                assert_eq!(
                    replies[1..],
                    [verdict, "250 2.0.0 OK", "221 2.0.0 Bye"],
                    "{place}"
                );
                if !over_tls && config.protocol() == Protocol::Smtp {
                    let body = before.len();
                    for cut in body..body + first.len() + family.len() + 8 {
                        let (one, two) = all.as_bytes().split_at(cut);
                        assert_eq!(
                            run(config, over_tls, &[one, two]),
                            whole,
                            "{place} cut at {cut}"
                        );
                    }
                    let single: Vec<_> = all.as_bytes().chunks(1).collect();
                    assert_eq!(run(config, over_tls, &single), whole, "{place} by octets");
                }
            }
        }
    }
}

#[test]
fn with_a_size_limit_exceeded_too_nothing_else_ends_the_data() {
    let config = config().with_size_limit(Some(4));
    for (family, _) in FAMILIES {
        let all = format!(
            "EHLO a.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\ntext{family}{SECOND}NOOP\r\nQUIT\r\n"
        );
        let whole = run(&config, false, &[all.as_bytes()]);
        assert_eq!((whole.messages.len(), whole.discarded), (0, 1));
        assert!(
            whole
                .output
                .ends_with("\r\n552 5.3.4 Message too big\r\n250 2.0.0 OK\r\n221 2.0.0 Bye\r\n"),
            "{}",
            whole.output
        );
        let single: Vec<_> = all.as_bytes().chunks(1).collect();
        assert_eq!(run(&config, false, &single), whole);
    }
}

#[test]
fn s118b_s120_a_bare_line_end_right_before_the_true_end_refuses_the_message() {
    for body in [
        "a\r\r\n.\r\n",
        "a\n\r\n.\r\n",
        "a\r\n\r\r\n.\r\n",
        "\n\r\n.\r\n",
    ] {
        let all =
            format!("EHLO a\r\nMAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\n{body}NOOP\r\nQUIT\r\n");
        let came = run(&config(), false, &[all.as_bytes()]);
        assert_eq!(
            (came.messages.len(), came.discarded),
            (0, 1),
            "{}",
            body.escape_debug()
        );
        assert!(came.output.ends_with(
            "554 5.6.0 Message has a bare CR or LF\r\n250 2.0.0 OK\r\n221 2.0.0 Bye\r\n"
        ));
    }
}

#[test]
fn s112_s122_s126_s291_what_is_delivered_is_what_was_sent() {
    let octets: Vec<u8> = (0..=255).filter(|b| !b"\r\n".contains(b)).collect();
    for body in [
        b"".as_slice(),
        b"\r\n",
        b"..\r\n...\r\n",
        &[octets.as_slice(), b"\r\n"].concat(),
    ] {
        let all = [
            b"EHLO a\r\nMAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\n",
            body,
            b".\r\n",
        ]
        .concat();
        let expected = body
            .escape_ascii()
            .to_string()
            .replace("\\r\\n..", "\\r\\n.");
        let expected = expected
            .strip_prefix("..")
            .map_or(expected.clone(), |rest| format!(".{rest}"));
        assert_eq!(
            run(&config(), false, &[&all]).messages[0]
                .escape_ascii()
                .to_string(),
            expected
        );
    }
}

#[test]
fn rule_5_no_byte_says_250_before_the_application_did() {
    let mut connection = Connection::new(Arc::new(config()), None);
    let input = b"HELO a\r\nMAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n";
    let mut start = 0;
    loop {
        match connection.receive(&input[start..]).unwrap() {
            Progress::Need {
                need: Need::Answer,
                used,
            } => {
                start += used;
                break;
            }
            Progress::Event { used, .. } | Progress::Need { used, .. } => start += used,
        }
    }
    let sent = |connection: &mut Connection| {
        let output: Vec<u8> = connection
            .transmit()
            .flat_map(|slice| slice.to_vec())
            .collect();
        connection.sent(output.len());
        String::from_utf8(output).unwrap()
    };
    assert!(sent(&mut connection).ends_with("354 End data with <CR><LF>.<CR><LF>\r\n"));
    for _ in 0..3 {
        let again = connection.receive(&input[start..]).unwrap();
        assert!(matches!(
            again,
            Progress::Need {
                used: 0,
                need: Need::Answer
            }
        ));
    }
    assert!(!connection.has_output());
    connection.answer(reply("451 4.3.0 Later").into()).unwrap();
    assert_eq!(sent(&mut connection), "451 4.3.0 Later\r\n");
}
