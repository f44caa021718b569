//! Properties over any input: no panic, one reply for each command, and the same result however the bytes are cut.

use std::sync::Arc;

use mailwire::proto::server::{Answer, Config, Connection, Event, Extensions, Hooks};
use mailwire::proto::{Extension, Need, Progress, Reply};
use proptest::prelude::*;

use crate::talk::{asking, config, show, tls};

/// What came out of a session, with the pieces of a body joined and those of a discarded message left out.
#[derive(Debug, PartialEq, Eq, Default)]
struct Came {
    events: Vec<String>,
    output: Vec<u8>,
    end: String,
}

fn run(config: &Config, pieces: &[&[u8]], refuse: &[bool]) -> Came {
    let mut connection = Connection::new(Arc::new(config.clone()), None);
    // The peers of a server that starts queues are trusted.
    connection.set_trusted(config.hooks().has(Hooks::ETRN));
    connection.set_time(1_800_000_000);
    let (mut came, mut body, mut input) = (Came::default(), Vec::new(), Vec::new());
    let mut refusals = refuse.iter().cycle();
    for piece in [&b""[..]].iter().chain(pieces) {
        input.extend_from_slice(piece);
        let mut start = 0;
        loop {
            match connection.receive(&input[start..]) {
                Ok(Progress::Event { used, event }) => {
                    start += used;
                    match &event {
                        Event::Body(piece) => {
                            let place = start - piece.len();
                            assert!(std::ptr::eq(*piece, &raw const input[place..start]));
                            body.extend_from_slice(piece);
                        }
                        Event::Discarded | Event::Abandoned => {
                            body.clear();
                            came.events.push(show(&event));
                        }
                        Event::EndOfData { .. } => {
                            came.events
                                .push(format!("{} {}", show(&event), body.escape_ascii()));
                            body.clear();
                        }
                        other => came.events.push(show(other)),
                    }
                    // Prompt answers, so that no batch forms by chance of the cut.
                    while connection.owed() > 0 {
                        let answer = match refusals.next() {
                            Some(true) => Answer::Reply(Reply::new(550, "no").unwrap()),
                            _ => Answer::Accept,
                        };
                        connection.answer(answer).unwrap();
                    }
                }
                Ok(Progress::Need { used, need }) => {
                    start += used;
                    assert!(start <= input.len());
                    let output: Vec<u8> = connection
                        .transmit()
                        .flat_map(|slice| slice.to_vec())
                        .collect();
                    connection.sent(output.len());
                    came.output.extend_from_slice(&output);
                    match need {
                        Need::More if output.is_empty() => break,
                        Need::More => {}
                        Need::Tls if start == input.len() => {
                            // What comes later comes through TLS.
                            connection.secured(b"", tls()).unwrap();
                        }
                        Need::Answer | Need::Tls | Need::Close => {
                            came.end = format!("{need:?}");
                            return came;
                        }
                    }
                }
                Err(violation) => {
                    came.output
                        .extend(connection.transmit().flat_map(|slice| slice.to_vec()));
                    came.end = violation.to_string();
                    return came;
                }
            }
        }
        input.drain(..start);
        assert!(input.len() <= 12_400, "the driver keeps a line at most");
    }
    came
}

/// Lines of a session in all states, good and bad.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = proptest::sample::select(vec![
        "EHLO a.example",
        "HELO b",
        "LHLO c",
        "EHLO",
        "MAIL FROM:<a@b>",
        "MAIL FROM:<> SIZE=5 BODY=8BITMIME",
        "MAIL FROM:<a@b> SIZE=999",
        "MAIL FROM:<a@b> X=1",
        "RCPT TO:<c@d>",
        "RCPT TO:<postmaster>",
        "RCPT TO:<",
        "RCPT TO:<\u{e9}@d>",
        "MAIL FROM:<\u{e9}@b> SMTPUTF8",
        "MAIL FROM:<a@b> BODY=BINARYMIME",
        "MAIL FROM:<a@b> RET=FULL BY=5;R HOLDFOR=5 MT-PRIORITY=1",
        "RCPT TO:<c@d> NOTIFY=NEVER ORCPT=rfc822;x",
        "DATA",
        "BDAT 0",
        "BDAT 6",
        "BDAT 6 LAST",
        "BDAT 16",
        "BDAT 16 LAST",
        "BDAT 0 LAST",
        "BDAT x",
        "BDAT 99999999",
        "ETRN a",
        "XCLIENT ADDR=192.0.2.1 LOGIN=tim",
        "text",
        "..dots",
        ".",
        "a\nb",
        "a\rb",
        "RSET",
        "NOOP",
        "QUIT",
        "VRFY x",
        "EXPN x",
        "HELP",
        "TURN",
        "FOO bar",
        "AUTH PLAIN AHRpbQBwdw==",
        "AUTH PLAIN",
        "AUTH LOGIN",
        "dGlt",
        "*",
        "AUTH FOO",
        "",
        "\0",
        "GET / HTTP/1.1",
    ]);
    let line = prop_oneof![
        12 => known.prop_map(|line| line.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => (4000..5000usize).prop_map(|len| vec![b'x'; len]),
    ];
    (
        line,
        proptest::sample::select(vec![
            "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "",
        ]),
    )
        .prop_map(|(line, end)| [&line, end.as_bytes()].concat())
}

/// A transaction is rare among random lines, so it often stands in front.
fn session() -> impl Strategy<Value = Vec<u8>> {
    let start = proptest::sample::select(vec![
        "",
        "EHLO a.example\r\n",
        "EHLO a.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
        "EHLO a.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
        "EHLO a.example\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 12\r\nab\r\n.\r\nde\r\n\r",
    ]);
    (start, proptest::collection::vec(line(), 0..16))
        .prop_map(|(start, lines)| [start.as_bytes(), &lines.concat()].concat())
}

fn every_extension() -> Extensions {
    Extension::ALL
        .into_iter()
        .filter_map(|extension| Extensions::from_keyword(extension.keyword()))
        .fold(Extensions::NONE, Extensions::with)
}

fn configs() -> impl Strategy<Value = Config> {
    proptest::sample::select(vec![
        config().with_size_limit(Some(20)),
        asking().with_auth_in_clear(true).with_max_bad_commands(3),
        asking().with_required_tls(true),
        config()
            .with_hooks(Hooks::DATA.with(Hooks::RESET).with(Hooks::ETRN))
            .with_extensions(every_extension()),
    ])
}

fn cut<'a>(input: &'a [u8], cuts: &[proptest::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    places.extend([0, input.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &input[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn s121_any_split_gives_the_same(
        config in configs(), input in session(), cuts: [proptest::sample::Index; 3], refuse in proptest::collection::vec(any::<bool>(), 1..8)
    ) {
        let whole = run(&config, &[&input], &refuse);
        prop_assert_eq!(&run(&config, &cut(&input, &cuts), &refuse), &whole);
        prop_assert_eq!(&run(&config, &input.chunks(1).collect::<Vec<_>>(), &refuse), &whole);
    }

    #[test]
    fn s012_s013_each_line_outside_a_message_gets_one_clean_reply(lines in proptest::collection::vec(
        "[ -~]{0,30}|(NOOP|HELP|VRFY|RSET|FOO|MAIL|RCPT|EHLO|TURN)[ -~\u{e9}\t\0\u{1b}]{0,20}", 1..20
    )) {
        let lines: Vec<_> = lines.iter()
            .filter(|line| !["GET ", "POST ", "PUT ", "PRI "].iter().any(|method| line.starts_with(method)))
            .filter(|line| !line.to_ascii_uppercase().starts_with("QUIT"))
            .collect();
        let config = config().with_max_bad_commands(u32::MAX);
        let input = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect::<String>();
        let came = run(&config, &[input.as_bytes()], &[false]);
        let output = String::from_utf8(came.output).unwrap();
        let ends = output.split_terminator("\r\n").filter(|line| line.as_bytes().get(3) == Some(&b' ')).count();
        prop_assert_eq!(ends, lines.len() + 1, "{}", output);
        prop_assert!(output.split_terminator("\r\n").all(|line| {
            line.len() <= 510 && line.bytes().take(3).all(|b| b.is_ascii_digit()) && line.bytes().all(|b| (b' '..=b'~').contains(&b))
        }), "{}", output);
    }

    #[test]
    fn rule_7_arbitrary_octets_never_panic(
        config in configs(), input in proptest::collection::vec(any::<u8>(), 0..200), cuts: [proptest::sample::Index; 2]
    ) {
        let whole = run(&config, &[&input], &[false]);
        prop_assert_eq!(run(&config, &cut(&input, &cuts), &[false]), whole);
    }
}
