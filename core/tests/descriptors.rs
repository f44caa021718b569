//! A client leaves no descriptor open, whatever became of its connections. Alone in its process, since it counts all of them.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options};
use mailwire::proto::Envelope;

/// How often the server goes through all that it does.
const ROUNDS: usize = 10;

/// A server that hangs up after so many lines of one connection, in turn, and never answers QUIT.
fn server(connections: usize) -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        for number in 0..connections {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let _ = stream.write_all(b"220 test.example\r\n");
            let (mut body, mut left) = (false, number % 12);
            for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                let Ok(line) = line else { break };
                if left == 0 || line == "QUIT" {
                    break;
                }
                left -= 1;
                if body && line != "." {
                    continue;
                }
                body = line == "DATA";
                let reply: &[u8] = if body {
                    b"354 go on\r\n"
                } else {
                    b"250 ok\r\n"
                };
                let _ = stream.write_all(reply);
            }
        }
    });
    (port, serving)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Sends until the server has hung up in every way, so many times.
fn send_through(rounds: usize) {
    let (port, serving) = server(12 * rounds);
    let envelope = Envelope::parse("a@b.example", ["c@d.example"]).unwrap();
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(port)).unwrap();
    let client = Client::new(options).unwrap();
    let (mut sent, mut failed) = (0, 0);
    while !serving.is_finished() {
        let content = Content::bytes(b"x\r\n");
        match client.send(&envelope, content, Call::default()) {
            Ok(_) => sent += 1,
            Err(_) => failed += 1,
        }
    }
    drop(client);
    serving.join().unwrap();
    assert!(
        sent >= rounds && failed >= rounds,
        "{sent} sent, {failed} failed"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn no_descriptor_is_left_open() {
    // What a process opens once and for all.
    send_through(1);
    let before = descriptors();
    send_through(ROUNDS);
    assert_eq!(descriptors(), before);
}
