//! Sessions of each kind, compared with what a person would have noted down.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::{
    self, Content, OnRefused, ProxyHeader, ProxyVersion, Request, TransferChoice,
};
use mailwire::proto::Protocol;
use mailwire::tls::TlsPolicy;
use mailwire::transcript::{Event, Kind, Writer};
use mailwire::{Phase, Status};

use crate::server::{Behaviour, Server, Tls};
use crate::{MESSAGE, assert_notes, envelope, note, notes, recorded, send};

#[test]
fn a_plain_session_is_noted_line_by_line() {
    let server = Server::start(Behaviour::default());
    let (options, buffer) = recorded(&server);
    send(&options, &["a@x.example"]).unwrap();
    assert_notes(
        &buffer,
        "* session with ADDRESS
         * connecting to ADDRESS
         * connected to ADDRESS
         S 220 mx.example ESMTP
         C EHLO client.example
         S 250 mx.example
         C MAIL FROM:<me@example.org>
         S 250 2.0.0 ok
         C RCPT TO:<a@x.example>
         S 250 2.1.5 recipient ok
         C DATA
         S 354 go on
         C [31 octets of the message]
         C .
         S 250 2.0.0 Ok: queued as ABC1
         C QUIT
         S 221 2.0.0 bye
         * closed by the client",
    );
    let times: Vec<Duration> = buffer.events().iter().map(Event::elapsed).collect();
    assert!(times.is_sorted() && times[times.len() - 1] > Duration::ZERO);
    server.join();
}

#[test]
fn a_pipelined_session_shows_what_left_together() {
    let server = Server::start(Behaviour {
        offers: vec!["PIPELINING"],
        ..Behaviour::default()
    });
    let (mut options, buffer) = recorded(&server);
    options.set_on_refused(OnRefused::Never);
    let client = Client::new(options).unwrap();
    let to = [
        envelope(&["a@x.example", "no@x.example"]),
        envelope(&["b@x.example"]),
    ];
    let messages = to.map(|envelope| (envelope, Content::bytes(b"")));
    client
        .send_many(messages, Call::default(), |_, result| {
            result.unwrap();
        })
        .unwrap();
    drop(client);
    let notes = notes(&buffer);
    let (_, session) = notes.split_once("S 250 PIPELINING\n").unwrap();
    assert_eq!(
        session,
        "C MAIL FROM:<me@example.org>\nC RCPT TO:<a@x.example>\nC RCPT TO:<no@x.example>\nC DATA\n\
         S 250 2.0.0 ok\nS 250 2.1.5 recipient ok\nS 550 5.1.1 no such user\nS 354 go on\n\
         C .\nC MAIL FROM:<me@example.org>\nC RCPT TO:<b@x.example>\nC DATA\n\
         S 250 2.0.0 Ok: queued as ABC1\nS 250 2.0.0 ok\nS 250 2.1.5 recipient ok\nS 354 go on\n\
         C .\nS 250 2.0.0 Ok: queued as ABC1\nC QUIT\nS 221 2.0.0 bye\n* closed by the client"
    );
    server.join();
}

#[test]
fn chunks_are_counted_where_they_stand_among_the_commands() {
    let server = Server::start(Behaviour {
        offers: vec!["PIPELINING", "CHUNKING"],
        ..Behaviour::default()
    });
    let (mut options, buffer) = recorded(&server);
    options.set_transfer(TransferChoice::Bdat);
    let client = Client::new(options).unwrap();
    let to = [envelope(&["a@x.example"]), envelope(&["b@x.example"])];
    let messages = to.map(|envelope| (envelope, Content::bytes(MESSAGE)));
    client
        .send_many(messages, Call::default(), |_, result| {
            result.unwrap();
        })
        .unwrap();
    drop(client);
    let notes = notes(&buffer);
    let (_, session) = notes.split_once("S 250 CHUNKING\n").unwrap();
    assert_eq!(
        session,
        "C MAIL FROM:<me@example.org>\nC RCPT TO:<a@x.example>\nC BDAT 30 LAST\nC [30 octets of the message]\n\
         C RSET\nC MAIL FROM:<me@example.org>\nC RCPT TO:<b@x.example>\nC BDAT 30 LAST\nC [30 octets of the message]\n\
         S 250 2.0.0 ok\nS 250 2.1.5 recipient ok\nS 250 2.0.0 Ok: queued as ABC1\n\
         S 250 2.0.0 ok\nS 250 2.0.0 ok\nS 250 2.1.5 recipient ok\nS 250 2.0.0 Ok: queued as ABC1\n\
         C QUIT\nS 221 2.0.0 bye\n* closed by the client"
    );
    server.join();
}

#[test]
fn a_long_message_is_one_number_however_many_writes_it_takes() {
    for offers in [vec![], vec!["CHUNKING"]] {
        let server = Server::start(Behaviour {
            offers,
            ..Behaviour::default()
        });
        let (options, buffer) = recorded(&server);
        let client = Client::new(options).unwrap();
        let line = [[b'x'; 70].as_slice(), b"\r\n"].concat();
        let message = line.repeat(100_000);
        let content = Content::bytes(&message);
        client
            .send(&envelope(&["a@x.example"]), content, Call::default())
            .unwrap();
        let octets = buffer
            .events()
            .iter()
            .fold(0, |sum, event| match event.kind() {
                Kind::Message { octets, .. } => sum + octets,
                _ => sum,
            });
        assert_eq!(octets, message.len() as u64);
        assert!(buffer.events().len() < 300, "{}", notes(&buffer));
        drop(client);
        server.join();
    }
}

#[test]
fn tls_is_noted_with_what_came_of_it() {
    let server = Server::start(Behaviour {
        tls: Tls::Offered,
        ..Behaviour::default()
    });
    let (mut options, buffer) = recorded(&server);
    options.set_tls(TlsPolicy::Required);
    send(&options, &["a@x.example"]).unwrap();
    let all = notes(&buffer);
    let session = all.split_once("S 250 STARTTLS\n").unwrap().1;
    let expected = "C STARTTLS\nS 220 2.0.0 go on\n* TLS begins, with localhost\n* TLS CIPHER, verified\n\
                    C EHLO client.example\nS 250 mx.example\nC MAIL FROM:<me@example.org>\n";
    assert!(session.starts_with(expected), "{session}");
    assert!(
        all.ends_with("S 221 2.0.0 bye\n* closed by the client"),
        "{all}"
    );
    server.join();

    let server = Server::start(Behaviour {
        tls: Tls::Implicit,
        connections: 2,
        ..Behaviour::default()
    });
    for verified in ["verified", "NOT VERIFIED"] {
        let (mut options, buffer) = recorded(&server);
        options.set_tls(TlsPolicy::Implicit);
        if verified == "NOT VERIFIED" {
            options.set("verify", "false").unwrap();
        }
        send(&options, &["a@x.example"]).unwrap();
        let all = notes(&buffer);
        let expected = format!(
            "* connected to ADDRESS\n* TLS begins, with localhost\n* TLS CIPHER, {verified}\nS 220 mx.example ESMTP\n"
        );
        assert!(all.contains(&expected), "{all}");
    }
    server.join();
}

#[test]
fn a_handshake_that_fails_is_noted_with_its_phase() {
    let server = Server::start(Behaviour {
        tls: Tls::Offered,
        ..Behaviour::default()
    });
    let (mut options, buffer) = recorded(&server);
    options.set_tls(TlsPolicy::Required);
    options.set_tls_name("other.example").unwrap();
    let error = send(&options, &["a@x.example"]).unwrap_err();
    assert_eq!(error.status(), Status::CertificateName);
    let all = notes(&buffer);
    let (_, end) = all
        .split_once("* TLS begins, with other.example\n")
        .unwrap();
    let expected = format!(
        "* error: TLS handshake: {}\n* closed by the client",
        error.message()
    );
    assert_eq!(end, expected);
    server.join();
}

#[test]
fn lmtp_has_a_reply_for_each_recipient() {
    let server = Server::start(Behaviour {
        lmtp: true,
        ..Behaviour::default()
    });
    let (mut options, buffer) = recorded(&server);
    options.set_protocol(Protocol::Lmtp);
    options.set_on_refused(OnRefused::Never);
    send(&options, &["a@x.example", "no@x.example", "b@x.example"]).unwrap();
    let all = notes(&buffer);
    assert!(all.contains("C LHLO client.example\n"), "{all}");
    let (_, end) = all.split_once("C .\n").unwrap();
    let reply = "S 250 2.0.0 Ok: queued as ABC1\n";
    let bye = "C QUIT\nS 221 2.0.0 bye\n* closed by the client";
    assert_eq!(end, format!("{reply}{reply}{bye}"));
    server.join();
}

#[test]
fn a_connection_that_is_cut_is_noted_with_who_did_it() {
    let server = Server::start(Behaviour {
        instead: vec![("RCPT", "CUT")],
        ..Behaviour::default()
    });
    let (options, buffer) = recorded(&server);
    let error = send(&options, &["a@x.example"]).unwrap_err();
    assert_eq!(error.status(), Status::ConnectionLost);
    let all = notes(&buffer);
    let (_, end) = all.split_once("C RCPT TO:<a@x.example>\n").unwrap();
    assert_eq!(
        end,
        "* closed by the server\n* error: RCPT TO: the server closed the connection"
    );
    server.join();
}

#[test]
fn what_is_no_reply_is_noted_without_what_a_terminal_would_obey() {
    let server = Server::start(Behaviour {
        instead: vec![("MAIL", "\x1b[2Jwhat\u{202e}?\r\n250 more")],
        ..Behaviour::default()
    });
    let (options, buffer) = recorded(&server);
    let error = send(&options, &["a@x.example"]).unwrap_err();
    assert_eq!(
        (error.status(), error.phase()),
        (Status::Protocol, Some(Phase::Mail))
    );
    let all = notes(&buffer);
    assert!(all.contains("\nS \\x1b[2Jwhat\\u{202e}?\n"), "{all}");
    assert!(!all.contains('\x1b') && !all.contains('\u{202e}'), "{all}");
    server.join();
}

#[test]
fn a_session_that_never_began_has_a_transcript_too() {
    let server = Server::start(Behaviour::default());
    let (mut options, buffer) = recorded(&server);
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    options.set_server("127.0.0.1", Some(port)).unwrap();
    let error = send(&options, &["a@x.example"]).unwrap_err();
    assert_eq!(error.status(), Status::ConnectionRefused);
    assert_notes(
        &buffer,
        "* session with ADDRESS
         * connecting to ADDRESS
         * not connected to ADDRESS: refused
         * error: connecting: nothing listens on ADDRESS: is the server running, and the port right?
         * closed by the client",
    );
    let (options, _) = recorded(&server);
    send(&options, &["a@x.example"]).unwrap();
    server.join();
}

#[test]
fn a_header_of_the_proxy_protocol_is_counted() {
    let server = Server::start(Behaviour {
        instead: vec![("PROXY", "220 after all")],
        ..Behaviour::default()
    });
    let (mut options, buffer) = recorded(&server);
    let client = "192.0.2.1:1234".parse().unwrap();
    let header = ProxyHeader::of_client(ProxyVersion::V1, client);
    options.set_send_proxy_header(Some(header));
    // This server greets before it hears, and takes the header for a command: that is what a transcript is for.
    send(&options, &["a@x.example"]).unwrap_err();
    let all = notes(&buffer);
    assert!(
        all.contains("* connected to ADDRESS\n* PROXY header of "),
        "{all}"
    );
    server.join();
}

#[test]
fn a_kept_connection_is_one_session_and_another_has_another_number() {
    let server = Server::start(Behaviour {
        connections: 2,
        ..Behaviour::default()
    });
    let (mut options, buffer) = recorded(&server);
    options.set_max_messages(2).unwrap();
    let client = Client::new(options).unwrap();
    for _ in 0..3 {
        let content = Content::bytes(MESSAGE);
        client
            .send(&envelope(&["a@x.example"]), content, Call::default())
            .unwrap();
    }
    client.ask(Request::Noop, Call::default()).unwrap();
    drop(client);
    let events = buffer.events();
    let (first, second) = (events[0].session(), events[events.len() - 1].session());
    assert!(first < second);
    let of = |session, start: &str| {
        let all = events.iter().filter(|event| event.session() == session);
        all.filter(|event| note(event).starts_with(start)).count()
    };
    for (session, messages) in [(first, 2), (second, 1)] {
        assert_eq!(of(session, "C MAIL"), messages);
        for once in ["* connected", "C EHLO", "C QUIT", "* closed"] {
            assert_eq!(of(session, once), 1, "{once}\n{}", notes(&buffer));
        }
    }
    assert_eq!(of(second, "C NOOP"), 1);
    server.join();
}

#[test]
fn what_a_server_said_on_an_idle_connection_is_noted_where_it_is_replaced() {
    let server = Server::start(Behaviour {
        connections: 2,
        instead: vec![("NOOP", "250 ok\r\n421 4.4.2 idle for too long")],
        ..Behaviour::default()
    });
    let (options, buffer) = recorded(&server);
    let client = Client::new(options).unwrap();
    client.ask(Request::Noop, Call::default()).unwrap();
    let content = Content::bytes(MESSAGE);
    client
        .send(&envelope(&["a@x.example"]), content, Call::default())
        .unwrap();
    let all = notes(&buffer);
    let replaced =
        "S 250 ok\nS 421 4.4.2 idle for too long\n* closed by the client\n* session with";
    assert!(all.contains(replaced), "{all}");
    drop(client);
    server.join();
}

#[tokio::test]
async fn the_async_client_tells_the_same() {
    let server = Server::start(Behaviour::default());
    let (options, buffer) = recorded(&server);
    let client = client::Client::new(options).unwrap();
    let content = Content::bytes(MESSAGE);
    client
        .send(&envelope(&["a@x.example"]), content)
        .await
        .unwrap();
    client.close(Some(Duration::from_secs(20))).await;
    let all = notes(&buffer);
    assert!(
        all.starts_with("* session with ADDRESS\n* connecting"),
        "{all}"
    );
    assert!(
        all.contains("C [31 octets of the message]\nC .\nS 250 "),
        "{all}"
    );
    assert!(
        all.ends_with("C QUIT\nS 221 2.0.0 bye\n* closed by the client"),
        "{all}"
    );
    server.join();
}

#[test]
fn a_recorder_that_panics_or_calls_back_stops_no_mail() {
    let server = Server::start(Behaviour {
        connections: 2,
        ..Behaviour::default()
    });
    let (mut options, buffer) = recorded(&server);
    options.set_transcript(Some(Arc::new(|_: &Event| panic!("a recorder's own fault"))));
    send(&options, &["a@x.example"]).unwrap();

    let (mut options, _) = recorded(&server);
    let inner = Client::new(options.clone()).unwrap();
    let refused = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&refused);
    options.set_transcript(Some(Arc::new(move |event: &Event| {
        if note(event) == "C QUIT" {
            let error = inner.ask(Request::Noop, Call::default()).unwrap_err();
            told.lock().unwrap().push(error.status());
        }
    })));
    send(&options, &["a@x.example"]).unwrap();
    assert_eq!(*refused.lock().unwrap(), [Status::Misuse]);
    assert_eq!(buffer.events(), []);
    server.join();
}

#[test]
fn a_script_has_its_notes_by_one_line() {
    let server = Server::start(Behaviour::default());
    let (mut options, _) = recorded(&server);
    let file = tempfile::NamedTempFile::new().unwrap();
    let writer = Writer::notes(io::BufWriter::new(file.reopen().unwrap()));
    options.set_transcript(Some(Arc::new(writer)));
    send(&options, &["a@x.example"]).unwrap();
    let written = std::fs::read_to_string(file.path()).unwrap();
    assert!(
        written.lines().all(|line| line.starts_with('[')),
        "{written}"
    );
    assert!(written.contains(" C: EHLO client.example\n"), "{written}");
    assert!(written.ends_with("* closed by the client\n"), "{written}");
    server.join();
}
