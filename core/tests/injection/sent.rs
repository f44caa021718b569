//! A session with every text that a caller can give, over a socket: no line of it was not meant.
//!
//! The rows show that what could smuggle is refused where it is given. This shows the other half: what a call refuses has not
//! reached the server in part, and what is taken is on the line that it belongs to.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::proto::{Envelope, MailParameters, RcptParameters};

/// A server that accepts everything of one connection and gives the lines that it has heard.
fn server() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (lines, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(b"220 a.example\r\n").unwrap();
        let mut data = false;
        for line in BufReader::new(stream.try_clone().unwrap())
            .split(b'\n')
            .map_while(Result::ok)
        {
            let line = String::from_utf8(line).unwrap();
            data = if data {
                line != ".\r"
            } else {
                line == "DATA\r"
            };
            let reply = match line.as_str() {
                "DATA\r" => "354 go on\r\n",
                _ if line.starts_with("EHLO") => {
                    "250-a.example\r\n250-DSN\r\n250-AUTH PLAIN\r\n250-X-A\r\n250-SIZE\r\n250 8BITMIME\r\n"
                }
                _ if line.starts_with("AUTH") => "235 welcome\r\n",
                _ => "250 ok\r\n",
            };
            if !data || reply.starts_with('3') {
                let _ = stream.write_all(reply.as_bytes());
            }
            let _ = lines.send(line);
        }
    });
    (port, heard)
}

#[test]
fn each_text_is_on_its_own_line() {
    let (port, heard) = server();
    let mut options = Options::from_url(&format!(
        "smtp://user:secret@127.0.0.1:{port}?tls=none&allow_plaintext_auth=true&local_hostname=b.example"
    ))
    .unwrap();
    options.set_all_or_nothing(true);
    let mut mail = MailParameters::default();
    mail.set("ENVID", Some("an+20id")).unwrap();
    mail.set("RET", Some("HDRS")).unwrap();
    let mut rcpt = RcptParameters::default();
    rcpt.set("NOTIFY", Some("NEVER")).unwrap();
    rcpt.set("ORCPT", Some("rfc822;x+2By@c.example")).unwrap();
    let mut envelope = Envelope::parse("\"a b\"@c.example", Vec::<&str>::new())
        .unwrap()
        .with_parameters(mail);
    let path = "d@e.example".parse().unwrap();
    envelope.push(mailwire::proto::Recipient::new(path).with_parameters(rcpt));
    let client = Client::new(options).unwrap();
    client
        .send(
            &envelope,
            Content::bytes(b"Subject: x\r\n\r\n.\r\n"),
            Call::default(),
        )
        .unwrap();
    drop(client);
    let lines: Vec<String> = heard.iter().collect();
    let auth = "AUTH PLAIN AHVzZXIAc2VjcmV0\r";
    assert_eq!(lines[..2], ["EHLO b.example\r", auth]);
    assert!(
        lines[2].starts_with("MAIL FROM:<\"a b\"@c.example> "),
        "{lines:?}"
    );
    assert!(
        lines[2].contains(" ENVID=an+20id") && lines[2].contains(" RET=HDRS"),
        "{lines:?}"
    );
    assert_eq!(
        lines[3],
        "RCPT TO:<d@e.example> NOTIFY=NEVER ORCPT=rfc822;x+2By@c.example\r"
    );
    assert_eq!(
        lines[4..],
        ["DATA\r", "Subject: x\r", "\r", "..\r", ".\r", "QUIT\r"]
    );
}
