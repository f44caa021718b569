//! Addresses that several servers or listeners share, and those that a server has just left.

use std::collections::HashSet;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use super::super::{Options, Server};
use super::{Running, Scripted, Seen, Talk};

fn options(hostname: &str, listen: &str) -> Options {
    let mut options = Options::new();
    options.set_hostname(hostname).unwrap();
    options.listen(listen).unwrap();
    options
}

#[test]
fn two_servers_share_a_port_if_both_want_to() {
    let sharing = |hostname: &str, listen: &str| {
        let mut options = options(hostname, listen);
        options.set_reuse_port(true);
        options
    };
    let one = Running::start(sharing("one.example", "127.0.0.1:0"));
    let listen = one.address.to_string();
    let alone = Server::bind(options("three.example", &listen)).unwrap_err();
    assert!(alone.message().contains("reuse_port"), "{alone}");
    let two = Running::start(sharing("two.example", &listen));
    assert_eq!(one.address, two.address);
    let mut greetings = HashSet::new();
    // Each connection goes to either by chance.
    for _ in 0..200 {
        greetings.insert(Talk::connect(one.address).reply());
        if greetings.len() == 2 {
            return;
        }
    }
    panic!("one of them got nothing: {greetings:?}");
}

#[test]
fn all_addresses_of_both_families_are_listed_with_one_port_and_served() {
    // The port is free for the other family too, unless somebody takes it at this moment.
    let bound = (0..20).find_map(|_| {
        let mut options = options("mx.example.org", "[::]:0");
        let first = Server::bind(options.clone()).unwrap();
        let port = first.addresses()[0].port();
        drop(first);
        options = self::options("mx.example.org", &format!("[::]:{port}"));
        options.listen(&format!("0.0.0.0:{port}")).unwrap();
        Server::bind(options).ok().map(|server| (server, port))
    });
    let (server, port) = bound.expect("the families have no port in common");
    assert_eq!(server.addresses().len(), 2);
    let seen = Seen::default();
    let server = Running::of(server, Scripted(seen.clone()), seen);
    for ip in ["127.0.0.1", "[::1]"] {
        let mut talk = Talk::connect(format!("{ip}:{port}").parse().unwrap());
        assert_eq!(talk.reply(), "220 mx.example.org ESMTP");
        assert!(talk.ask("EHLO client.example").starts_with("250-"));
        let reply = talk.message("a@b.example", &["c@d.example"], b"x\r\n");
        assert_eq!(reply, "250 2.0.0 queued");
    }
    assert_eq!(server.statistics().messages, 2);
}

#[test]
fn a_second_start_on_the_same_port_works_at_once() {
    let mut listen = "127.0.0.1:0".to_owned();
    for _ in 0..3 {
        let server = Running::start(options("mx.example.org", &listen));
        listen = server.address.to_string();
        let mut clients: Vec<_> = (0..10).map(|_| server.client()).collect();
        // The server closes first, so what is left of the connections (TIME_WAIT) is at its port.
        server.stop();
        for client in &mut clients {
            assert!(client.reply().starts_with("421 4.3.2"));
            assert!(client.is_closed());
        }
    }
}

#[test]
fn a_socket_of_the_program_is_listened_on_and_given_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let copy = listener.try_clone().unwrap();
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    options.listen_on(listener).unwrap();
    assert!(
        options
            .listen_on(copy)
            .unwrap_err()
            .message()
            .contains("already")
    );
    // The options keep the socket: it can be served again, and nobody is refused in between.
    for _ in 0..2 {
        let server = Running::start(options.clone());
        assert_eq!(server.address, address);
        server.greeted();
        server.stop();
    }
    drop(options);
    assert!(
        TcpStream::connect(address).is_err(),
        "the socket is still open"
    );
}

#[test]
fn who_may_connect_to_a_unix_socket_is_said_by_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lmtp");
    let mode = |mode: u32| {
        let mut options = options("mx.example.org", &format!("unix:{}", path.display()));
        options.set_unix_mode(mode).unwrap();
        let _server = Server::bind(options).unwrap();
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(0o600), 0o600);
    assert_eq!(mode(0o666), 0o666);
}
