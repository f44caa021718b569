//! How a client comes to its server: from which address, and by which name it says EHLO.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Options, Request};

use crate::script::Server;
use crate::{options, send};

#[test]
#[cfg(target_os = "linux")]
fn the_server_sees_the_source_address() {
    for (source, seen) in [(None, "127.0.0.1"), (Some("127.0.0.2"), "127.0.0.2")] {
        let server = Server::once(move |s| {
            let peer = s.raw().peer_addr().unwrap();
            assert_eq!(peer.ip().to_string(), seen);
            s.welcome(&[]);
            s.accept_one();
            s.goodbye();
        });
        let mut options = options(&server);
        if let Some(source) = source {
            options.set("source_address", source).unwrap();
        }
        send(options, &["a@x.example"]).unwrap();
        server.join();
    }
}

/// Greets, and gives the line that the client says hello with.
fn hello(stream: impl Read + Write) -> String {
    let mut stream = BufReader::new(stream);
    let say = |stream: &mut BufReader<_>, line: &str| {
        let said = Write::write_all(stream.get_mut(), line.as_bytes());
        said.unwrap();
        let mut heard = String::new();
        stream.read_line(&mut heard).unwrap();
        heard
    };
    let hello = say(&mut stream, "220 a.example\r\n");
    assert_eq!(say(&mut stream, "250 a.example\r\n"), "NOOP\r\n");
    assert_eq!(say(&mut stream, "250 ok\r\n"), "QUIT\r\n");
    Write::write_all(stream.get_mut(), b"221 bye\r\n").unwrap();
    hello
}

fn ask(url: &str) {
    let client = Client::new(Options::from_url(url).unwrap()).unwrap();
    client.ask(Request::Noop, Call::default()).unwrap();
}

/// The name of this host, if it is a full one; the other if it is not.
fn full_name_or(other: &str) -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let name = name.trim_end();
    if name.contains('.') { name } else { other }.to_owned()
}

/// What a client says whose server is at this address.
fn hello_at(address: &str, query: &str) -> Option<String> {
    let listener = TcpListener::bind((address, 0)).ok()?;
    let port = listener.local_addr().unwrap().port();
    let serving = thread::spawn(move || hello(listener.accept().unwrap().0));
    let host = if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    };
    ask(&format!("smtp://{host}:{port}?tls=none{query}"));
    Some(serving.join().unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn ehlo_has_the_hosts_full_name_or_the_address_of_this_end_unless_a_name_is_set() {
    let name = full_name_or("[127.0.0.1]");
    assert_eq!(
        hello_at("127.0.0.1", "").unwrap(),
        format!("EHLO {name}\r\n")
    );
    // A machine may be without IPv6.
    if let Some(heard) = hello_at("::1", "") {
        let name = full_name_or("[IPv6:::1]");
        assert_eq!(heard, format!("EHLO {name}\r\n"));
    }
    let set = "&local_hostname=client.example";
    assert_eq!(
        hello_at("127.0.0.1", set).unwrap(),
        "EHLO client.example\r\n"
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let serving = thread::spawn(move || hello(listener.accept().unwrap().0));
    ask(&format!("lmtp+unix://{}", path.display()));
    let name = full_name_or("[127.0.0.1]");
    assert_eq!(serving.join().unwrap(), format!("LHLO {name}\r\n"));
}
