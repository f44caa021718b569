//! The rarer verbs: ETRN, XCLIENT, and those that are known and never carried out.

use mailwire::proto::server::{Config, Hooks};
use mailwire::proto::{TlsInfo, TlsVersion};
use mailwire::sasl::Mechanism;

use crate::talk::{Talk, after_hello, asking, config, greeted, talk};

const NOT_IMPLEMENTED: &str = "S: 502 5.5.1 Command not implemented";

#[test]
fn s018_s162_s163_s359_obsolete_verbs_are_known_and_not_carried_out() {
    let mut talk = greeted(config().with_hooks(Hooks::UNKNOWN));
    for verb in [
        "TURN",
        "ATRN example.org",
        "SEND FROM:<a@b>",
        "soml from:<a@b>",
        "SAML FROM:<a@b>",
    ] {
        talk.follow(&[&format!("C: {verb}"), NOT_IMPLEMENTED]);
    }
}

#[test]
fn s052_s357_s358_etrn_is_a_question_where_it_is_offered() {
    let offered = config().with_hooks(Hooks::ETRN);
    let mut talk = Talk::new(offered.clone());
    talk.follow(&[
        "S: 220 mx.example.org ESMTP",
        "C: ETRN a.example",
        "S: 503 5.5.1 Say EHLO first",
    ]);
    talk.lend(b"EHLO a\r\n");
    assert!(String::from_utf8_lossy(&talk.output).contains("250-ETRN\r\n"));
    talk.output.clear();
    talk.follow(&[
        "C: etrn a.example",
        "E: Etrn a.example",
        "N: Answer",
        "A: accept",
        "S: 250 2.0.0 OK, queue started",
        "C: ETRN @a.example",
        "E: Etrn @a.example",
        "A: 458 4.3.0 Cannot queue messages",
        "S: 458 4.3.0 Cannot queue messages",
        "C: ETRN #' OR 1=1",
        "S: 501 5.5.4 the form is ETRN [@ or #]node",
        "C: ETRN",
        "S: 501 5.5.4 the form is ETRN [@ or #]node",
        "C: MAIL FROM:<a@b>",
        "S: 250 2.1.0 OK",
        "C: ETRN a.example",
        "S: 503 5.5.1 Not within a mail transaction",
    ]);
    after_hello(
        config(),
        &[
            "C: ETRN a.example",
            NOT_IMPLEMENTED,
            "C: ETRN #'",
            NOT_IMPLEMENTED,
        ],
    );
    after_hello(
        offered.with_required_auth(true),
        &["C: ETRN a.example", "S: 530 5.7.0 Authentication required"],
    );
}

/// A session with a peer that is trusted.
fn trusted(config: Config) -> Talk {
    let mut talk = Talk::new(config);
    talk.connection.set_trusted(true);
    talk
}

#[test]
fn s376_xclient_is_for_trusted_peers() {
    let mut talk = greeted(config());
    talk.lend(b"EHLO a\r\n");
    assert!(!String::from_utf8_lossy(&talk.output).contains("XCLIENT"));
    talk.output.clear();
    talk.follow(&[
        "C: XCLIENT ADDR=192.0.2.1",
        "S: 550 5.7.0 Not trusted to speak for others",
        "C: XCLIENT nonsense",
        "S: 550 5.7.0 Not trusted to speak for others",
    ]);
    let mut talk = trusted(config());
    talk.lend(b"EHLO a\r\n");
    let text = String::from_utf8(talk.output.clone()).unwrap();
    assert!(
        text.contains("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"),
        "{text}"
    );
}

#[test]
fn s377_s378_xclient_begins_the_session_anew() {
    let mut talk = trusted(config().with_hooks(Hooks::CONNECT).with_required_auth(true));
    talk.follow(&[
        "E: Connect",
        "A: accept",
        "S: 220 mx.example.org ESMTP",
        "C: HELO proxy",
        "S: 250 mx.example.org",
    ]);
    talk.follow(&[
        "C: XCLIENT NAME=a+0D+0A",
        "S: 501 5.5.4 the form is XCLIENT NAME=value, with values in xtext",
        "C: XCLIENT",
        "S: 501 5.5.4 the form is XCLIENT NAME=value, with values in xtext",
        "C: XCLIENT ADDR=IPv6:2001:db8::1 NAME=[TEMPUNAVAIL] LOGIN=tim",
        "E: Client NAME=[TEMPUNAVAIL] ADDR=IPV6:2001:db8::1 LOGIN=tim",
        "E: Connect",
        "A: accept",
        "S: 220 mx.example.org ESMTP",
        "C: MAIL FROM:<a@b>",
        "S: 503 5.5.1 Say EHLO first",
        "C: HELO client",
        "S: 250 mx.example.org",
        "C: MAIL FROM:<a@b>",
        "S: 250 2.1.0 OK",
        "C: XCLIENT LOGIN=[UNAVAILABLE]",
        "S: 503 5.5.1 Not within a mail transaction",
        "C: RSET",
        "S: 250 2.0.0 OK",
        "C: XCLIENT LOGIN=[UNAVAILABLE]",
        "E: Client LOGIN=[UNAVAILABLE]",
        "E: Connect",
        "A: 554 5.7.1 Not you",
        "S: 554 Not you",
        "C: XCLIENT ADDR=192.0.2.1",
        "S: 503 5.5.1 Only QUIT is possible here",
    ]);
    assert_eq!(talk.connection.user(), None);
}

#[test]
fn s377_the_login_of_a_proxy_is_not_its_clients() {
    let config = config()
        .with_mechanisms([Mechanism::Plain])
        .with_auth_in_clear(true);
    let mut talk = trusted(config);
    talk.lend(b"EHLO proxy\r\n");
    talk.output.clear();
    talk.follow(&[
        "C: AUTH PLAIN AHRpbQBwdw==",
        "E: Auth \"\" tim pw",
        "A: accept",
        "S: 235 2.7.0 Authentication successful",
    ]);
    assert_eq!(talk.connection.user(), Some("tim"));
    talk.follow(&[
        "C: XCLIENT ADDR=192.0.2.1",
        "E: Client ADDR=192.0.2.1",
        "S: 220 mx.example.org ESMTP",
    ]);
    assert_eq!(talk.connection.user(), None);
    // What XCLIENT itself has said stays until it says something else.
    talk.follow(&[
        "C: XCLIENT LOGIN=tim",
        "E: Client LOGIN=tim",
        "S: 220 mx.example.org ESMTP",
        "C: XCLIENT ADDR=192.0.2.1",
        "E: Client ADDR=192.0.2.1",
        "S: 220 mx.example.org ESMTP",
    ]);
    assert_eq!(talk.connection.user(), Some("tim"));
}

#[test]
fn s377_behind_xclient_the_certificate_and_the_channel_of_the_proxy_are_not_offered() {
    let shown = TlsInfo::new(TlsVersion::Tls13, "TLS_AES_256_GCM_SHA384")
        .with_exporter(Some([6; 32]))
        .with_peer_certificate(Some(b"abc".to_vec()));
    let everything = || config().with_mechanisms(Mechanism::ALL);
    let starttls = everything().with_starttls(true);
    let mut over = Talk::over(everything(), shown.clone());
    let mut anew = Talk::new(starttls);
    for talk in [&mut over, &mut anew] {
        talk.connection.set_trusted(true);
        talk.lend(b"XCLIENT ADDR=192.0.2.1\r\n");
    }
    anew.lend(b"STARTTLS\r\n");
    anew.connection.secured(b"", shown).unwrap();
    for mut talk in [over, anew] {
        talk.events.clear();
        talk.lend(b"EHLO a.example\r\n");
        let text = String::from_utf8(std::mem::take(&mut talk.output)).unwrap();
        assert!(text.contains("250-AUTH SCRAM-SHA-256 SCRAM"), "{text}");
        assert!(
            !text.contains("PLUS") && !text.contains("EXTERNAL"),
            "{text}"
        );
        let unknown = "S: 504 5.5.4 Authentication mechanism not supported";
        talk.follow(&["C: AUTH EXTERNAL =", unknown]);
        talk.follow(&["C: AUTH SCRAM-SHA-256-PLUS", unknown]);
        let tls = talk.connection.tls().unwrap();
        assert_eq!((tls.peer_certificate(), tls.exporter()), (None, None));
    }
}

#[test]
fn a_client_that_is_new_has_made_no_mistakes() {
    let mut talk = trusted(config().with_max_bad_commands(1));
    talk.follow(&["S: 220 mx.example.org ESMTP"]);
    for _ in 0..3 {
        talk.follow(&[
            "C: FOO",
            "S: 500 5.5.1 Unknown command",
            "C: XCLIENT PORT=1",
            "E: Client PORT=1",
            "S: 220 mx.example.org ESMTP",
        ]);
    }
}

#[test]
fn trust_outlives_starttls() {
    let mut talk = trusted(asking().with_hooks(Hooks::NONE));
    talk.output.clear();
    talk.follow(&[
        "C: STARTTLS",
        "E: StartTls",
        "S: 220 2.0.0 Ready to start TLS",
        "T:",
        "C: XCLIENT ADDR=192.0.2.1",
        "E: Client ADDR=192.0.2.1",
        "S: 220 mx.example.org ESMTP",
    ]);
}

#[test]
fn s164_verbs_of_history_are_not_known() {
    talk(
        config(),
        &[
            "S: 220 mx.example.org ESMTP",
            "C: WIZ",
            "S: 500 5.5.1 Unknown command",
            "C: DEBUG",
            "S: 500 5.5.1 Unknown command",
        ],
    );
}
