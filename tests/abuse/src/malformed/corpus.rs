//! Real sessions, of which the malformed ones are made. Each works as it stands here, which the control sessions show.

/// A session as its client has it.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// The place of the server that it is meant for.
    pub(super) server: usize,
    /// What the client does.
    pub(super) parts: Vec<Part>,
    /// The codes of all replies, the greeting's first.
    pub(super) codes: &'static [u16],
}

/// What a client does at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// It says something.
    Say(Vec<u8>),
    /// It begins TLS: at the start of a connection, or behind STARTTLS.
    Tls,
}

const CLIENT_HELLO: &[u8] = include_bytes!("../../corpus/client-hello");

const EHLO: &str = "EHLO client.example\r\n";
const ENVELOPE: &str = "MAIL FROM:<from@example.org>|RCPT TO:<to@example.net>|";
const MESSAGE: &str = "From: from@example.org\r\nSubject: a mail\r\n\r\nHello.\r\n..dot\r\n.\r\n";

/// All of them.
pub(super) fn corpus() -> Vec<Base> {
    let mut all = plain();
    all.extend(chunks());
    all.extend(logins());
    all.extend(extended());
    all.extend(secured());
    all
}

/// `text` has `|` for the end of each line that is said by itself.
fn lines(text: &str) -> Vec<Part> {
    text.split_inclusive('|')
        .map(|line| Part::Say(line.replace('|', "\r\n").into_bytes()))
        .collect()
}

fn base(server: usize, text: &str, codes: &'static [u16]) -> Base {
    Base {
        server,
        parts: lines(text),
        codes,
    }
}

fn said(octets: impl Into<Vec<u8>>) -> Part {
    Part::Say(octets.into())
}

fn plain() -> Vec<Base> {
    let mail = format!("EHLO client.example|{ENVELOPE}DATA|{MESSAGE}");
    let once: &[u16] = &[220, 250, 250, 250, 354, 250, 221];
    let mut whole = Vec::new();
    for part in lines(&format!("{ENVELOPE}RCPT TO:<\"a b\"@[192.0.2.1]>|DATA|")) {
        if let Part::Say(octets) = part {
            whole.extend(octets);
        }
    }
    vec![
        base(0, &format!("{mail}QUIT|"), once),
        base(6, &format!("{mail}QUIT|"), once),
        base(
            0,
            "HELO client.example|MAIL FROM:<>|RCPT TO:<postmaster>|RSET|NOOP|VRFY joe|EXPN list|HELP|QUIT|",
            &[220, 250, 250, 250, 250, 250, 252, 502, 214, 221],
        ),
        Base {
            server: 0,
            parts: vec![said(EHLO), said(whole), said(MESSAGE), said("QUIT\r\n")],
            codes: &[220, 250, 250, 250, 250, 354, 250, 221],
        },
        base(
            4,
            &format!(
                "LHLO client.example|{ENVELOPE}RCPT TO:<other@example.net>|DATA|{MESSAGE}QUIT|"
            ),
            &[220, 250, 250, 250, 250, 354, 250, 250, 221],
        ),
    ]
}

fn chunks() -> Vec<Base> {
    let mut two = lines(&format!("EHLO client.example|{ENVELOPE}"));
    two.push(said("BDAT 13\r\nSubject: a\r\n\n"));
    two.push(said("BDAT 7\r\nHello\r\n"));
    two.push(said("BDAT 0 LAST\r\n"));
    two.push(said("QUIT\r\n"));
    let mut good = lines(&format!("EHLO client.example|{ENVELOPE}"));
    good.push(said("BDAT 14\r\nSubject: a\r\n\r\n"));
    good.push(said("BDAT 7 LAST\r\nHello\r\n"));
    good.push(said("RSET\r\nQUIT\r\n"));
    let mut lmtp = lines(&format!("LHLO client.example|{ENVELOPE}"));
    lmtp.push(said("BDAT 7 LAST\r\nHello\r\n"));
    lmtp.push(said("QUIT\r\n"));
    let codes: &[u16] = &[220, 250, 250, 250, 250, 250, 250, 221];
    vec![
        Base {
            server: 6,
            parts: two,
            codes: &[220, 250, 250, 250, 250, 250, 250, 221],
        },
        Base {
            server: 0,
            parts: good,
            codes,
        },
        Base {
            server: 4,
            parts: lmtp,
            codes: &[220, 250, 250, 250, 250, 221],
        },
    ]
}

fn logins() -> Vec<Base> {
    let mail = format!("{ENVELOPE}DATA|{MESSAGE}QUIT|");
    let login = |login: &str, codes| base(1, &format!("EHLO client.example|{login}"), codes);
    let mut all = vec![
        login(
            &format!("AUTH PLAIN AHRpbQBwdw==|{mail}"),
            &[220, 250, 235, 250, 250, 354, 250, 221],
        ),
        login("AUTH PLAIN|AHRpbQBwdw==|QUIT|", &[220, 250, 334, 235, 221]),
        login(
            "AUTH LOGIN|dGlt|cHc=|QUIT|",
            &[220, 250, 334, 334, 235, 221],
        ),
        login("AUTH ANONYMOUS dGlt|QUIT|", &[220, 250, 235, 221]),
        login(
            "AUTH XOAUTH2 dXNlcj10aW0BYXV0aD1CZWFyZXIgdG9rZW4BAQ==|QUIT|",
            &[220, 250, 235, 221],
        ),
        login(
            "AUTH OAUTHBEARER bixhPXRpbSwBYXV0aD1CZWFyZXIgdG9rZW4BAQ==|QUIT|",
            &[220, 250, 235, 221],
        ),
        login(
            "AUTH CRAM-MD5|dGltIDAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFiYmNjZGRlZWZm|QUIT|",
            &[220, 250, 334, 535, 221],
        ),
        login("AUTH LOGIN|*|QUIT|", &[220, 250, 334, 501, 221]),
    ];
    for hash in ["1", "256"] {
        // n,,n=tim,r=fyko+d2lbbFgONRv9qkxdawL
        all.push(login(
            &format!(
                "AUTH SCRAM-SHA-{hash} biwsbj10aW0scj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0w=|*|QUIT|"
            ),
            &[220, 250, 334, 501, 221],
        ));
        all.push(login(
            &format!(
                "AUTH SCRAM-SHA-{hash}|biwsbj10aW0scj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0w=|Yz1iaXdzLHI9ZnlrbyxwPWFiYw==|QUIT|"
            ),
            &[220, 250, 334, 334, 501, 221],
        ));
    }
    all
}

fn extended() -> Vec<Base> {
    let header = |header: &[u8]| {
        let mut parts = vec![said(header)];
        parts.extend(lines(&format!(
            "EHLO client.example|{ENVELOPE}DATA|{MESSAGE}QUIT|"
        )));
        Base {
            server: 5,
            parts,
            codes: &[220, 250, 250, 250, 354, 250, 221],
        }
    };
    let mut second = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    second.extend([192, 0, 2, 9, 127, 0, 0, 1, 0x12, 0x34, 0, 25]);
    let mut third = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x2b".to_vec();
    third.extend([0x20; 36]);
    third.extend(b"\x04\0\x04info"[..7].iter());
    vec![
        header(b"PROXY TCP4 192.0.2.7 127.0.0.1 4660 25\r\n"),
        header(b"PROXY TCP6 2001:db8::7 ::1 4660 25\r\n"),
        header(b"PROXY UNKNOWN\r\n"),
        header(&second),
        header(&third),
        base(
            5,
            "PROXY TCP4 192.0.2.7 127.0.0.1 4660 25|EHLO client.example|XCLIENT ADDR=198.51.100.1 NAME=spike.example PORT=26 LOGIN=joe HELO=spike PROTO=ESMTP|EHLO spike|QUIT|",
            &[220, 250, 220, 250, 221],
        ),
        base(
            6,
            "EHLO client.example|AUTH PLAIN AHRpbQBwdw==|MAIL FROM:<from@example.org> SIZE=500 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=abc BY=120;R HOLDFOR=60 X-MAIL=1|RCPT TO:<to@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;to@example.net|RSET|XFOO bar|HELP DATA|QUIT|",
            &[220, 250, 235, 250, 250, 250, 250, 214, 221],
        ),
    ]
}

fn secured() -> Vec<Base> {
    let mail = format!("EHLO client.example|{ENVELOPE}DATA|{MESSAGE}QUIT|");
    let mut starttls = lines("EHLO client.example|STARTTLS|");
    starttls.push(Part::Tls);
    let mut login = starttls.clone();
    starttls.extend(lines(&mail));
    login.extend(lines("EHLO client.example|AUTH PLAIN AHRpbQBwdw==|"));
    login.extend(lines(&format!("{ENVELOPE}DATA|{MESSAGE}QUIT|")));
    let mut implicit = vec![Part::Tls];
    implicit.extend(lines(&mail));
    let mut raw = lines("EHLO client.example|STARTTLS|");
    raw.push(said(CLIENT_HELLO));
    vec![
        Base {
            server: 2,
            parts: starttls,
            codes: &[220, 250, 220, 250, 250, 250, 354, 250, 221],
        },
        Base {
            server: 7,
            parts: login,
            codes: &[220, 250, 220, 250, 235, 250, 250, 354, 250, 221],
        },
        Base {
            server: 3,
            parts: implicit,
            codes: &[220, 250, 250, 250, 354, 250, 221],
        },
        // What follows is no text, and so these are no control sessions.
        Base {
            server: 2,
            parts: raw,
            codes: &[],
        },
        Base {
            server: 3,
            parts: vec![said(CLIENT_HELLO), said("\x14\x03\x03\0\x01\x01")],
            codes: &[],
        },
    ]
}
