//! No secret is in anything that is shown: not in a transcript, an error, an outcome or what `Debug` says of anything, whether the
//! login succeeds or not, and whatever the server says back.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::engine::{Engine, general_purpose::STANDARD};
use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::sasl::{Mechanism, Secret};
use mailwire::transcript::Buffer;

use crate::logins::{MECHANISMS, log_in, offering, secret_of};
use crate::server::Server;
use crate::{MESSAGE, envelope, recorded};

const PROXY_PASSWORD: &str = "sesame-open";

/// All that is shown of a session by each thing that a program has in hand, and all that is logged.
fn shown(options: &Options, buffer: &Buffer) -> String {
    #[cfg(feature = "tracing")]
    let (shown, logged) = crate::spans::told_of(|| in_hand(options, buffer));
    #[cfg(not(feature = "tracing"))]
    let (shown, logged) = (in_hand(options, buffer), "");
    format!("{shown}{logged}")
}

fn in_hand(options: &Options, buffer: &Buffer) -> String {
    let mut shown = format!("{options:?}{options:#?}");
    let client = Client::new(options.clone()).unwrap();
    for _ in 0..2 {
        let content = Content::bytes(MESSAGE);
        match client.send(
            &envelope(&["no@x.example", "a@x.example"]),
            content,
            Call::default(),
        ) {
            Ok(outcome) => write!(shown, "{outcome:?}{:?}", outcome.queue_id()).unwrap(),
            Err(error) => {
                write!(shown, "{error}{error:?}{error:#?}").unwrap();
                let mut source = std::error::Error::source(&error);
                while let Some(cause) = source {
                    write!(shown, "{cause}{cause:?}").unwrap();
                    source = cause.source();
                }
            }
        }
    }
    let asked = client.ask(mailwire::client::Request::Noop, Call::default());
    write!(shown, "{asked:?}{client:?}{client:#?}").unwrap();
    drop(client);
    for event in buffer.events() {
        write!(shown, "{event}{event:#}{event:?}{}", event.to_json()).unwrap();
    }
    write!(shown, "{buffer}{buffer:?}").unwrap();
    shown
}

/// What must not be found of a secret: itself, and what base64 makes of it and of the whole of what is said with it.
fn forms(secret: &str) -> Vec<String> {
    let messages = [
        secret.to_owned(),
        format!("\0tim\0{secret}"),
        format!("user=tim\x01auth=Bearer {secret}\x01\x01"),
        format!("n,a=tim,\x01auth=Bearer {secret}\x01\x01"),
        format!("tim:{secret}"),
    ];
    let coded = messages.iter().map(|message| STANDARD.encode(message));
    let mut forms: Vec<String> = coded.collect();
    let twice: Vec<String> = forms.iter().map(|coded| STANDARD.encode(coded)).collect();
    forms.extend(twice);
    // Half of it would be too much.
    let half = secret.len() / 2;
    forms.extend([
        secret.to_owned(),
        secret[..half].to_owned(),
        secret[half..].to_owned(),
    ]);
    forms.push(STANDARD.encode(&secret[..secret.len() / 3 * 3]));
    // What is said twice in base64, but for its end.
    forms.extend(["\0tim\0", ""].map(|user| {
        let said = STANDARD.encode(format!("{user}{secret}"));
        STANDARD.encode(&said[..said.len() / 4 * 3])
    }));
    forms
}

fn assert_hidden(shown: &str, secret: &str, what: &str) {
    for form in forms(secret) {
        if let Some(at) = shown.find(&form) {
            let around = &shown.as_bytes()[at.saturating_sub(200)..shown.len().min(at + 200)];
            panic!("{what}: {form:?} in {:?}", String::from_utf8_lossy(around));
        }
    }
}

#[test]
fn no_mechanism_shows_its_secret_whatever_the_server_says_back() {
    for mechanism in MECHANISMS {
        for takes in [true, false] {
            for echoes in [false, true] {
                let what = format!("{mechanism:?}, taken: {takes}, said back: {echoes}");
                let mut behaviour = offering(mechanism, takes, echoes);
                // A client that is refused comes again with each call.
                behaviour.connections = if takes { 1 } else { 3 };
                let server = Server::start(behaviour);
                let (mut options, buffer) = recorded(&server);
                log_in(&mut options, mechanism);
                let shown = shown(&options, &buffer);
                server.join();
                assert_hidden(&shown, secret_of(mechanism), &what);
                // It was there to be found: the server has said something in place of which this stands.
                let code = if takes { "235 2.7.0" } else { "535 5.7.8" };
                assert!(shown.contains(code), "{what}");
                assert_eq!(shown.contains("***"), echoes, "{what}");
            }
        }
    }
}

#[test]
fn a_token_that_is_fetched_is_hidden_too() {
    for mechanism in [Mechanism::Xoauth2, Mechanism::OauthBearer] {
        let token = secret_of(mechanism);
        let server = Server::start(offering(mechanism, true, true));
        let (mut options, buffer) = recorded(&server);
        log_in(&mut options, mechanism);
        let fetch = move |_| std::future::ready(Ok(Secret::new(token)));
        options.set_token_source("tim", fetch).unwrap();
        let shown = shown(&options, &buffer);
        server.join();
        assert!(shown.contains("***"));
        assert_hidden(&shown, token, mechanism.name());
    }
}

#[test]
fn a_server_that_knows_the_password_before_the_login_does_not_get_it_shown() {
    for (start, reply) in [
        (
            "EHLO",
            "250-mx.example correct-horse\r\n250 AUTH correct-horse",
        ),
        ("EHLO", "550 correct-horse"),
        ("EHLO", "421 correct-horse"),
        ("EHLO", "what, correct-horse?"),
        ("EHLO", "250-correct-horse\r\n251 correct-horse"),
        (
            "EHLO",
            "250 ok\r\n250 correct-horse\r\n250 AGppbTIAY29ycmVjdC1ob3JzZQ==",
        ),
    ] {
        let mut behaviour = offering(Mechanism::Plain, true, false);
        behaviour.instead = vec![(start, reply)];
        behaviour.connections = 3;
        let server = Server::start(behaviour);
        let (mut options, buffer) = recorded(&server);
        log_in(&mut options, Mechanism::Plain);
        let shown = shown(&options, &buffer);
        server.join();
        assert_hidden(&shown, secret_of(Mechanism::Plain), reply);
    }
}

/// A proxy that takes one connection and its login, by SOCKS5 or CONNECT, and hands all that follows on to a port.
fn proxy(server: u16, takes: bool) -> (u16, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        for _ in 0..if takes { 1 } else { 3 } {
            let (mut client, _) = listener.accept().unwrap();
            let mut first = [0; 1];
            client.read_exact(&mut first).unwrap();
            if first[0] == 5 {
                socks(&mut client, takes);
            } else {
                connect(&mut client, takes);
            }
            if takes {
                hand_on(client, TcpStream::connect(("127.0.0.1", server)).unwrap());
            }
        }
    });
    (port, thread)
}

fn socks(client: &mut TcpStream, takes: bool) {
    let read = |client: &mut TcpStream, octets: usize| {
        let mut heard = vec![0; octets];
        client.read_exact(&mut heard).unwrap();
        heard
    };
    let methods = read(client, 1)[0];
    read(client, methods.into());
    client.write_all(&[5, 2]).unwrap();
    read(client, 1);
    for expected in ["joe", PROXY_PASSWORD] {
        let length = read(client, 1)[0];
        assert_eq!(read(client, length.into()), expected.as_bytes());
    }
    client.write_all(&[1, u8::from(!takes)]).unwrap();
    if takes {
        read(client, 10);
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
    }
}

fn connect(client: &mut TcpStream, takes: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        client.read_exact(&mut octet).unwrap();
        head.extend(octet);
    }
    let head = String::from_utf8(head).unwrap();
    let login = STANDARD.encode(format!("joe:{PROXY_PASSWORD}"));
    assert!(head.contains(&format!("Proxy-Authorization: Basic {login}")));
    let status = if takes { "200 OK" } else { "407 no" };
    let scheme = format!("Proxy-Authenticate: Basic realm=\"{PROXY_PASSWORD}\"");
    write!(
        client,
        "HTTP/1.1 {status} {PROXY_PASSWORD}\r\n{scheme}\r\n\r\n"
    )
    .unwrap();
}

fn hand_on(client: TcpStream, server: TcpStream) {
    let pairs = [
        (client.try_clone().unwrap(), server.try_clone().unwrap()),
        (server, client),
    ];
    let threads = pairs.map(|(mut from, mut to)| {
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn neither_the_password_of_a_proxy_nor_that_behind_it_is_shown() {
    for scheme in ["socks5", "http"] {
        for takes in [true, false] {
            let mut behaviour = offering(Mechanism::Plain, true, true);
            // It knows the other password too.
            behaviour.instead = vec![("NOOP", "250 sesame-open c2VzYW1lLW9wZW4=")];
            let server = Server::start(behaviour);
            let (port, thread) = proxy(server.port, takes);
            let (mut options, buffer) = recorded(&server);
            log_in(&mut options, Mechanism::Plain);
            let url = format!("{scheme}://joe:{PROXY_PASSWORD}@127.0.0.1:{port}");
            options.set_proxy(Some(&url)).unwrap();
            let shown = shown(&options, &buffer);
            thread.join().unwrap();
            let what = format!("{scheme}, taken: {takes}");
            assert_hidden(&shown, PROXY_PASSWORD, &what);
            assert_hidden(&shown, secret_of(Mechanism::Plain), &what);
            let notes = crate::notes(&buffer);
            let asked = "* connected to ADDRESS\n* asking the proxy ADDRESS for ADDRESS\n";
            assert!(notes.contains(asked), "{notes}");
            let connected = "* the proxy ADDRESS has connected\nS 220 ";
            assert_eq!(notes.contains(connected), takes, "{notes}");
            if !takes {
                // The server is still waiting for somebody.
                drop(TcpStream::connect(("127.0.0.1", server.port)).unwrap());
            }
            server.join();
        }
    }
}
