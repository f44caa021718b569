//! The client through proxies that follow a script: SOCKS5, and CONNECT of HTTP.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use mailwire::blocking::Client;
use mailwire::client::Options;
use mailwire::{Error, Phase, Status};

use crate::script::{Server, Session};
use crate::send;
use crate::tls::{dialling, taking, tls_of_send};

const SERVER: &str = "mail.nowhere.invalid";
const GREETING: &[u8] = b"220 script.example ESMTP\r\n";

/// What SOCKS5 says to a connection that was opened, with an address of 4 octets.
const OPENED: &[u8] = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x12\x34";

/// Options for a server that no one can look up, behind a proxy at `server`.
fn through(form: &str, server: &Server) -> Options {
    let mut options = Options::new();
    options.set_server(SERVER, Some(25)).unwrap();
    let url = form.replace("PROXY", &format!("127.0.0.1:{}", server.port()));
    options.set_proxy(Some(&url)).unwrap();
    options.set_timeout(Some(Duration::from_secs(10))).unwrap();
    options
}

/// The session of SMTP after the greeting, which the client has got with or after the proxy's answer.
fn serve(session: &mut Session) {
    session.hear_start("EHLO ");
    session.say("250 script.example\n");
    session.accept_one();
    session.goodbye();
}

/// Says the octets one by one, or at once.
fn say(session: &mut Session, octets: &[u8], dripping: bool) {
    if dripping {
        for octet in octets.chunks(1) {
            session.say_octets(octet);
            std::thread::sleep(Duration::from_millis(1));
        }
    } else {
        session.say_octets(octets);
    }
}

#[test]
fn socks5h_looks_up_the_name_and_the_greeting_behind_its_answer_is_not_lost() {
    for dripping in [false, true] {
        let server = Server::once(move |session| {
            session.hear_octets(b"\x05\x02\x00\x02");
            say(session, b"\x05\x02", dripping);
            session.hear_octets(b"\x01\x04us@r\x06secret");
            say(session, b"\x01\x00", dripping);
            session.hear_octets(b"\x05\x01\x00\x03\x14mail.nowhere.invalid\x00\x19");
            say(session, &[OPENED, GREETING].concat(), dripping);
            serve(session);
        });
        let options = through("socks5h://us%40r:secret@PROXY", &server);
        send(options, &["you@example.org"]).unwrap();
        server.join();
    }
}

#[test]
fn socks5_is_told_the_address_and_may_answer_with_a_name() {
    for (host, request) in [
        (
            "192.0.2.7",
            &b"\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x19"[..],
        ),
        (
            "2001:db8::7",
            b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x00\x19",
        ),
    ] {
        let server = Server::once(move |session| {
            session.hear_octets(b"\x05\x01\x00");
            session.say_octets(b"\x05\x00");
            session.hear_octets(request);
            session.say_octets(b"\x05\x00\x00\x03\x05proxy\x00\x01");
            session.say_octets(GREETING);
            serve(session);
        });
        let mut options = through("socks5://PROXY", &server);
        options.set_server(host, Some(25)).unwrap();
        send(options, &["you@example.org"]).unwrap();
        server.join();
    }
}

#[test]
fn connect_of_http_takes_the_head_and_not_the_greeting_behind_it() {
    for dripping in [false, true] {
        let server = Server::once(move |session| {
            session.hear(
                "CONNECT mail.nowhere.invalid:25 HTTP/1.1\nHost: mail.nowhere.invalid:25\n\
                 Proxy-Authorization: Basic dXNAcjpzZWNyZXQ=\n",
            );
            session.hear_octets(b"\r\n");
            let answer =
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n";
            say(session, &[answer, GREETING].concat(), dripping);
            serve(session);
        });
        let options = through("http://us%40r:secret@PROXY", &server);
        send(options, &["you@example.org"]).unwrap();
        server.join();
    }
}

/// What the client makes of this proxy: an error that names the proxy and the server, and no secret.
fn refused(form: &str, script: impl FnOnce(&mut Session) + Send + 'static) -> Error {
    let server = Server::once(script);
    let proxy = format!("127.0.0.1:{}", server.port());
    let mut options = through(form, &server);
    options
        .set_connect_timeout(Duration::from_millis(3500))
        .unwrap();
    let error = send(options, &["you@example.org"]).unwrap_err();
    server.join();
    assert_eq!(error.phase(), Some(Phase::Connect), "{error}");
    assert_eq!(error.peer(), Some(format!("{SERVER}:25").as_str()));
    assert!(error.message().contains(&proxy), "{error}");
    let told = format!("{error} {error:?}");
    assert!(
        !told.contains("hunter2") && !told.contains("EVIL"),
        "{told}"
    );
    error
}

/// Each text is there once, apart from the proxy's port.
fn all_different(errors: &[Error]) {
    let mut texts: Vec<_> = errors
        .iter()
        .map(|error| error.message().split_once("25: ").unwrap().1)
        .collect();
    texts.sort_unstable();
    let all = texts.len();
    texts.dedup();
    assert_eq!(texts.len(), all, "{texts:#?}");
}

#[test]
fn every_refusal_of_socks5_has_its_own_text() {
    let mut errors = Vec::new();
    for (reply, status) in [
        (1, Status::Io),
        (2, Status::ConnectionRefused),
        (3, Status::Io),
        (4, Status::Io),
        (5, Status::ConnectionRefused),
        (6, Status::Timeout),
        (7, Status::Protocol),
        (8, Status::Io),
        (200, Status::Protocol),
    ] {
        let error = refused("socks5h://PROXY", move |session| {
            session.hear_octets(b"\x05\x01\x00");
            session.say_octets(b"\x05\x00");
            session.hear_octets(b"\x05\x01\x00\x03");
            session.say_octets(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
        });
        assert_eq!(error.status(), status, "{error}");
        errors.push(error);
    }
    for (form, chosen, status) in [
        ("socks5h://PROXY", 2, Status::AuthRequired),
        ("socks5h://PROXY", 0xff, Status::AuthRequired),
        ("socks5h://u:hunter2@PROXY", 0xff, Status::AuthMechanism),
    ] {
        let error = refused(form, move |session| {
            session.hear_octets(b"\x05");
            session.say_octets(&[5, chosen]);
        });
        assert_eq!(error.status(), status, "{error}");
        if chosen != 2 {
            errors.push(error);
        }
    }
    let error = refused("socks5h://u:hunter2@PROXY", |session| {
        session.hear_octets(b"\x05\x02\x00\x02");
        session.say_octets(b"\x05\x02");
        session.hear_octets(b"\x01\x01u\x07hunter2");
        session.say_octets(b"\x01\x01");
    });
    assert_eq!(error.status(), Status::AuthRejected, "{error}");
    errors.push(error);
    for (said, status) in [
        (&b"HTTP/1.1 400 EVIL\r\n\r\n"[..], Status::Protocol),
        (b"", Status::ConnectionLost),
    ] {
        let error = refused("socks5h://PROXY", move |session| {
            session.hear_octets(b"\x05\x01\x00");
            session.say_octets(said);
        });
        assert_eq!(error.status(), status, "{error}");
        errors.push(error);
    }
    all_different(&errors);
}

#[test]
fn every_refusal_of_http_has_its_own_text() {
    let mut errors = Vec::new();
    for (form, said, status) in [
        (
            "http://PROXY",
            "407 EVIL\r\nProxy-Authenticate: Basic realm=\"EVIL\"",
            Status::AuthRequired,
        ),
        (
            "http://u:hunter2@PROXY",
            "407 EVIL\r\nProxy-Authenticate: basic realm=\"EVIL\"",
            Status::AuthRejected,
        ),
        (
            "http://u:hunter2@PROXY",
            "407 EVIL\r\nProxy-Authenticate: NTLM",
            Status::AuthMechanism,
        ),
        ("http://PROXY", "403 EVIL", Status::ConnectionRefused),
        ("http://PROXY", "502 EVIL", Status::Io),
        ("http://PROXY", "504 EVIL", Status::Timeout),
        ("http://PROXY", "404 EVIL", Status::Protocol),
        (
            "http://PROXY",
            "301 EVIL\r\nLocation: http://EVIL/",
            Status::Protocol,
        ),
    ] {
        let error = refused(form, move |session| {
            session.hear_start("CONNECT mail.nowhere.invalid:25 HTTP/1.1");
            session.say_octets(format!("HTTP/1.1 {said}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        });
        assert_eq!(error.status(), status, "{error}");
        errors.push(error);
    }
    let endless = [
        b"HTTP/1.1 200 OK\r\n".as_slice(),
        &b"X-EVIL: a\r\n".repeat(10_000),
    ]
    .concat();
    for (said, status) in [
        (b"220 mail.example EVIL\r\n".to_vec(), Status::Protocol),
        (
            [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &b"a".repeat(20_000)].concat(),
            Status::Protocol,
        ),
        (b"HTTP/1.1 100 Go on\r\n\r\n".repeat(100), Status::Protocol),
        (b"HTTP/1.1 200".to_vec(), Status::ConnectionLost),
    ] {
        let error = refused("http://PROXY", move |session| {
            session.hear_start("CONNECT ");
            session.hear_start("Host: ");
            session.hear("\n");
            session.say_octets(&said);
        });
        assert_eq!(error.status(), status, "{error}");
        errors.push(error);
    }
    all_different(&errors);
    let error = refused("http://PROXY", move |session| {
        session.hear_start("CONNECT ");
        session.say_octets(&endless);
    });
    assert_eq!(error.status(), Status::Protocol, "{error}");
}

#[test]
fn a_silent_proxy_costs_connect_timeout_and_no_more() {
    for form in ["socks5h://PROXY", "http://PROXY"] {
        let begun = std::time::Instant::now();
        let error = refused(form, |session| session.skip(usize::MAX));
        assert_eq!(error.status(), Status::Timeout, "{error}");
        assert!(error.message().contains("3.5 s"), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

#[test]
fn a_proxy_that_is_not_there_is_told_from_a_server_that_is_not() {
    let server = Server::new(Vec::new());
    let options = through("socks5h://PROXY", &server);
    let proxy = format!("127.0.0.1:{}", server.port());
    server.join();
    let error = send(options.clone(), &["you@example.org"]).unwrap_err();
    assert_eq!(error.status(), Status::ConnectionRefused, "{error}");
    assert_eq!(error.peer(), Some(format!("{SERVER}:25").as_str()));
    let text = format!("nothing listens on {proxy}");
    assert!(error.message().contains(&text), "{error}");
    assert!(error.message().contains("that is the proxy"), "{error}");

    let mut unknown = options;
    unknown
        .set_proxy(Some("http://proxy.nowhere.invalid:3128"))
        .unwrap();
    let error = send(unknown, &["you@example.org"]).unwrap_err();
    assert_eq!(error.status(), Status::Dns, "{error}");
    assert!(error.message().contains("that is the proxy"), "{error}");
}

#[test]
fn tls_is_with_the_server_and_its_certificate_for_the_servers_name() {
    for (name, status) in [(SERVER, None), ("127.0.0.1", Some(Status::CertificateName))] {
        let (server, root) = taking(&[name]);
        let address = server.addresses()[0];
        let proxy = Server::once(move |session| {
            session
                .hear("CONNECT mail.nowhere.invalid:25 HTTP/1.1\nHost: mail.nowhere.invalid:25\n");
            session.hear_octets(b"\r\n");
            session.say_octets(b"HTTP/1.1 200 OK\r\n\r\n");
            forward(&session.raw(), &TcpStream::connect(address).unwrap());
        });
        let mut options = dialling(&server, &root, SERVER);
        options.set_server(SERVER, Some(25)).unwrap();
        let url = format!("http://127.0.0.1:{}", proxy.port());
        options.set_proxy(Some(&url)).unwrap();
        let client = Client::new(options).unwrap();
        match tls_of_send(&client, &server) {
            Ok(_) => assert_eq!(status, None),
            Err(error) => assert_eq!(Some(error.status()), status, "{error}"),
        }
        drop(client);
        proxy.join();
    }
}

/// Copies both ways until both sides have closed.
fn forward(one: &TcpStream, other: &TcpStream) {
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| copy(one, other));
        copy(other, one);
    });
}

#[test]
fn a_unix_socket_has_no_proxy() {
    let mut options = Options::new();
    options.set_unix_socket("/run/lmtp").unwrap();
    options.set_proxy(Some("socks5://127.0.0.1")).unwrap();
    let error = Client::new(options.clone()).unwrap_err();
    assert!(error.message().starts_with("proxy: "), "{error}");
    options.set_proxy(None).unwrap();
    Client::new(options).unwrap();
}
