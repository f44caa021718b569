//! Extensions, additions and trusted proxies, as options set them.

use super::Running;
use super::talk::Talk;
use crate::server::Options;

fn set(options: &mut Options, settings: &[(&str, &str)]) {
    for (name, value) in settings {
        options.set(name, value).unwrap();
    }
}

#[test]
fn what_the_options_choose_is_announced() {
    let server = Running::with(|options| {
        set(
            options,
            &[
                (
                    "extensions",
                    "SIZE,DSN,LIMITS,DELIVERBY,MT-PRIORITY,FUTURERELEASE,BINARYMIME,REQUIRETLS",
                ),
                ("max_message_size", "1000"),
                ("max_recipients", "5"),
                ("max_transactions", "1"),
                ("max_recipient_domains", "2"),
                ("deliver_by_minimum", "30"),
                ("longest_hold", "3600"),
                ("keyword", "X-FOO bar"),
                ("user", "tim:secret"),
                ("allow_plaintext_auth", "true"),
            ],
        );
    });
    let mut talk = server.client();
    let reply = talk.ask("EHLO client.example");
    let lines: Vec<&str> = reply.lines().map(|line| &line[4..]).collect();
    for expected in [
        "SIZE 1000",
        "DSN",
        "CHUNKING",
        "BINARYMIME",
        "LIMITS MAILMAX=1 RCPTMAX=5 RCPTDOMAINMAX=2",
        "DELIVERBY 30",
        "MT-PRIORITY",
        "X-FOO bar",
    ] {
        assert!(lines.contains(&expected), "{expected}: {lines:?}");
    }
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("FUTURERELEASE 3600 20")),
        "{lines:?}"
    );
    for absent in [
        "PIPELINING",
        "8BITMIME",
        "SMTPUTF8",
        "REQUIRETLS",
        "ETRN",
        "XCLIENT",
    ] {
        assert!(
            !lines.iter().any(|line| line.starts_with(absent)),
            "{absent}: {lines:?}"
        );
    }
    assert_eq!(talk.message("a@b", &["c@d"], b"x\r\n"), "250 2.0.0 queued");
    assert!(talk.ask("MAIL FROM:<a@b>").starts_with("421 4.7.0 "));
}

#[test]
fn s295_letters_outside_ascii_reach_the_application() {
    let server = Running::with(|_| {});
    let mut talk = server.greeted();
    assert_eq!(
        talk.ask("MAIL FROM:<j\u{fc}rgen@b\u{fc}.example> SMTPUTF8"),
        "250 2.1.0 OK"
    );
    assert_eq!(
        talk.ask("RCPT TO:<\u{4e2d}\u{6587}@d.example>"),
        "250 2.1.5 OK"
    );
    assert!(
        server
            .seen
            .wait_for("mail")
            .contains("j\u{fc}rgen@b\u{fc}.example")
    );
    assert_eq!(
        server.seen.wait_for("rcpt"),
        "rcpt \u{4e2d}\u{6587}@d.example"
    );
}

#[test]
fn a_domain_is_served_under_both_of_its_names() {
    let server = Running::with(|options| options.set("domains", "b\u{fc}cher.example").unwrap());
    let mut talk = server.greeted();
    talk.send("MAIL FROM:<a@b> SMTPUTF8\r\n");
    talk.reply();
    for recipient in ["a@b\u{fc}cher.example", "a@XN--BCHER-KVA.example"] {
        assert_eq!(talk.ask(&format!("RCPT TO:<{recipient}>")), "250 2.1.5 OK");
    }
    assert!(
        talk.ask("RCPT TO:<a@bucher.example>")
            .starts_with("550 5.7.1 ")
    );
}

#[test]
fn s376_s377_a_trusted_proxy_speaks_for_its_client() {
    let server = Running::with(|options| set(options, &[("xclient", "127.0.0.0/8, ::1")]));
    let mut talk = server.client();
    assert!(talk.ask("EHLO proxy.example").contains("XCLIENT NAME ADDR"));
    server.seen.0.lock().unwrap().clear();
    assert_eq!(
        talk.ask("XCLIENT ADDR=127.0.0.1:1"),
        "501 5.5.4 the form is XCLIENT NAME=value, with values in xtext"
    );
    assert_eq!(
        talk.ask("XCLIENT ADDR=127.0.0.1 PORT=7 LOGIN=tim"),
        "220 mx.example.org ESMTP"
    );
    assert_eq!(server.seen.wait_for("connect"), "connect");
    assert_eq!(talk.ask("HELO client.example"), "250 mx.example.org");
    assert_eq!(talk.ask("MAIL FROM:<a@b>"), "250 2.1.0 OK");
    assert_eq!(
        server.seen.wait_for("mail"),
        "mail a@b hello=client.example user=tim"
    );
    // What the proxy itself was let in by is not its client's.
    let server = Running::with(|options| {
        let login = [("user", "tim:pw"), ("allow_plaintext_auth", "true")];
        set(options, &login);
        set(options, &[("xclient", "127.0.0.0/8, ::1")]);
    });
    let mut talk = server.greeted();
    assert!(talk.ask("AUTH PLAIN AHRpbQBwdw==").starts_with("235 "));
    assert_eq!(
        talk.ask("XCLIENT ADDR=127.0.0.1"),
        "220 mx.example.org ESMTP"
    );
    assert_eq!(talk.ask("HELO client.example"), "250 mx.example.org");
    assert_eq!(talk.ask("MAIL FROM:<a@b>"), "250 2.1.0 OK");
    assert_eq!(
        server.seen.wait_for("mail"),
        "mail a@b hello=client.example user=-"
    );
    let server = Running::with(|options| set(options, &[("xclient", "192.0.2.1")]));
    let mut talk: Talk = server.greeted();
    assert!(talk.ask("XCLIENT ADDR=127.0.0.1").starts_with("550 5.7.0 "));
}
