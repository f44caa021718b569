//! A program with the default SIGPIPE, as C programs have it, outlives a peer that hung up.

use std::io::{self, IoSlice};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{child, listener, role};
use crate::error::Phase;
use crate::net::socket::restore_sigpipe;
use crate::net::{Listener, connect};
use crate::tls::test_pki::Authority;
use crate::tls::{Start, server_name};
use crate::transcript::Session;

const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the test below as a child in this role; the signal that killed it, if one did.
fn killed_by(role: &str) -> Option<i32> {
    let output = child("net::tests::sigpipe::in_a_process_of_its_own", role)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.signal().is_some() || told.contains("outlived"),
        "{}: {told}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    output.status.signal()
}

#[test]
fn tokios_own_write_is_killed_so_this_test_can_fail() {
    assert_eq!(killed_by("tokio"), Some(Signal::PIPE.as_raw()));
}

#[test]
fn plain_writes_do_not_kill() {
    assert_eq!(killed_by("plain"), None);
}

#[test]
fn vectored_writes_do_not_kill() {
    assert_eq!(killed_by("vectored"), None);
}

#[test]
fn writes_over_tls_do_not_kill() {
    assert_eq!(killed_by("tls"), None);
}

#[test]
fn saying_goodbye_over_tls_does_not_kill() {
    assert_eq!(killed_by("shutdown"), None);
}

#[test]
fn in_a_process_of_its_own() {
    let Some(role) = role() else {
        return;
    };
    restore_sigpipe();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        timeout(PATIENCE, act(&role)).await.expect("hangs");
    });
    println!("outlived");
}

async fn act(role: &str) {
    let (listener, address) = listener();
    let session = Session::default();
    let mut phase = Phase::Resolve;
    let dial = connect(
        "127.0.0.1",
        address.port(),
        None,
        PATIENCE,
        &session,
        &mut phase,
    );
    match role {
        "tokio" => {
            let (stream, ()) = tokio::join!(TcpStream::connect(address), hang_up(&listener));
            write_until_it_fails(stream.unwrap(), true).await;
        }
        "plain" | "vectored" => {
            let (stream, ()) = tokio::join!(dial, hang_up(&listener));
            write_until_it_fails(stream.unwrap().0, role == "vectored").await;
        }
        "tls" | "shutdown" => {
            let authority = Authority::new("ours");
            let server = authority.issue(&["mail.example"]).server();
            let (client, name) = (authority.client(), server_name("mail.example").unwrap());
            let ours = async {
                let (stream, _) = dial.await.unwrap();
                stream
                    .into_tls_client(&client, &name, Start::Implicit)
                    .await
            };
            let theirs = async {
                let accepted = listener.accept(|| {}).await.unwrap();
                // Dropped without a word when the handshake is done.
                accepted.into_tls_server(&server).await.unwrap();
            };
            let (ours, ()) = tokio::join!(ours, theirs);
            let mut stream = ours.unwrap().0;
            if role == "tls" {
                write_until_it_fails(stream, true).await;
            } else {
                until_hung_up(&mut stream).await;
                stream.write_all(b"QUIT\r\n").await.unwrap();
                stream.flush().await.unwrap();
                sleep(Duration::from_millis(50)).await;
                // The close_notify is a write to a socket that was reset.
                stream.shutdown().await.unwrap_err();
            }
        }
        other => panic!("no such role: {other}"),
    }
}

/// The peer closes first, with a FIN: a reset at once would hide the signal behind ECONNRESET.
async fn hang_up(listener: &Listener) {
    drop(listener.accept(|| {}).await.unwrap());
}

/// Waits for the peer's FIN.
async fn until_hung_up(stream: &mut (impl AsyncRead + Unpin)) {
    let end = stream.read(&mut [0; 64]).await;
    assert!(
        matches!(&end, Ok(0)) || end.is_err_and(|e| e.kind() == io::ErrorKind::UnexpectedEof),
        "the peer said something"
    );
}

/// The first write is answered with a reset, and the next one meets a broken pipe.
async fn write_until_it_fails(mut stream: impl AsyncRead + AsyncWrite + Unpin, vectored: bool) {
    until_hung_up(&mut stream).await;
    for round in 0..10 {
        let written = if vectored {
            let slices = [IoSlice::new(b"MAIL FROM:<>\r\n"), IoSlice::new(b"DATA\r\n")];
            stream.write_vectored(&slices).await
        } else {
            stream.write(b"MAIL FROM:<>\r\n").await
        };
        let result = match written {
            Ok(_) => stream.flush().await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
            assert!(round > 0, "the first write failed: the peer reset at once");
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("ten writes to a closed connection went well");
}
