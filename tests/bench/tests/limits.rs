//! The limit programs for TLS count what is sent, wherever the octets are cut, and the client ends at a refusal.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

const SERVER: &str = env!("CARGO_BIN_EXE_limit-tls-server");
const CLIENT: &str = env!("CARGO_BIN_EXE_limit-tls-client");
const SENDER: &str = env!("CARGO_BIN_EXE_bench-send");

/// Starts the server for so many messages; gives its port too.
fn server(messages: u64, certificate: &str) -> Result<(Child, String)> {
    let options = ["--messages", &messages.to_string(), "--seconds", "60"];
    let mut server = Command::new(SERVER)
        .args(options)
        .args(["--certificate", certificate])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    // Read octet by octet, so that nothing behind the line is lost.
    let output = server.stdout.as_mut().ok_or("no output")?;
    BufReader::with_capacity(1, output).read_line(&mut line)?;
    let port = line.trim().strip_prefix("port ").ok_or("no port")?;
    Ok((server, port.to_owned()))
}

/// Sends so many messages of a size by a program; gives what it and the server report.
fn reports(program: &str, messages: u64, size: u64, more: &[&str]) -> Result<[String; 2]> {
    let folder = tempfile::tempdir()?;
    let certificate = folder.path().join("certificate.pem");
    let certificate = certificate.to_str().ok_or("no path")?;
    let (server, port) = server(messages, certificate)?;
    let [messages, size] = [messages.to_string(), size.to_string()];
    let sent = Command::new(program)
        .args(["--port", &port, "--messages", &messages, "--size", &size])
        .args(["--tls", certificate, "--seconds", "60"])
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
            (SENDER, &["--client", "tasks", "--connections", "3"]),
        ] {
            for report in reports(program, 7, size, more)? {
                assert!(
                    report.starts_with("{\"messages\":7,\"connections\":3,"),
                    "{size}: {report}"
                );
            }
        }
    }
    for program in [CLIENT, SENDER] {
        let more = ["--client", "threads", "--connections", "2", "--fresh"];
        for report in reports(program, 7, 1024, &more)? {
            assert!(
                report.starts_with("{\"messages\":7,\"connections\":7,"),
                "{report}"
            );
        }
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
