//! MAIL, RCPT and RSET.

use mailwire::proto::server::Hooks;

use crate::talk::{Talk, after_hello, asking, config, talk};

#[test]
fn a_transaction_with_every_question_accepted() {
    let mut talk = after_hello(
        asking(),
        &[
            "C: MAIL FROM:<a@b.example> SIZE=6 BODY=8BITMIME",
            "E: Mail <a@b.example> SIZE=6 BODY=8BITMIME",
            "N: Answer",
            "A: accept",
            "S: 250 2.1.0 OK",
            "C: RCPT TO:<c@d.example>",
            "E: Rcpt <c@d.example>",
            "N: Answer",
            "A: accept",
            "S: 250 2.1.5 OK",
            "C: RCPT TO:<no@d.example>",
            "E: Rcpt <no@d.example>",
            "A: 550 5.1.1 No such user",
            "S: 550 5.1.1 No such user",
            "C: RCPT TO:<pOstmaster>",
            "E: Rcpt <pOstmaster>",
            "A: 251 2.1.5 Will forward",
            "S: 251 2.1.5 Will forward",
            "C: DATA",
            "E: Data",
            "N: Answer",
            "A: accept",
            "S: 354 End data with <CR><LF>.<CR><LF>",
            "N: More",
            "C: ..a",
            "C: .",
            "E: Body .a\\r\\n",
            "E: EndOfData 4",
            "N: Answer",
        ],
    );
    let envelope = talk.connection.envelope().unwrap();
    assert_eq!(envelope.reverse_path().to_string(), "a@b.example");
    assert_eq!(envelope.parameters().size, Some(6));
    let recipients: Vec<_> = envelope
        .recipients()
        .iter()
        .map(|r| r.path().as_str())
        .collect();
    assert_eq!(recipients, ["c@d.example", "pOstmaster"]);
    assert_eq!(
        talk.connection.take_envelope().unwrap().recipients().len(),
        2
    );
    talk.follow(&[
        "A: 250 2.6.0 Queued as 1",
        "S: 250 2.6.0 Queued as 1",
        "C: RCPT TO:<c@d>",
        "S: 503 5.5.1 Say MAIL first",
        "C: MAIL FROM:<>",
        "E: Mail <>",
        "A: accept",
        "S: 250 2.1.0 OK",
    ]);
    assert!(talk.connection.envelope().unwrap().recipients().is_empty());
}

#[test]
fn s053_mail_needs_a_hello() {
    talk(
        config(),
        &[
            "S: 220 mx.example.org ESMTP",
            "C: MAIL FROM:<a@b>",
            "S: 503 5.5.1 Say EHLO first",
        ],
    );
}

#[test]
fn s062_the_first_sender_stays() {
    let talk = after_hello(
        config(),
        &[
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: MAIL FROM:<c@d>",
            "S: 503 5.5.1 Sender already given",
            "C: RCPT TO:<e@f>",
            "S: 250 2.1.5 OK",
        ],
    );
    assert_eq!(
        talk.connection
            .envelope()
            .unwrap()
            .reverse_path()
            .to_string(),
        "a@b"
    );
}

#[test]
fn a_sender_that_is_refused_opens_nothing() {
    let talk = after_hello(
        asking(),
        &[
            "C: MAIL FROM:<a@b>",
            "E: Mail <a@b>",
            "A: 550 5.7.1 Not you",
            "S: 550 5.7.1 Not you",
            "C: RCPT TO:<c@d>",
            "S: 503 5.5.1 Say MAIL first",
            "C: DATA",
            "S: 503 5.5.1 Say MAIL first",
        ],
    );
    assert!(talk.connection.envelope().is_none());
}

#[test]
fn s080_s101_s111_s263_data_needs_a_recipient() {
    after_hello(
        config().with_hooks(Hooks::RCPT),
        &[
            "C: DATA",
            "S: 503 5.5.1 Say MAIL first",
            "C: RCPT TO:<c@d>",
            "S: 503 5.5.1 Say MAIL first",
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: DATA",
            "S: 503 5.5.1 No valid recipient",
            "C: RCPT TO:<c@d>",
            "E: Rcpt <c@d>",
            "A: 550 no",
            "S: 550 5.0.0 no",
            "C: DATA",
            "S: 503 5.5.1 No valid recipient",
        ],
    );
}

#[test]
fn what_follows_a_refused_data_is_commands() {
    after_hello(
        config().with_hooks(Hooks::DATA),
        &[
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: RCPT TO:<c@d>",
            "S: 250 2.1.5 OK",
            "C: DATA",
            "E: Data",
            "A: 452 4.3.1 Full",
            "S: 452 4.3.1 Full",
            "C: NOOP",
            "S: 250 2.0.0 OK",
            "C: DATA",
            "E: Data",
            // Yes, but not in the words that DATA is to be answered in.
            "A: 250 please",
            "S: 354 End data with <CR><LF>.<CR><LF>",
            "C: .",
            "E: EndOfData 0",
            "A: 554 5.6.0 Empty",
            "S: 554 5.6.0 Empty",
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: RCPT TO:<c@d>",
            "S: 250 2.1.5 OK",
            "C: DATA",
            "E: Data",
            "A: 354 go on",
            "S: 354 go on",
            "C: .",
            "E: EndOfData 0",
            "A: accept",
            "S: 250 2.0.0 OK",
        ],
    );
}

#[test]
fn s150_s153_s159_rset_forgets_and_others_do_not() {
    let mut talk = after_hello(
        config(),
        &[
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: NOOP x",
            "S: 250 2.0.0 OK",
            "C: VRFY x",
            "S: 252 2.5.0 Cannot verify the address, but will take mail for it",
            "C: HELP",
            "S: 214 2.0.0 See RFC 5321",
            "C: RCPT TO:<c@d>",
            "S: 250 2.1.5 OK",
            "C: RSET",
            "S: 250 2.0.0 OK",
            "C: RCPT TO:<c@d>",
            "S: 503 5.5.1 Say MAIL first",
        ],
    );
    assert!(talk.connection.envelope().is_none() && talk.connection.take_envelope().is_none());
}

#[test]
fn s150_rset_outside_of_a_transaction_gives_none_up() {
    let message = [
        "C: MAIL FROM:<a@b>",
        "C: RCPT TO:<c@d>",
        "C: DATA",
        "S: 250 2.1.0 OK",
        "S: 250 2.1.5 OK",
        "S: 354 End data with <CR><LF>.<CR><LF>",
        "C: x",
        "C: .",
        "E: Body x\\r\\n",
        "E: EndOfData 3",
        "A: accept",
        "S: 250 2.0.0 OK",
    ];
    let rset = ["C: RSET", "S: 250 2.0.0 OK"];
    let mut talk = after_hello(config().with_hooks(Hooks::RESET), &rset);
    talk.follow(&message);
    // As many clients do between two messages.
    talk.follow(&rset);
    talk.follow(&["C: MAIL FROM:<a@b>", "S: 250 2.1.0 OK"]);
    talk.follow(&["C: RSET", "E: Reset", "S: 250 2.0.0 OK"]);
    talk.follow(&rset);
}

#[test]
fn s064_s068_s069_s290_parameters() {
    after_hello(
        config(),
        &[
            "C: MAIL FROM:<a@b> FOO=1",
            "S: 555 5.5.4 Parameter not recognised",
            "C: MAIL FROM:<a@b> AUTH=<>",
            "S: 555 5.5.4 Parameter not recognised",
            "C: MAIL FROM:<a@b> BODY=FOO",
            "S: 501 5.5.4 the value of BODY is not valid",
            "C: MAIL FROM:<a@b> SIZE=",
            "S: 501 5.5.4 a parameter is KEYWORD or KEYWORD=value, of printable ASCII without spaces or further =",
            "C: MAIL FROM:<a@b> SIZE=1 SIZE=1",
            "S: 501 5.5.4 the parameter SIZE is given twice",
            "C: MAIL FROM:<a@b>x",
            "S: 501 5.5.4 a space stands between the path and its parameters",
            "C: MAIL FROM: <a@b>",
            "S: 250 2.1.0 OK",
            "C: RCPT TO:<c@d> FOO",
            "S: 555 5.5.4 Parameter not recognised",
            "C: RCPT TO:<c@d>",
            "S: 250 2.1.5 OK",
        ],
    );
}

#[test]
fn s015_no_reply_is_long_however_long_the_parameter() {
    let long = "X".repeat(2000);
    let mut talk = after_hello(config(), &[]);
    talk.lend(format!("MAIL FROM:<a@b> {long}=1 {long}=1\r\n").as_bytes());
    let line = talk.line().unwrap();
    assert!(
        line.starts_with("501 5.5.4 the parameter XXX") && line.len() <= 510,
        "{line}"
    );
}

#[test]
fn s234_s235_a_server_with_auth_knows_its_parameter() {
    let asking = asking().with_auth_in_clear(true).with_hooks(Hooks::MAIL);
    after_hello(
        asking,
        &[
            "C: MAIL FROM:<a@b> AUTH=a+ZZ",
            "S: 501 5.5.4 the value of AUTH is not valid",
            "C: MAIL FROM:<a@b> AUTH=a+",
            "S: 501 5.5.4 the value of AUTH is not valid",
            "C: MAIL FROM:<a@b> AUTH",
            "S: 501 5.5.4 the value of AUTH is not valid",
            "C: MAIL FROM:<a@b> AUTH=<> X=1",
            "S: 555 5.5.4 Parameter not recognised",
            // S235: who has not authenticated is not believed.
            "C: MAIL FROM:<a@b> AUTH=c+2Bd@e",
            "E: Mail <a@b> AUTH=<>",
            "A: accept",
            "S: 250 2.1.0 OK",
            "C: RSET",
            "S: 250 2.0.0 OK",
            "C: AUTH PLAIN AHRpbQBwdw==",
            "E: Auth \"\" tim pw",
            "A: accept",
            "S: 235 2.7.0 Authentication successful",
            "C: MAIL FROM:<a@b> AUTH=c+2Bd@e",
            "E: Mail <a@b> AUTH=c+2Bd@e",
            "A: accept",
            "S: 250 2.1.0 OK",
        ],
    );
}

#[test]
fn s005_s067_s099_s295_bad_addresses() {
    after_hello(
        config(),
        &[
            "C: MAIL a@b",
            "S: 501 5.5.4 the form is MAIL FROM:<address>",
            "C: MAIL FROM:<a>",
            "S: 501 5.1.7 an address has the form local-part@domain; the @ is missing",
            "C: MAIL FROM:<@evil.example:>",
            "S: 501 5.1.7 an address has the form local-part@domain; the @ is missing",
            "C: MAIL FROM:<\u{e9}@b>",
            "S: 550 5.6.7 The sender's address needs SMTPUTF8",
            "C: MAIL FROM:<a@b>",
            "S: 250 2.1.0 OK",
            "C: RCPT TO:<>",
            "S: 501 5.1.3 the address is empty",
            "C: RCPT TO:<a@\u{e9}>",
            "S: 553 5.6.7 The recipient's address needs SMTPUTF8",
            "C: RCPT TO:<@x:postmaster>",
            "S: 501 5.1.3 an address has the form local-part@domain; the @ is missing",
            "C: RCPT TO:<@x,@y:a@b>",
            "S: 250 2.1.5 OK",
        ],
    );
}

#[test]
fn s251_s253_a_message_that_is_declared_too_big_is_refused_at_once() {
    after_hello(
        config().with_size_limit(Some(1000)),
        &[
            "C: MAIL FROM:<a@b> SIZE=1001",
            "S: 552 5.3.4 Message too big",
            "C: MAIL FROM:<a@b> SIZE=18446744073709551616",
            "S: 552 5.3.4 Message too big",
            "C: MAIL FROM:<a@b> SIZE=-1",
            "S: 501 5.5.4 the value of SIZE is not valid",
            "C: MAIL FROM:<a@b> SIZE=1000",
            "S: 250 2.1.0 OK",
        ],
    );
}

#[test]
fn what_a_client_is_refused_that_was_turned_away_is_counted_too() {
    let mut talk = Talk::new(config().with_hooks(Hooks::CONNECT));
    talk.follow(&["E: Connect", "A: 554 5.7.1 Not you", "S: 554 Not you"]);
    talk.lend(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nrcpt\r\nDATA\r\nNOOP\r\n");
    let told = talk.connection.take_refusals().unwrap();
    assert_eq!((told.senders, told.recipients, told.messages), (1, 2, 0));
    assert_eq!(talk.connection.take_refusals(), None);
}
