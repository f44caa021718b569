//! Parameters and addresses against what the server offers: sent, left out as the RFC has it, or an error that names what is missing.

use super::*;
use crate::proto::{MailParameters, Mailbox, RcptParameters, Recipient, ReversePath};

/// An envelope with these parameters of MAIL, and of the RCPT of each recipient.
fn with(sender: &str, mail: &str, rcpt: &str, recipients: &[&str]) -> Envelope {
    let words = |text: &str| -> Vec<(String, Option<String>)> {
        let pairs = text.split_whitespace().map(|word| word.split_once('='));
        text.split_whitespace()
            .zip(pairs)
            .map(|(word, pair)| match pair {
                Some((keyword, value)) => (keyword.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            })
            .collect()
    };
    let reverse_path: ReversePath = sender.parse().unwrap();
    let (mut of_mail, mut of_rcpt) = (MailParameters::default(), RcptParameters::default());
    for (keyword, value) in words(mail) {
        of_mail.set(&keyword, value.as_deref()).unwrap();
    }
    for (keyword, value) in words(rcpt) {
        of_rcpt.set(&keyword, value.as_deref()).unwrap();
    }
    let mut envelope = Envelope::new(reverse_path).with_parameters(of_mail);
    for recipient in recipients {
        let recipient = Recipient::new(recipient.parse().unwrap());
        envelope.push(recipient.with_parameters(of_rcpt.clone()));
    }
    envelope
}

/// What the client sends for these parameters to a server that offers these extensions, or why it does not.
fn sent(extensions: &[&str], mail: &str, rcpt: &str) -> Result<[String; 2], NotNow> {
    let mut talk = Talk::ready(Protocol::Smtp, &[extensions, &["PIPELINING"]].concat());
    if mail.contains("REQUIRETLS") {
        talk.connection.tls = Some(tls());
    }
    let envelope = with("a@b.example", mail, rcpt, &["c@d.example"]);
    let begun = talk
        .connection
        .begin(envelope, TransactionOptions::default());
    talk.flush();
    if let Err(error) = begun {
        assert!(talk.wire.is_empty() && talk.connection.is_idle());
        return Err(error);
    }
    let text = String::from_utf8(talk.wire).unwrap();
    let mut lines = text.lines();
    let mut after = |start: &str| {
        let line = lines.next().unwrap();
        line.strip_prefix(start).unwrap().trim_start().to_owned()
    };
    Ok([
        after("MAIL FROM:<a@b.example>"),
        after("RCPT TO:<c@d.example>"),
    ])
}

#[test]
fn c063_c126_what_is_offered_is_sent_and_what_may_be_is_left_out() {
    for (extensions, mail, expected) in [
        ("SIZE 5000", "SIZE=100", "SIZE=100"),
        ("SIZE 100", "SIZE=100", "SIZE=100"),
        ("", "SIZE=100", ""),
        ("8BITMIME", "BODY=8BITMIME", "BODY=8BITMIME"),
        ("8BITMIME", "BODY=7BIT", "BODY=7BIT"),
        ("", "BODY=7BIT", ""),
        ("AUTH PLAIN", "AUTH=a+2Bb@c.example", "AUTH=a+2Bb@c.example"),
        ("", "AUTH=<>", ""),
        ("SMTPUTF8", "SMTPUTF8", "SMTPUTF8"),
        ("DSN", "RET=HDRS ENVID=x+2By", "RET=HDRS ENVID=x+2By"),
        ("REQUIRETLS", "REQUIRETLS", "REQUIRETLS"),
        ("DELIVERBY", "BY=60;R", "BY=60;R"),
        ("DELIVERBY 60", "BY=60;R", "BY=60;R"),
        ("DELIVERBY 600", "BY=60;N", "BY=60;N"),
        ("MT-PRIORITY", "MT-PRIORITY=-3", "MT-PRIORITY=-3"),
        (
            "FUTURERELEASE 100 2030-01-01T00:00:00Z",
            "HOLDFOR=100",
            "HOLDFOR=100",
        ),
        (
            "FUTURERELEASE 100 2030-01-01T00:00:00Z",
            "HOLDUNTIL=2030-01-01T00:00:00Z",
            "HOLDUNTIL=2030-01-01T00:00:00Z",
        ),
        ("", "X-OWN=1 X-FLAG", "X-OWN=1 X-FLAG"),
    ] {
        let expected = Ok([expected.to_owned(), String::new()]);
        assert_eq!(
            sent(&[extensions], mail, ""),
            expected,
            "{extensions}: {mail}"
        );
    }
    let rcpt = "NOTIFY=NEVER ORCPT=rfc822;c+2Bd@e.example";
    assert_eq!(
        sent(&["DSN"], "", rcpt),
        Ok([String::new(), rcpt.to_owned()])
    );
    assert_eq!(
        sent(&[], "", "X-OWN"),
        Ok([String::new(), "X-OWN".to_owned()])
    );
}

#[test]
fn c063_c133_what_is_not_offered_is_an_error_that_names_it() {
    use NotNow::{NeedsBdat, NotOffered, OutOfRange, TooLarge};
    for (extensions, mail, error) in [
        ("", "BODY=8BITMIME", NotOffered("8BITMIME")),
        ("8BITMIME", "BODY=BINARYMIME", NotOffered("BINARYMIME")),
        ("BINARYMIME", "BODY=BINARYMIME", NeedsBdat),
        ("", "SMTPUTF8", NotOffered("SMTPUTF8")),
        ("", "RET=FULL", NotOffered("DSN")),
        ("", "ENVID=x", NotOffered("DSN")),
        ("", "REQUIRETLS", NotOffered("REQUIRETLS")),
        ("", "BY=60;R", NotOffered("DELIVERBY")),
        ("DELIVERBY 61", "BY=60;R", OutOfRange("BY")),
        ("", "MT-PRIORITY=3", NotOffered("MT-PRIORITY")),
        ("", "HOLDFOR=1", NotOffered("FUTURERELEASE")),
        (
            "FUTURERELEASE 100 2030-01-01T00:00:00Z",
            "HOLDFOR=101",
            OutOfRange("HOLDFOR"),
        ),
        (
            "FUTURERELEASE 100 2030-01-01T00:00:00Z",
            "HOLDUNTIL=2030-01-01T00:00:01Z",
            OutOfRange("HOLDUNTIL"),
        ),
        // c031: nothing is sent of what is too large.
        ("SIZE 99", "SIZE=100", TooLarge(99)),
    ] {
        assert_eq!(
            sent(&[extensions], mail, ""),
            Err(error),
            "{extensions}: {mail}"
        );
    }
    for rcpt in ["NOTIFY=NEVER", "ORCPT=rfc822;a@b.example"] {
        assert_eq!(sent(&[], "", rcpt), Err(NotOffered("DSN")), "{rcpt}");
    }
    assert!(NotOffered("DSN").to_string().contains("DSN"));
}

#[test]
fn c099_requiretls_is_of_no_use_in_clear() {
    let mut talk = Talk::ready(Protocol::Smtp, &["REQUIRETLS"]);
    let envelope = with("a@b.example", "REQUIRETLS", "", &["c@d.example"]);
    let begun = talk
        .connection
        .begin(envelope, TransactionOptions::default());
    assert_eq!(begun, Err(NotNow::NeedsTls("REQUIRETLS")));
    talk.silent();
}

#[test]
fn c032_a_size_limit_that_is_junk_is_none() {
    for limit in ["SIZE", "SIZE 0", "SIZE 99999999999999999999", "SIZE -1"] {
        let expected = Ok(["SIZE=100".to_owned(), String::new()]);
        assert_eq!(sent(&[limit], "SIZE=100", ""), expected, "{limit}");
    }
}

#[test]
fn c130_c131_addresses_outside_ascii_go_as_they_are_where_smtputf8_is_offered() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING", "SMTPUTF8"]);
    let envelope = with(
        "é@bücher.example",
        "",
        "",
        &["a@bücher.example", "b@c.example"],
    );
    talk.connection
        .begin(envelope, TransactionOptions::default())
        .unwrap();
    talk.script(
        "C: MAIL FROM:<é@bücher.example> SMTPUTF8
         C: RCPT TO:<a@bücher.example>
         C: RCPT TO:<b@c.example>
         C: DATA",
    );
    // Not where it is not needed.
    let expected = Ok([String::new(), String::new()]);
    assert_eq!(sent(&["SMTPUTF8"], "", ""), expected);
}

#[test]
fn c130_without_smtputf8_a_domain_goes_in_a_labels() {
    for pipelining in [true, false] {
        let extensions: &[&str] = if pipelining { &["PIPELINING"] } else { &[] };
        let mut talk = Talk::ready(Protocol::Smtp, extensions);
        let recipients = [
            "é@x.example",
            "a@bücher.example",
            "ö@x.example",
            "b@c.example",
            "ü@x.example",
        ];
        let envelope = with("me@bücher.example", "", "", &recipients);
        talk.connection
            .begin(envelope, TransactionOptions::default())
            .unwrap();
        for (line, reply) in [
            ("MAIL FROM:<me@xn--bcher-kva.example>", "250 ok"),
            ("RCPT TO:<a@xn--bcher-kva.example>", "250 ok"),
            ("RCPT TO:<b@c.example>", "550 no"),
            ("DATA", "354 go"),
        ] {
            if pipelining {
                continue;
            }
            talk.script(&format!("C: {line}"));
            talk.feed(format!("{reply}\r\n").as_bytes()).unwrap();
        }
        if pipelining {
            talk.skip();
            talk.feed(b"250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n")
                .unwrap();
        }
        talk.script("E: send-body 0\nB: 0 text");
        talk.feed(b"250 queued\r\n").unwrap();
        let event = talk.events.pop_front().unwrap();
        // The local parts that cannot be written fail alone, without a reply.
        assert_eq!(
            show(&event),
            "finished 0 Refused@Rcpt:-, Accepted@EndOfData:250, Refused@Rcpt:-, Refused@Rcpt:550, Refused@Rcpt:- = 250"
        );
        let Event::Finished { outcome, .. } = event else {
            unreachable!()
        };
        let mailbox: Mailbox = "a@bücher.example".parse().unwrap();
        let as_given = outcome.recipients()[1].recipient().as_str();
        assert_eq!(
            as_given,
            mailbox.as_str(),
            "the outcome has it as it was given"
        );
    }
}

#[test]
fn without_smtputf8_an_original_recipient_that_grows_too_long_bars_its_recipient_alone() {
    let extensions = &["PIPELINING", "DSN"];
    // In ASCII each letter has six characters, so that 500 are full.
    let longest = format!("utf-8;{}xy", "é".repeat(82));
    let [_, rcpt] = sent(extensions, "", &format!("ORCPT={longest}")).unwrap();
    assert_eq!(rcpt.len(), "ORCPT=".len() + limits::ORIGINAL_RECIPIENT);
    let too_long = format!("ORCPT={longest}z");
    assert_eq!(
        sent(extensions, "", &too_long),
        Err(NotNow::NotOffered("SMTPUTF8"))
    );
    let mut talk = Talk::ready(Protocol::Smtp, extensions);
    let mut envelope = with("a@b.example", "", &too_long, &["c@d.example"]);
    envelope.push(Recipient::new("e@f.example".parse().unwrap()));
    talk.connection
        .begin(envelope, TransactionOptions::default())
        .unwrap();
    talk.script(
        "C: MAIL FROM:<a@b.example>
         C: RCPT TO:<e@f.example>
         C: DATA
         S: 250 ok
         S: 250 ok
         S: 354 go
         E: send-body 0
         B: 0 text
         S: 250 queued
         E: finished 0 Refused@Rcpt:-, Accepted@EndOfData:250 = 250",
    );
}

#[test]
fn c130_without_smtputf8_nothing_is_sent_where_nobody_is_left() {
    for (sender, recipients, all_or_nothing) in [
        ("é@x.example", &["a@x.example"][..], false),
        ("a@x.example", &["é@x.example", "ö@x.example"], false),
        ("a@x.example", &["é@x.example", "b@x.example"], true),
    ] {
        let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING"]);
        let options = TransactionOptions {
            all_or_nothing,
            ..TransactionOptions::default()
        };
        let begun = talk
            .connection
            .begin(with(sender, "", "", recipients), options);
        assert_eq!(begun, Err(NotNow::NotOffered("SMTPUTF8")));
        talk.silent();
        assert!(talk.connection.is_idle());
    }
}

#[test]
fn c075_recipients_above_the_servers_limits_are_not_tried() {
    let limits = &["PIPELINING", "LIMITS RCPTMAX=2 RCPTDOMAINMAX=2"];
    let mut talk = Talk::ready(Protocol::Smtp, limits);
    let send = |talk: &mut Talk, recipients: &[&str]| {
        let envelope = with("a@b.example", "", "", recipients);
        talk.connection
            .begin(envelope, TransactionOptions::default())
    };
    send(&mut talk, &["1@x.example", "2@X.example", "3@x.example"]).unwrap();
    talk.script(
        "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<1@x.example>\nC: RCPT TO:<2@X.example>\nC: DATA",
    );
    talk.script(
        "S: 250 ok
         S: 250 ok
         S: 550 no
         S: 354 go
         E: send-body 0
         B: 0 text
         S: 250 queued
         E: finished 0 Accepted@EndOfData:250, Refused@Rcpt:550, NotTried@Rcpt:- = 250",
    );
    // Domains count over the session.
    send(&mut talk, &["1@y.example", "1@z.example", "1@x.example"]).unwrap();
    talk.script(
        "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<1@y.example>\nC: RCPT TO:<1@x.example>\nC: DATA",
    );
    let full = send(&mut talk, &["1@z.example"]);
    assert_eq!(full, Err(NotNow::Limit("RCPTDOMAINMAX")));
    // Those of an envelope that was not begun do not count.
    let mut other = Talk::ready(Protocol::Smtp, limits);
    let options = TransactionOptions {
        all_or_nothing: true,
        ..TransactionOptions::default()
    };
    let begun = other.connection.begin(
        with("", "", "", &["1@u.example", "1@v.example", "1@w.example"]),
        options,
    );
    assert_eq!(begun, Err(NotNow::Limit("RCPTMAX")));
    send(&mut other, &["1@x.example", "1@y.example"]).unwrap();
    other.script(
        "C: MAIL FROM:<a@b.example>\nC: RCPT TO:<1@x.example>\nC: RCPT TO:<1@y.example>\nC: DATA",
    );
    talk.script("S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nE: send-body 1\nB: 1 text\nS: 250 queued\nE: finished 1 Accepted@EndOfData:250, NotTried@Rcpt:-, Accepted@EndOfData:250 = 250");

    let options = TransactionOptions {
        all_or_nothing: true,
        ..TransactionOptions::default()
    };
    let envelope = with("", "", "", &["1@x.example", "2@x.example", "3@x.example"]);
    let begun = talk.connection.begin(envelope, options);
    assert_eq!(begun, Err(NotNow::Limit("RCPTMAX")));
    talk.silent();
}

#[test]
fn c075_a_domain_counts_once_however_it_is_written() {
    let mut talk = Talk::ready(
        Protocol::Smtp,
        &["PIPELINING", "SMTPUTF8", "LIMITS RCPTDOMAINMAX=2"],
    );
    let recipients = [
        "1@[IPv6:2001:db8::1]",
        "2@bücher.example",
        "postmaster",
        "3@[ipv6:2001:DB8:0::1]",
        "4@XN--bcher-kva.example",
        "5@c.example",
    ];
    let envelope = with("", "", "", &recipients);
    let options = TransactionOptions::default();
    talk.connection.begin(envelope, options).unwrap();
    talk.script(
        "C: MAIL FROM:<> SMTPUTF8
         C: RCPT TO:<1@[IPv6:2001:db8::1]>
         C: RCPT TO:<2@bücher.example>
         C: RCPT TO:<postmaster>
         C: RCPT TO:<3@[ipv6:2001:DB8:0::1]>
         C: RCPT TO:<4@XN--bcher-kva.example>
         C: DATA",
    );
}

#[test]
fn c075_no_more_transactions_are_begun_than_the_server_takes() {
    let mut talk = Talk::ready(Protocol::Smtp, &["PIPELINING", "LIMITS MAILMAX=2"]);
    assert_eq!(talk.connection.transactions_left(), Some(2));
    talk.begin(&["a"]);
    talk.begin(&["b"]);
    assert_eq!(talk.connection.transactions_left(), Some(0));
    let begun = talk
        .connection
        .begin(envelope(&["c"]), TransactionOptions::default());
    assert_eq!(begun, Err(NotNow::Limit("MAILMAX")));
    assert_eq!(
        Talk::ready(Protocol::Smtp, &[])
            .connection
            .transactions_left(),
        None
    );
}

#[test]
fn binary_messages_go_by_bdat() {
    let extensions = &["PIPELINING", "CHUNKING", "BINARYMIME", "8BITMIME"];
    let mut talk = Talk::ready(Protocol::Smtp, extensions);
    let options = TransactionOptions {
        transfer: Transfer::Whole(3),
        ..TransactionOptions::default()
    };
    let envelope = with("a@b.example", "BODY=BINARYMIME", "", &["c@d.example"]);
    talk.connection.begin(envelope, options).unwrap();
    talk.script("C: MAIL FROM:<a@b.example> BODY=BINARYMIME\nC: RCPT TO:<c@d.example>\nC: BDAT 3 LAST\nC: <0+3@0>");
}
