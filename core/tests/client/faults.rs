//! What can go wrong, each through a session of its own: every fault has its own text, which tells the host, the phase and what to try.

mod certificates;
mod delivery;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use mailwire::client::Options;
use mailwire::sasl::Credentials;
use mailwire::tls::TlsPolicy;
use mailwire::{Error, Phase, Status};
use socket2::{Domain, Socket, Type};

pub(crate) use delivery::answering;

use crate::script::{Server, Session};
use crate::{options, send};

/// What the server does, and what the client is told to do.
type Play = (fn(&mut Session), fn(&mut Options));

/// The faults so far, each with its text.
#[derive(Default)]
struct Table(Vec<(&'static str, String)>);

impl Table {
    /// The error is this one, it says where and what to try, and no other says the same.
    fn add(&mut self, fault: &'static str, error: &Error, expected: (Status, Phase), hint: &str) {
        let text = error.to_string();
        let told = (error.status(), error.phase());
        assert_eq!(told, (expected.0, Some(expected.1)), "{fault}: {text}");
        let peer = error.peer().unwrap_or_else(|| panic!("{fault}: {text}"));
        assert!(text.starts_with(peer), "{fault}: {text}");
        let phase = format!(": {}: ", expected.1);
        assert!(text.contains(&phase), "{fault}: {text}");
        assert!(
            error.message().contains(hint),
            "{fault}: no {hint:?} in {text}"
        );
        let message = error.message().replace(|c: char| c.is_ascii_digit(), "");
        for (other, same) in &self.0 {
            assert_ne!(&message, same, "{fault} is told as {other} is");
        }
        self.0.push((fault, message));
    }

    /// The same of a session with a server that follows a script.
    fn play(
        &mut self,
        fault: &'static str,
        (script, change): Play,
        expected: (Status, Phase),
        hint: &str,
    ) {
        let server = Server::once(script);
        let mut options = options(&server);
        change(&mut options);
        let error = send(options, &["a@x.example"]).unwrap_err();
        self.add(fault, &error, expected, hint);
        server.join();
    }
}

fn as_is(_: &mut Options) {}

fn login(options: &mut Options) {
    options.set_credentials(Credentials::new("user", "secret").unwrap());
    options.set_tls(TlsPolicy::None);
    options.set_allow_plaintext_auth(true);
}

fn with_starttls(options: &mut Options) {
    options.set_tls(TlsPolicy::Required);
}

fn with_smtps(options: &mut Options) {
    options.set_tls(TlsPolicy::Implicit);
}

/// Does not wait for long.
fn impatient(options: &mut Options) {
    let soon = Duration::from_secs(3);
    options.set_timeout(Some(soon)).unwrap();
    options.set_connect_timeout(soon).unwrap();
}

#[test]
fn every_fault_has_its_own_text_with_the_place_and_what_to_try() {
    let mut table = Table::default();
    no_connection(&mut table);
    no_greeting(&mut table);
    no_tls(&mut table);
    certificates::add(&mut table);
    no_login(&mut table);
    delivery::add(&mut table);
}

fn no_connection(table: &mut Table) {
    let to = |host: &str, port: u16| {
        let mut options = Options::new();
        options.set_server(host, Some(port)).unwrap();
        impatient(&mut options);
        send(options, &["a@x.example"]).unwrap_err()
    };
    let error = to("no-such-host.invalid", 25);
    // Which of the two depends on the machine's name server.
    let hint = if error.is_transient() {
        "try again later"
    } else {
        "check the spelling"
    };
    table.add(
        "name not found",
        &error,
        (Status::Dns, Phase::Resolve),
        hint,
    );

    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    table.add(
        "refused",
        &to("127.0.0.1", port),
        (Status::ConnectionRefused, Phase::Connect),
        "is the server running, and the port right?",
    );

    let (port, _silent) = filtered();
    table.add(
        "port filtered",
        &to("127.0.0.1", port),
        (Status::Timeout, Phase::Connect),
        "a firewall may be dropping port",
    );
}

/// A port that lets every connection wait, as behind a firewall: the queue of its listener is full.
fn filtered() -> (u16, Vec<Socket>) {
    let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let listener = socket();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let waiting = socket();
        waiting.set_nonblocking(true).unwrap();
        let _ = waiting.connect(&address.into());
        sockets.push(waiting);
    }
    (address.port(), sockets)
}

fn no_greeting(table: &mut Table) {
    let lost = (Status::ConnectionLost, Phase::Greeting);
    let late = (Status::Timeout, Phase::Greeting);
    table.play(
        "greeting absent",
        (Session::closed, impatient),
        late,
        "overloaded, or that expects TLS from the start (smtps://)",
    );
    table.play(
        "closed without a greeting",
        (Session::hang_up, as_is),
        lost,
        "it may refuse this host, or expect TLS from the start (smtps://)",
    );
    plain_on_a_tls_port(table);
    table.play(
        "no SMTP",
        (|s| s.say("SSH-2.0-OpenSSH\n"), as_is),
        (Status::Protocol, Phase::Greeting),
        "is this an SMTP port",
    );
    table.play(
        "not here",
        (|s| s.say("554 5.7.1 no service\n"), as_is),
        (Status::Permanent, Phase::Greeting),
        "ask its operator",
    );
    table.play(
        "not now",
        (|s| s.say("421 4.3.2 going down\n"), as_is),
        (Status::Transient, Phase::Greeting),
        "try again later",
    );
    table.play(
        "EHLO refused",
        (
            |s| {
                s.say("220 a.example\n");
                s.hear_start("EHLO ");
                s.say("501 bad name\n");
                s.goodbye();
            },
            as_is,
        ),
        (Status::Permanent, Phase::Hello),
        "another local_hostname may help",
    );
}

fn no_tls(table: &mut Table) {
    table.play(
        "TLS on a plain port",
        (|s| s.say("220 a.example\n"), with_smtps),
        (Status::Tls, Phase::Tls),
        "use tls=required for STARTTLS, or another port",
    );
    table.play(
        "closed instead of TLS",
        (
            |s| {
                s.skip(5);
                s.hang_up();
            },
            with_smtps,
        ),
        (Status::ConnectionLost, Phase::Tls),
        "it may not speak TLS on this port",
    );
    table.play(
        "closed behind STARTTLS",
        (
            |s| {
                s.welcome(&["STARTTLS"]);
                s.hear("STARTTLS");
                s.say("220 go\n");
                s.skip(5);
                s.hang_up();
            },
            with_starttls,
        ),
        (Status::ConnectionLost, Phase::Tls),
        "its operator has to mend",
    );
    table.play(
        "STARTTLS not offered",
        (
            |s| {
                s.welcome(&["SIZE"]);
                s.goodbye();
            },
            with_starttls,
        ),
        (Status::TlsNotOffered, Phase::StartTls),
        "it may be the wrong port",
    );
    table.play(
        "STARTTLS refused",
        (
            |s| {
                s.welcome(&["STARTTLS"]);
                s.hear("STARTTLS");
                s.say("454 4.7.0 no TLS today\n");
                s.goodbye();
            },
            with_starttls,
        ),
        (Status::TlsRefused, Phase::StartTls),
        "try again later",
    );
    table.play(
        "injected behind STARTTLS",
        (
            |s| {
                s.welcome(&["STARTTLS"]);
                s.hear("STARTTLS");
                s.say("220 go\n250 injected\n");
                s.closed();
            },
            with_starttls,
        ),
        (Status::Protocol, Phase::StartTls),
        "another port may be safe",
    );
}

/// The port has to be 465, which only a proxy lends to a test.
fn plain_on_a_tls_port(table: &mut Table) {
    let scripts: [(_, _, fn(&mut Session), _); 3] = [
        (
            "plain on a TLS port",
            Status::Timeout,
            Session::closed,
            "no answer within",
        ),
        (
            "plain on a TLS port that closes",
            Status::ConnectionLost,
            Session::hang_up,
            "closed the connection",
        ),
        (
            "plain on a TLS port that answers",
            Status::Protocol,
            // An alert.
            |s| s.say_octets(b"\x15\x03\x01\0\x02\x02\x0a\r\n"),
            "not an SMTP reply",
        ),
    ];
    for (fault, status, script, word) in scripts {
        let proxy = Server::once(move |s| {
            s.hear_start("CONNECT mail.example:465 ");
            while !s.hear_start("").is_empty() {}
            s.say("HTTP/1.1 200 OK\n\n");
            script(s);
        });
        let mut options = Options::new();
        options.set_server("mail.example", Some(465)).unwrap();
        options.set_tls(TlsPolicy::None);
        let url = format!("http://127.0.0.1:{}", proxy.port());
        options.set_proxy(Some(&url)).unwrap();
        impatient(&mut options);
        let error = send(options, &["a@x.example"]).unwrap_err();
        let hint = "this port speaks TLS from the start, use smtps://";
        table.add(fault, &error, (status, Phase::Greeting), hint);
        assert!(error.message().contains(word), "{error}");
        proxy.join();
    }
}

fn no_login(table: &mut Table) {
    table.play(
        "AUTH not offered",
        (|s| s.welcome(&[]), login),
        (Status::AuthNotOffered, Phase::Auth),
        "587 and 465 are the usual ones",
    );
    table.play(
        "mechanism missing",
        (|s| s.welcome(&["AUTH GSSAPI"]), login),
        (Status::AuthMechanism, Phase::Auth),
        "other credentials may be needed",
    );
    table.play(
        "wrong password",
        (
            |s| {
                s.welcome(&["AUTH PLAIN LOGIN"]);
                s.hear_start("AUTH PLAIN ");
                s.say("535 5.7.8 wrong\n");
                s.goodbye();
            },
            login,
        ),
        (Status::AuthRejected, Phase::Auth),
        "many providers want an app password here",
    );
}
