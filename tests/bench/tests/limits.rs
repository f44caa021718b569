//! The limit programs for TLS count what is sent, wherever the octets are cut, and the client ends at a refusal. mailwire's listeners
//! count as they do, and idle connections are held.

use std::error::Error;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const SERVER: &str = env!("CARGO_BIN_EXE_limit-tls-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_limit-tls-client");
const SENDER: &str = env!("CARGO_BIN_EXE_bench-send");
const LISTENERS: [&str; 3] = [
    SERVER,
    env!("CARGO_BIN_EXE_bench-listen"),
    env!("CARGO_BIN_EXE_bench-events"),
];

/// Starts a listener for so many messages, over TLS where it is given a folder for certificate and key; gives its port too.
fn server(program: &str, messages: u64, folder: Option<&Path>) -> Result<(Child, String)> {
    let mut server = Command::new(program);
    server.args(["--messages", &messages.to_string(), "--seconds", "60"]);
    if let Some(folder) = folder {
        let made = Command::new(env!("CARGO_BIN_EXE_bench-certificate"))
            .args(pair(folder))
            .status()?;
        assert!(made.success());
        server.args(pair(folder));
    }
    let mut server = server.stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    // Read octet by octet, so that nothing behind the line is lost.
    let output = server.stdout.as_mut().ok_or("no output")?;
    BufReader::with_capacity(1, output).read_line(&mut line)?;
    let port = line.trim().strip_prefix("port ").ok_or("no port")?;
    Ok((server, port.to_owned()))
}

/// The options that name certificate and key.
fn pair(folder: &Path) -> [OsString; 4] {
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.join(name).into());
    ["--certificate".into(), certificate, "--key".into(), key]
}

/// Sends so many messages of a size by a program to a listener; gives what both report.
fn reports(
    listener: &str,
    program: &str,
    messages: u64,
    size: u64,
    more: &[&str],
) -> Result<[String; 2]> {
    let folder = tempfile::tempdir()?;
    let certificate = folder.path().join("certificate.pem");
    let (server, port) = server(listener, messages, Some(folder.path()))?;
    let [messages, size] = [messages.to_string(), size.to_string()];
    let sent = Command::new(program)
        .args(["--port", &port, "--messages", &messages, "--size", &size])
        .arg("--tls")
        .arg(certificate)
        .args(["--seconds", "60"])
        .args(more)
        .output()?;
    let counted = server.wait_with_output()?;
    assert!(
        sent.status.success(),
        "{}",
        String::from_utf8_lossy(&sent.stderr)
    );
    Ok([
        String::from_utf8(sent.stdout)?,
        String::from_utf8(counted.stdout)?,
    ])
}

#[test]
fn all_that_is_sent_over_tls_is_counted() -> Result {
    // The end mark lies at every place around the ends of what is read at a time.
    for size in [
        24,
        1024,
        64 * 1024 - 5,
        64 * 1024 - 3,
        64 * 1024 - 1,
        64 * 1024,
        300_000,
    ] {
        for (program, more) in [
            (CLIENT, ["--connections", "3"].as_slice()),
            (CLIENT, &["--connections", "3", "--mode", "0"]),
            (SENDER, &["--client", "tasks", "--connections", "3"]),
        ] {
            for report in reports(SERVER, program, 7, size, more)? {
                assert!(
                    report.starts_with("{\"messages\":7,\"connections\":3,"),
                    "{size}: {report}"
                );
            }
        }
    }
    for program in [CLIENT, SENDER] {
        let more = ["--client", "threads", "--connections", "2", "--fresh"];
        for report in reports(SERVER, program, 7, 1024, &more)? {
            assert!(
                report.starts_with("{\"messages\":7,\"connections\":7,"),
                "{report}"
            );
        }
    }
    Ok(())
}

#[test]
fn every_listener_counts_what_is_sent() -> Result {
    for listener in LISTENERS {
        for (more, connections) in [("--connections", 3), ("--fresh", 7)] {
            let more = [more, "3", "--mode", "0"];
            for report in reports(listener, CLIENT, 7, 100_000, &more)? {
                let start = format!("{{\"messages\":7,\"connections\":{connections},");
                assert!(report.starts_with(&start), "{listener}: {report}");
            }
        }
    }
    Ok(())
}

#[test]
fn idle_connections_are_opened_and_held() -> Result {
    for tls in [false, true] {
        let folder = tempfile::tempdir()?;
        let (mut server, port) = server(LISTENERS[1], 0, tls.then_some(folder.path()))?;
        let mut idle = Command::new(env!("CARGO_BIN_EXE_bench-idle"));
        idle.args(["--port", &port, "--connections", "100"]);
        if tls {
            idle.arg("--tls").arg(folder.path().join("certificate.pem"));
        }
        let mut idle = idle.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(idle.stdout.as_mut().ok_or("no output")?).read_line(&mut line)?;
        let held = idle.try_wait()?.is_none();
        for child in [&mut idle, &mut server] {
            child.kill()?;
            child.wait()?;
        }
        assert_eq!((line.as_str(), held), ("open 100\n", true));
    }
    Ok(())
}

#[test]
fn the_client_ends_at_a_refusal() -> Result {
    let folder = tempfile::tempdir()?;
    let certificate = folder.path().join("certificate.pem");
    let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    std::fs::write(&certificate, key.cert.pem())?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port().to_string();
    let refusing = thread::spawn(move || {
        let (mut stream, _) = listener.accept()?;
        stream.write_all(b"554 No\r\n")?;
        stream.read(&mut [0; 64])
    });
    let sent = Command::new(CLIENT)
        .args(["--port", &port, "--messages", "1", "--seconds", "10"])
        .arg("--tls")
        .arg(&certificate)
        .output()?;
    assert!(!sent.status.success());
    assert!(String::from_utf8(sent.stderr)?.contains("a message was refused"));
    let _ = refusing.join();
    Ok(())
}
