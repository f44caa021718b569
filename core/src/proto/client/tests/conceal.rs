//! A server that says back what it was told in secret.

use super::*;
use crate::sasl::{
    ClientContext, ClientExchange, Credentials, Mechanism, Nonce, SaslError, Secret, base64,
};

const PASSWORD: &str = "correct horse";

fn text(octets: &[u8]) -> String {
    let coded = base64::encode(octets);
    String::from_utf8(coded.expose().to_vec()).unwrap()
}

/// A client that knows what to hide, and has heard EHLO answered.
fn talk() -> Talk {
    let mut talk = Talk::ready(Protocol::Smtp, &["AUTH x", "CHUNKING"]);
    talk.connection.conceal(&Secret::new(PASSWORD));
    talk
}

#[test]
fn no_reply_has_the_password_in_clear_or_in_base64() {
    let mut talk = talk();
    let coded = text(format!("\0tim\0{PASSWORD}").as_bytes());
    talk.connection.noop().unwrap();
    talk.flush();
    talk.feed(
        format!("250-2.0.0 ok {PASSWORD}\r\n250 2.0.0 {coded} and {PASSWORD}\r\n").as_bytes(),
    )
    .unwrap();
    let [Event::Reply { reply, .. }] = talk.events.make_contiguous() else {
        panic!("{:?}", talk.events);
    };
    let lines: Vec<&str> = reply.lines().collect();
    assert_eq!(lines[0], "ok ***");
    assert!(lines[1].ends_with("*** and ***"), "{reply:?}");
    assert!(!format!("{reply:?}").contains(&coded[8..]), "{reply:?}");
}

#[test]
fn capabilities_are_read_as_they_were_said() {
    let mut talk = Talk::new(Protocol::Smtp);
    talk.script("S: 220 mx.example.org\nE: greeting 220");
    talk.connection.conceal(&Secret::new("PIPELINING"));
    talk.hello(Hello::Ehlo);
    talk.flush();
    talk.feed(b"250-mx.example\r\n250 PIPELINING\r\n").unwrap();
    assert!(talk.connection.pipelining());
    let hello = talk.events.back().unwrap();
    assert!(matches!(hello, Event::Hello(reply) if reply.text() == "mx.example\n***"));
}

#[test]
fn what_is_no_reply_is_shown_without_it_too() {
    for (line, shown) in [
        (PASSWORD, "***"),
        ("250 correct horse", "250 ***"),
        ("354 correct horse", "354 ***"),
    ] {
        let mut talk = talk();
        talk.connection.noop().unwrap();
        if line.starts_with("250") {
            // Nothing was sent that it could answer.
            talk.feed(format!("{line}\r\n").as_bytes()).unwrap_err();
            continue;
        }
        talk.flush();
        let violation = talk.feed(format!("{line}\r\n").as_bytes()).unwrap_err();
        let said = format!("{violation} {violation:?}");
        assert!(said.contains(shown) && !said.contains(PASSWORD), "{said}");
    }
}

/// Logs in up to its end, with whatever challenges the server has. Gives the lines that the client has said.
fn log_in(talk: &mut Talk, mechanism: Mechanism, challenges: &[&str]) -> Vec<String> {
    let credentials = match mechanism {
        Mechanism::OauthBearer | Mechanism::Xoauth2 => Credentials::with_token("tim", "ya29.token"),
        _ => Credentials::new("tim", PASSWORD),
    };
    let context = ClientContext::default().with_nonce(Nonce::new([1; 18]));
    let exchange = ClientExchange::new(mechanism, &credentials.unwrap(), &context).unwrap();
    talk.connection.auth(exchange).unwrap();
    let mut said = Vec::new();
    let mut challenges = challenges.iter();
    loop {
        let line = talk.connection.outgoing().next().unwrap();
        let Outgoing::Secret { line, shown } = line else {
            panic!("{line:?}");
        };
        let shown = str::from_utf8(&line[..shown]).unwrap().trim_end();
        let first = said.is_empty();
        assert_eq!(
            shown,
            if first {
                format!("AUTH {}", mechanism.name())
            } else {
                String::new()
            }
        );
        let line = str::from_utf8(line).unwrap().trim_end();
        said.push(line.rsplit(' ').next().unwrap().to_owned());
        talk.flush();
        let Some(challenge) = challenges.next() else {
            return said;
        };
        talk.feed(format!("334 {}\r\n", text(challenge.as_bytes())).as_bytes())
            .unwrap();
    }
}

#[test]
fn nothing_that_was_said_in_an_exchange_is_shown_when_it_comes_back() {
    let salted = format!("r={}xyz,s=c2FsdHNhbHQ=,i=4096", text(&[1; 18]));
    for (mechanism, challenges) in [
        (Mechanism::Plain, &[][..]),
        (Mechanism::Login, &["Username:", "Password:"]),
        (Mechanism::CramMd5, &["<1.2@mx.example>"]),
        (Mechanism::ScramSha256, &[salted.as_str()]),
        (Mechanism::OauthBearer, &[]),
        (Mechanism::Xoauth2, &[]),
    ] {
        let mut talk = talk();
        talk.connection.conceal(&Secret::new("ya29.token"));
        let said = log_in(&mut talk, mechanism, challenges);
        let last = said.last().unwrap();
        talk.feed(format!("535 5.7.8 you said {last}\r\n").as_bytes())
            .unwrap();
        let Some(Event::Auth(reply)) = talk.events.back() else {
            panic!("{:?}", talk.events);
        };
        assert!(
            reply.text().starts_with("you said ***"),
            "{mechanism:?} {reply}"
        );
        assert!(!reply.text().contains(last), "{mechanism:?} {reply}");
        // And later on.
        talk.connection.noop().unwrap();
        talk.flush();
        talk.feed(format!("250 {last}\r\n").as_bytes()).unwrap();
        assert!(
            !format!("{:?}", talk.events).contains(last),
            "{mechanism:?}"
        );
    }
}

#[test]
fn what_a_server_tells_of_a_failure_inside_of_the_exchange_has_no_token() {
    let mut talk = talk();
    talk.connection.conceal(&Secret::new("ya29.token"));
    let json = r#"{"status":"400","token":"ya29.token"}"#;
    log_in(&mut talk, Mechanism::Xoauth2, &[json]);
    talk.feed(b"535 5.7.8 no\r\n").unwrap();
    let shown = r#"{"status":"400","token":"***"}"#;
    assert_eq!(
        talk.connection.auth_failure(),
        Some(&SaslError::Server(shown.to_owned()))
    );
}

#[test]
fn a_challenge_is_answered_as_it_was_given() {
    let mut talk = talk();
    // The challenge has the secret in it, by chance or not.
    let said = log_in(&mut talk, Mechanism::CramMd5, &[PASSWORD]);
    let mut other = Talk::ready(Protocol::Smtp, &["AUTH x"]);
    assert_eq!(said, log_in(&mut other, Mechanism::CramMd5, &[PASSWORD]));
}

#[test]
fn a_line_is_shown_without_control_characters_and_secrets() {
    let talk = talk();
    let shown = talk.connection.readable(b"250 \x1b[2J correct horse \xff");
    assert_eq!(shown, "250 \\x1b[2J *** \\xff");
    assert!(!format!("{:?}", talk.connection).contains(PASSWORD));
}
