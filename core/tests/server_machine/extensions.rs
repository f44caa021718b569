//! The extensions of MAIL and RCPT: offered where they were chosen, and taken only where they were offered.

use mailwire::proto::server::{Additions, Config, Extensions, Hooks};
use mailwire::proto::{DateTime, HoldFor, Notify, Ret};

use crate::talk::{Talk, after_hello, asking, config, greeted, talk};

const OK: &str = "S: 250 2.1.0 OK";
const RCPT_OK: &str = "S: 250 2.1.5 OK";
const RSET_OK: &str = "S: 250 2.0.0 OK";
const UNKNOWN: &str = "S: 555 5.5.4 Parameter not recognised";

fn with(extensions: Extensions) -> Config {
    config().with_extensions(Extensions::USUAL.with(extensions))
}

/// The keywords in the reply to EHLO.
fn announced(talk: &mut Talk) -> Vec<String> {
    talk.output.clear();
    talk.lend(b"EHLO a.example\r\n");
    let lines = std::iter::from_fn(|| talk.line());
    lines.skip(1).map(|line| line[4..].to_owned()).collect()
}

#[test]
fn s052_s064_s065_what_was_not_offered_is_not_known() {
    let parameters = [
        "RET=FULL",
        "ENVID=a",
        "AUTH=<>",
        "REQUIRETLS",
        "BY=5;R",
        "MT-PRIORITY=1",
        "HOLDFOR=1",
        "BODY=BINARYMIME",
        "X-FOO",
        "TRANSID=<a@b>",
    ];
    let mut talk = greeted(config());
    for parameter in parameters {
        talk.follow(&[&format!("C: MAIL FROM:<a@b> {parameter}"), UNKNOWN]);
    }
    talk.follow(&["C: MAIL FROM:<a@b>", OK]);
    for parameter in ["NOTIFY=NEVER", "ORCPT=rfc822;a@b", "X-FOO"] {
        talk.follow(&[&format!("C: RCPT TO:<a@b> {parameter}"), UNKNOWN]);
    }
    let mut talk = greeted(config().with_extensions(Extensions::NONE));
    assert_eq!(announced(&mut talk), ["ENHANCEDSTATUSCODES", "HELP"]);
    for parameter in ["SIZE=1", "BODY=8BITMIME", "SMTPUTF8"] {
        talk.follow(&[&format!("C: MAIL FROM:<a@b> {parameter}"), UNKNOWN]);
    }
}

#[test]
fn s042_s065_helo_begins_a_session_without_extensions() {
    let all = asking().with_hooks(Hooks::NONE).with_auth_in_clear(true);
    let mut talk = Talk::new(all);
    talk.follow(&[
        "S: 220 mx.example.org ESMTP",
        "C: HELO a",
        "S: 250 mx.example.org",
    ]);
    for parameter in ["SIZE=1", "BODY=7BIT", "SMTPUTF8", "AUTH=<>"] {
        talk.follow(&[&format!("C: MAIL FROM:<a@b> {parameter}"), UNKNOWN]);
    }
}

#[test]
fn s293_s294_s295_letters_outside_ascii_need_smtputf8_in_the_command() {
    let mut talk = greeted(config());
    assert!(announced(&mut talk).contains(&"SMTPUTF8".to_owned()));
    talk.follow(&[
        "C: MAIL FROM:<a@b> SMTPUTF8=1",
        "S: 501 5.5.4 the value of SMTPUTF8 is not valid",
        "C: MAIL FROM:<\u{fc}@b>",
        "S: 550 5.6.7 The sender's address needs SMTPUTF8",
        "C: MAIL FROM:<a@b\u{fc}.example> SMTPUTF8",
        OK,
        "C: RCPT TO:<\u{4e2d}@b\u{fc}.example>",
        RCPT_OK,
        "C: RCPT TO:<\"\u{4e2d} x\"@b>",
        RCPT_OK,
    ]);
    let envelope = talk.connection.take_envelope().unwrap();
    assert!(envelope.parameters().smtputf8);
    assert_eq!(envelope.reverse_path().to_string(), "a@b\u{fc}.example");
    assert_eq!(
        envelope.recipients()[0].path().as_str(),
        "\u{4e2d}@b\u{fc}.example"
    );
    talk.follow(&[
        "C: RSET",
        RSET_OK,
        "C: MAIL FROM:<a@b>",
        OK,
        "C: RCPT TO:<a@b\u{fc}.example>",
        "S: 553 5.6.7 The recipient's address needs SMTPUTF8",
    ]);
}

#[test]
fn s005_s296_octets_that_are_no_utf8_and_letters_that_hide_are_refused() {
    for (octets, sender) in [
        (&b"\xff"[..], "501 5.1.7 the reverse-path is not UTF-8"),
        (b"\xc0\xaf", "501 5.1.7 the reverse-path is not UTF-8"),
        (b"\xed\xa0\x80", "501 5.1.7 the reverse-path is not UTF-8"),
        (
            b"\xc2\x85",
            "501 5.1.7 an address must not contain '?u{85}', which is a control character or is not shown",
        ),
        (
            b"\xe2\x80\xae",
            "501 5.1.7 an address must not contain '?u{202e}', which is a control character or is not shown",
        ),
        (
            b"\xe2\x80\xa8",
            "501 5.1.7 an address must not contain '?u{2028}', which is a control character or is not shown",
        ),
    ] {
        let mut talk = greeted(config());
        talk.lend(&[b"MAIL FROM:<", octets, b"@b> SMTPUTF8\r\n"].concat());
        assert_eq!(talk.line().unwrap(), sender.replace("'?", "'\\"));
        talk.lend(b"MAIL FROM:<> SMTPUTF8\r\n");
        talk.lend(&[b"RCPT TO:<", octets, b"@b>\r\n"].concat());
        assert_eq!(talk.line().unwrap(), "250 2.1.0 OK");
        assert!(talk.line().unwrap().starts_with("501 5.1.3 "));
    }
    let without = config().with_extensions(Extensions::NONE);
    let mut talk = greeted(without);
    talk.lend(b"MAIL FROM:<\xff@b>\r\nRCPT TO:<\xff@b>\r\n");
    talk.follow(&[
        "S: 550 5.6.7 The sender's address needs SMTPUTF8",
        "S: 553 5.6.7 The recipient's address needs SMTPUTF8",
    ]);
}

#[test]
fn s297_the_word_smtputf8_behind_vrfy_and_expn_is_no_part_of_the_name() {
    let asking = config().with_hooks(Hooks::VERIFY.with(Hooks::EXPAND));
    after_hello(
        asking.clone(),
        &[
            "C: VRFY j\u{fc}rgen  smtputf8",
            "E: Verify j\u{fc}rgen",
            "A: accept",
            "S: 252 2.5.0 Cannot verify the address, but will take mail for it",
            "C: EXPN list SMTPUTF8",
            "E: Expand list",
            "A: 550 5.1.1 No",
            "S: 550 5.1.1 No",
        ],
    );
    after_hello(
        asking.with_extensions(Extensions::NONE),
        &[
            "C: VRFY joe SMTPUTF8",
            "E: Verify joe SMTPUTF8",
            "A: 550 5.1.1 No",
            "S: 550 5.1.1 No",
        ],
    );
}

#[test]
fn s300_s303_dsn_reaches_the_envelope() {
    let mut talk = greeted(with(Extensions::DSN));
    talk.follow(&[
        "C: MAIL FROM:<a@b> RET=HDRS ENVID=QQ+2B314159",
        OK,
        "C: RCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c+2Bx@d",
        RCPT_OK,
        "C: RCPT TO:<e@f> NOTIFY=NEVER",
        RCPT_OK,
        "C: RCPT TO:<e@f> NOTIFY=NEVER,SUCCESS",
        "S: 501 5.5.4 the value of NOTIFY is not valid",
        "C: RCPT TO:<e@f> ORCPT=rfc822;a+ZZ",
        "S: 501 5.5.4 the value of ORCPT is not valid",
        "C: RCPT TO:<e@f> ORCPT=utf-8;\u{fc}@d",
        "S: 553 5.6.7 The recipient's address needs SMTPUTF8",
    ]);
    let envelope = talk.connection.take_envelope().unwrap();
    assert_eq!(envelope.parameters().ret, Some(Ret::Headers));
    assert_eq!(
        envelope.parameters().envid.as_ref().unwrap().text(),
        "QQ+314159"
    );
    let [first, second] = envelope.recipients() else {
        panic!()
    };
    assert_eq!(
        first.parameters().notify,
        Some(Notify::SUCCESS.with(Notify::DELAY))
    );
    assert_eq!(
        first
            .parameters()
            .orcpt
            .as_ref()
            .unwrap()
            .address()
            .unwrap(),
        "c+x@d"
    );
    assert!(second.parameters().notify.unwrap().is_never());
}

#[test]
fn parameters_of_a_recipient_join_a_batch() {
    after_hello(
        with(Extensions::DSN).with_hooks(Hooks::RCPT),
        &[
            "C: MAIL FROM:<a@b>",
            OK,
            "C: RCPT TO:<c@d> NOTIFY=NEVER",
            "C: RCPT TO:<e@f> NOTIFY=DELAY",
            "C: RCPT TO:<g@h> X-FOO",
            "E: Rcpt <c@d> NOTIFY=NEVER",
            "E: Rcpt <e@f> NOTIFY=DELAY",
            "N: Answer",
            "A: accept",
            RCPT_OK,
            "A: accept",
            RCPT_OK,
            UNKNOWN,
        ],
    );
}

#[test]
fn s350_requiretls_is_offered_and_taken_under_tls_alone() {
    let wanted = with(Extensions::REQUIRETLS).with_starttls(true);
    let mut talk = greeted(wanted.clone());
    assert!(!announced(&mut talk).contains(&"REQUIRETLS".to_owned()));
    talk.follow(&[
        "C: MAIL FROM:<a@b> REQUIRETLS",
        "S: 530 5.7.0 Say STARTTLS first",
    ]);
    let mut talk = Talk::over_tls(wanted);
    assert!(announced(&mut talk).contains(&"REQUIRETLS".to_owned()));
    talk.follow(&["C: MAIL FROM:<a@b> REQUIRETLS", OK]);
    assert!(talk.connection.envelope().unwrap().parameters().requiretls);
    after_hello(
        with(Extensions::REQUIRETLS),
        &["C: MAIL FROM:<a@b> REQUIRETLS", UNKNOWN],
    );
}

#[test]
fn s352_the_limits_of_a_session_are_told_and_hold() {
    let limited = with(Extensions::LIMITS)
        .with_max_recipients(3)
        .with_max_recipient_domains(Some(2))
        .with_max_transactions(Some(2));
    let mut talk = greeted(limited.clone());
    let limits = announced(&mut talk)
        .into_iter()
        .find(|line| line.starts_with("LIMITS"));
    assert_eq!(
        limits.unwrap(),
        "LIMITS MAILMAX=2 RCPTMAX=3 RCPTDOMAINMAX=2"
    );
    talk.follow(&[
        "C: MAIL FROM:<a@b>",
        OK,
        "C: RCPT TO:<a@b\u{fc}>",
        "S: 553 5.6.7 The recipient's address needs SMTPUTF8",
        "C: RCPT TO:<one@b.example>",
        RCPT_OK,
        "C: RCPT TO:<two@B.Example>",
        RCPT_OK,
        "C: RCPT TO:<three@c.example>",
        RCPT_OK,
        "C: RCPT TO:<four@c.example>",
        "S: 452 4.5.3 Too many recipients",
        "C: RSET",
        RSET_OK,
        "C: MAIL FROM:<a@b>",
        OK,
        "C: RCPT TO:<one@C.example>",
        RCPT_OK,
        "C: RCPT TO:<postmaster>",
        RCPT_OK,
        "C: RCPT TO:<two@d.example>",
        "S: 452 4.5.3 Too many domains of recipients",
        "C: RSET",
        RSET_OK,
        "C: MAIL FROM:<a@b>",
        "S: 421 4.7.0 Too many messages in this session",
        "N: Close",
    ]);
    // Recipients that wait for an answer may all be accepted.
    after_hello(
        limited.with_hooks(Hooks::RCPT),
        &[
            "C: MAIL FROM:<a@b>",
            OK,
            "C: RCPT TO:<one@b.example>",
            "C: RCPT TO:<two@c.example>",
            "C: RCPT TO:<three@d.example>",
            "E: Rcpt <one@b.example>",
            "E: Rcpt <two@c.example>",
            "N: Answer",
            "A: accept",
            RCPT_OK,
            "A: 550 no",
            "S: 550 5.0.0 no",
            "E: Rcpt <three@d.example>",
            "A: accept",
            RCPT_OK,
        ],
    );
    // A domain counts once, however it is written.
    after_hello(
        with(Extensions::SMTPUTF8)
            .with_max_recipient_domains(Some(2))
            .with_hooks(Hooks::RCPT),
        &[
            "C: MAIL FROM:<a@b> SMTPUTF8",
            OK,
            "C: RCPT TO:<1@[IPv6:2001:db8::1]>",
            "C: RCPT TO:<2@[ipv6:2001:DB8:0::1]>",
            "C: RCPT TO:<3@b\u{fc}cher.example>",
            "C: RCPT TO:<4@XN--bcher-kva.example>",
            "C: RCPT TO:<postmaster>",
            "E: Rcpt <1@[IPv6:2001:db8::1]>",
            "E: Rcpt <2@[ipv6:2001:DB8:0::1]>",
            "E: Rcpt <3@b\u{fc}cher.example>",
            "E: Rcpt <4@XN--bcher-kva.example>",
            "E: Rcpt <postmaster>",
            "A: accept",
            RCPT_OK,
            "A: accept",
            RCPT_OK,
            "A: accept",
            RCPT_OK,
            "A: accept",
            RCPT_OK,
            "A: accept",
            RCPT_OK,
            "C: RCPT TO:<5@[IPv6:2001:DB8::1]>",
            "E: Rcpt <5@[IPv6:2001:DB8::1]>",
            "A: accept",
            RCPT_OK,
            "C: RCPT TO:<6@c.example>",
            "S: 452 4.5.3 Too many domains of recipients",
        ],
    );
    let mut talk = greeted(with(Extensions::LIMITS).with_max_recipients(1_000_000));
    assert!(announced(&mut talk).contains(&"LIMITS".to_owned()));
}

#[test]
fn a_configuration_tells_what_it_was_told() {
    assert!(!config().starttls() && config().with_starttls(true).starttls());
    let extensions = with(Extensions::DELIVERBY).extensions();
    assert!(extensions.has(Extensions::USUAL.with(Extensions::DELIVERBY)));
    assert!(!extensions.has(Extensions::DSN));
}

#[test]
fn s355_deliver_by_has_a_minimum_for_what_is_to_be_returned() {
    let mut talk = greeted(with(Extensions::DELIVERBY));
    assert!(announced(&mut talk).contains(&"DELIVERBY".to_owned()));
    talk.follow(&["C: MAIL FROM:<a@b> BY=1;R", OK]);
    let mut talk = greeted(with(Extensions::DELIVERBY).with_deliver_by_minimum(60));
    assert!(announced(&mut talk).contains(&"DELIVERBY 60".to_owned()));
    talk.follow(&[
        "C: MAIL FROM:<a@b> BY=0;R",
        "S: 501 5.5.4 the value of BY is not valid",
        "C: MAIL FROM:<a@b> BY=59;R",
        "S: 501 5.5.4 The time of BY is too short",
        "C: MAIL FROM:<a@b> BY=60;R",
        OK,
        "C: RSET",
        "S: 250 2.0.0 OK",
        "C: MAIL FROM:<a@b> BY=-5;NT",
        OK,
    ]);
    let by = talk.connection.envelope().unwrap().parameters().by.unwrap();
    assert_eq!((by.seconds(), by.trace()), (-5, true));
}

#[test]
fn s356_priorities_are_from_minus_9_to_9() {
    let mut talk = greeted(with(Extensions::MT_PRIORITY));
    assert!(announced(&mut talk).contains(&"MT-PRIORITY".to_owned()));
    talk.follow(&[
        "C: MAIL FROM:<a@b> MT-PRIORITY=10",
        "S: 501 5.5.4 the value of MT-PRIORITY is not valid",
        "C: MAIL FROM:<a@b> MT-PRIORITY=-9",
        OK,
    ]);
    let priority = talk.connection.envelope().unwrap().parameters().priority;
    assert_eq!(priority.unwrap().get(), -9);
}

#[test]
fn s353_mail_is_held_for_those_who_authenticate_and_not_too_long() {
    let holding = || {
        asking()
            .with_hooks(Hooks::NONE)
            .with_auth_in_clear(true)
            .with_extensions(Extensions::USUAL.with(Extensions::FUTURERELEASE))
            .with_longest_hold(HoldFor::new(3600).unwrap())
    };
    let now: DateTime = "2030-01-01T00:00:00Z".parse().unwrap();
    let mut talk = greeted(holding());
    let named = |line: &String| line.starts_with("FUTURERELEASE");
    assert!(
        !announced(&mut talk).iter().any(named),
        "the time is not known"
    );
    talk.follow(&["C: MAIL FROM:<a@b> HOLDFOR=1", UNKNOWN]);
    talk.connection.set_time(now.unix());
    let line = announced(&mut talk).into_iter().find(|line| named(line));
    assert_eq!(line.unwrap(), "FUTURERELEASE 3600 2030-01-01T01:00:00Z");
    talk.follow(&[
        "C: MAIL FROM:<a@b> HOLDFOR=1",
        "S: 530 5.7.0 Authentication required",
        "C: AUTH PLAIN AHRpbQBwdw==",
        "E: Auth \"\" tim pw",
        "A: accept",
        "S: 235 2.7.0 Authentication successful",
        "C: MAIL FROM:<a@b> HOLDFOR=x",
        "S: 501 5.5.4 the value of HOLDFOR is not valid",
        "C: MAIL FROM:<a@b> HOLDFOR=1 HOLDUNTIL=2030-01-01T00:30:00Z",
        "S: 501 5.5.4 the parameters HOLDFOR and HOLDUNTIL exclude each other",
        "C: MAIL FROM:<a@b> HOLDFOR=3601",
        "S: 501 5.5.4 The message cannot be held so long",
        "C: MAIL FROM:<a@b> HOLDUNTIL=2030-01-01T01:00:01Z",
        "S: 501 5.5.4 The message cannot be held so long",
        "C: MAIL FROM:<a@b> HOLDUNTIL=2030-01-01T01:00:00Z",
        OK,
        "C: RSET",
        RSET_OK,
        "C: MAIL FROM:<a@b> HOLDFOR=3600",
        OK,
    ]);
    // Nor where the clock is beyond all years.
    for now in [i64::MAX, i64::MIN] {
        talk = greeted(holding());
        talk.connection.set_time(now);
        assert!(!announced(&mut talk).iter().any(named));
    }
    // Where nobody can authenticate, it is not offered.
    let mut talk = greeted(with(Extensions::FUTURERELEASE));
    talk.connection.set_time(now.unix());
    assert!(!announced(&mut talk).iter().any(named));
}

#[test]
fn an_application_adds_keywords_parameters_and_verbs() {
    let mut additions = Additions::new();
    additions.add_keyword("X-FOO a b").unwrap();
    additions.add_mail_parameter("X-MAIL").unwrap();
    additions.add_rcpt_parameter("NRUDGE").unwrap();
    additions.add_verb("XFOO").unwrap();
    let added = config()
        .with_additions(additions)
        .with_hooks(Hooks::MAIL.with(Hooks::RCPT));
    let mut talk = greeted(added.clone());
    assert_eq!(announced(&mut talk).last().unwrap(), "X-FOO a b");
    talk.follow(&[
        "C: xfoo bar",
        "E: Unknown xfoo bar",
        "N: Answer",
        "A: 250 2.0.0 well",
        "S: 250 2.0.0 well",
        "C: XBAR",
        "S: 500 5.5.1 Unknown command",
        "C: MAIL FROM:<a@b> NRUDGE",
        UNKNOWN,
        "C: MAIL FROM:<a@b> x-mail=1",
        "E: Mail <a@b> x-mail=1",
        "A: 455 4.5.4 Not now",
        "S: 455 4.5.4 Not now",
        "C: MAIL FROM:<a@b> X-MAIL",
        "E: Mail <a@b> X-MAIL",
        "A: accept",
        OK,
        "C: RCPT TO:<c@d> X-MAIL",
        UNKNOWN,
        "C: RCPT TO:<c@d> NRUDGE=x",
        "E: Rcpt <c@d> NRUDGE=x",
        "A: accept",
        RCPT_OK,
    ]);
    let envelope = talk.connection.take_envelope().unwrap();
    assert_eq!(envelope.parameters().others()[0].keyword(), "X-MAIL");
    assert_eq!(
        envelope.recipients()[0].parameters().others()[0].value(),
        Some("x")
    );
    crate::talk::talk(
        added,
        &[
            "S: 220 mx.example.org ESMTP",
            "C: HELO a",
            "S: 250 mx.example.org",
            "C: MAIL FROM:<a@b> X-MAIL",
            UNKNOWN,
        ],
    );
}

#[test]
fn s072_many_parameters_are_refused() {
    let many: String = (0..100).flat_map(|n| [format!(" X{n}=1")]).collect();
    talk(
        config(),
        &[
            "S: 220 mx.example.org ESMTP",
            "C: HELO a",
            "S: 250 mx.example.org",
            &format!("C: MAIL FROM:<a@b>{many}"),
            "S: 501 5.5.4 there are more than 16 parameters",
        ],
    );
}
