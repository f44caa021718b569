//! Listening on what a parent process hands over, and a server that is out of descriptors. Each is in a process of its own, since
//! descriptors and their limit belong to the whole of it.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::collections::HashSet;
use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use mailwire::Status;
use mailwire::blocking::{Call, EventKind, Server};
use mailwire::server::Options;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const PATIENCE: Duration = Duration::from_secs(20);

/// Tells a test that it runs in a process of its own, and as what.
const ROLE: &str = "MAILWIRE_TEST_ROLE";

/// The arguments by which this program runs the test `name` alone.
fn alone(name: &str) -> [&str; 4] {
    ["--exact", name, "--nocapture", "--test-threads=1"]
}

/// Runs the heir as `role` in a process that finds `socket` as its descriptor 3, and `another` as its descriptor 4.
fn heir(role: &str, socket: OwnedFd, another: Option<OwnedFd>) -> thread::JoinHandle<Output> {
    let count = 1 + usize::from(another.is_some());
    let script = format!(
        r#"exec 3<&0 </dev/null{}; LISTEN_PID=$$ LISTEN_FDS={count} exec "$0" "$@""#,
        if another.is_some() { " 4<&2 2>&1" } else { "" }
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .arg(env::current_exe().unwrap())
        .args(alone("an_heir_in_a_process_of_its_own"))
        .env(ROLE, role)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::piped())
        .stderr(another.map_or_else(Stdio::piped, Stdio::from));
    thread::spawn(move || command.spawn().unwrap().wait_with_output().unwrap())
}

fn speak(stream: impl Read + Write, lines: &[&str]) {
    let mut stream = BufReader::new(stream);
    let mut reply = String::new();
    stream.read_line(&mut reply).unwrap();
    assert_eq!(reply, "220 heir.example ESMTP\r\n");
    for line in lines {
        let line = format!("{line}\r\n");
        stream.get_mut().write_all(line.as_bytes()).unwrap();
        reply.clear();
        stream.read_line(&mut reply).unwrap();
        assert!(reply.starts_with(['2', '3']), "{line}: {reply}");
    }
}

const MAIL: [&str; 5] = [
    "HELO client.example",
    "MAIL FROM:<a@b.example>",
    "RCPT TO:<c@d.example>",
    "DATA",
    "Hello.\r\n.",
];

fn were_taken(output: &Output, messages: usize) {
    let told = String::from_utf8_lossy(&output.stdout);
    let taken = told.matches("a message was taken").count();
    assert_eq!(taken, messages, "{told}");
    assert!(told.contains("all is over"), "{told}");
}

#[test]
fn a_socket_that_a_parent_listens_on_is_taken_by_its_number() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let heir = heir("fd:3", listener.into(), None);
    speak(patient(address), &MAIL);
    were_taken(&heir.join().unwrap(), 1);
}

#[test]
fn sockets_of_systemd_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("smtp");
    for with_ipv6 in [false, true] {
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let another = with_ipv6.then(|| TcpListener::bind("[::1]:0").unwrap());
        let address = another
            .as_ref()
            .map(|another| another.local_addr().unwrap());
        let heir = heir("systemd", listener.into(), another.map(OwnedFd::from));
        let stream = UnixStream::connect(&path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        speak(stream, &MAIL);
        if let Some(address) = address {
            speak(patient(address), &MAIL);
        }
        were_taken(&heir.join().unwrap(), 1 + usize::from(with_ipv6));
    }
}

#[test]
fn an_heir_in_a_process_of_its_own() {
    let Ok(role) = env::var(ROLE) else {
        return;
    };
    let mut options = Options::new();
    options.set_hostname("heir.example").unwrap();
    options.listen(&role).unwrap();
    // By whatever name, it is the same socket.
    for again in ["fd:3", "systemd"] {
        let error = options.listen(again).unwrap_err();
        assert!(error.message().contains("already"), "{error}");
    }
    // A program that is started from here does not get it.
    let inherited = Command::new("sh")
        .args(["-c", "true <&3"])
        .output()
        .unwrap();
    assert!(!inherited.status.success());
    let server = Server::start(options).unwrap();
    let mut left: usize = env::var("LISTEN_FDS").unwrap().parse().unwrap();
    while left > 0 {
        let event = server.next_event(Some(PATIENCE), Call::default()).unwrap();
        let mut event = event.expect("no message came");
        if matches!(event.kind(), EventKind::Message { .. }) {
            event.accept().unwrap();
            println!("a message was taken");
            left -= 1;
        }
    }
    server.shutdown(PATIENCE).unwrap();
    println!("all is over");
}

/// A process that listens with others at an address. It is ended when this is dropped.
struct Sharer {
    child: Child,
    /// Held until its end, for it writes there.
    _output: BufReader<ChildStdout>,
}

impl Sharer {
    /// Starts one that greets as `hostname`, and gives where it listens.
    fn start(hostname: &str, address: SocketAddr) -> (Self, SocketAddr) {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(alone("a_sharer_in_a_process_of_its_own"))
            .env(ROLE, format!("{hostname} {address}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let listens = output
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("it listens at ")?.1.parse().unwrap()));
        let sharer = Self {
            child,
            _output: output,
        };
        (sharer, listens.expect("it does not listen"))
    }
}

impl Drop for Sharer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn two_processes_share_a_port_and_both_get_connections() {
    let (_one, address) = Sharer::start("one.example", "127.0.0.1:0".parse().unwrap());
    let (_two, same) = Sharer::start("two.example", address);
    assert_eq!(address, same);
    let mut greetings = HashSet::new();
    // Each connection goes to either by chance.
    for _ in 0..200 {
        let mut greeting = String::new();
        let read = BufReader::new(patient(address)).read_line(&mut greeting);
        read.unwrap();
        assert!(greeting.starts_with("220 "), "{greeting}");
        greetings.insert(greeting);
        if greetings.len() == 2 {
            return;
        }
    }
    panic!("one of them got nothing: {greetings:?}");
}

#[test]
fn a_sharer_in_a_process_of_its_own() {
    let Ok(role) = env::var(ROLE) else {
        return;
    };
    let (hostname, address) = role.split_once(' ').unwrap();
    let mut options = Options::new();
    options.set_hostname(hostname).unwrap();
    options.listen(address).unwrap();
    options.set_reuse_port(true);
    let server = Server::start(options).unwrap();
    println!("it listens at {}", server.addresses()[0]);
    // Until nobody holds its standard input any more.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn nothing_is_taken_that_cannot_be_listened_on() {
    let refused = |text: &str| {
        let error = Options::new().listen(text).unwrap_err();
        assert_eq!(error.status(), Status::InvalidArgument, "{error}");
        error.message().to_owned()
    };
    assert!(refused("systemd").contains("LISTEN_PID"));
    assert!(refused("fd:123456").starts_with("listen: descriptor 123456"));
    let refused = |socket: OwnedFd| {
        let error = Options::new().listen_on(socket).unwrap_err();
        assert_eq!(error.status(), Status::InvalidArgument, "{error}");
        error.message().to_owned()
    };
    refused(File::open("/dev/null").unwrap().into());
    refused(std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into());
    let (one, _other) = UnixStream::pair().unwrap();
    assert!(refused(one.into()).contains("nobody listens"));
}

#[test]
fn a_server_out_of_descriptors_serves_whom_it_has_and_the_others_later() {
    let output = Command::new(env::current_exe().unwrap())
        .args(alone("out_of_descriptors_in_a_process_of_its_own"))
        .env(ROLE, "descriptors")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("served at last"), "{told}");
}

#[test]
fn out_of_descriptors_in_a_process_of_its_own() {
    if env::var(ROLE).as_deref() != Ok("descriptors") {
        return;
    }
    let mut options = Options::new();
    options.set_hostname("heir.example").unwrap();
    let server = Server::start(options).unwrap();
    let address = server.addresses()[0];
    let mut early = patient(address);
    speak(&early, &["HELO early.example"]);

    let limit = Rlimit {
        current: Some(64),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    // The one that is left is this client's, so there is none for the server's end.
    drop(hoard.pop());
    let mut late = patient(address);
    late.set_read_timeout(Some(Duration::from_millis(400)))
        .unwrap();
    let waits = late.read(&mut [0]).unwrap_err();
    assert!(
        matches!(waits.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{waits}"
    );

    assert!(server.statistics().failed_accepts > 0);
    // Who was there before notices nothing.
    let mail = thread::scope(|scope| {
        scope.spawn(|| {
            for line in &MAIL[1..] {
                early.write_all(format!("{line}\r\n").as_bytes()).unwrap();
                let mut reply = [0; 256];
                let length = early.read(&mut reply).unwrap();
                assert!(reply[..length].starts_with(b"2") || reply.starts_with(b"354"));
            }
        });
        let event = server.next_event(Some(PATIENCE), Call::default()).unwrap();
        event.unwrap().accept()
    });
    mail.unwrap();

    hoard.clear();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    speak(late, &["HELO late.example", "QUIT"]);
    println!("served at last");
}

/// A client that gives up in the end.
fn patient(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}
