//! Vectored writes: many slices, one call to the system.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{listener, pair};
use crate::error::Phase;
use crate::net::{Stream, connect};
use crate::tls::test_pki::Authority;
use crate::tls::{Start, server_name};
use crate::transcript::Session;

async fn write_once(stream: &mut Stream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_write_vectored(cx, slices)).await
}

async fn one_write_takes_all_slices(mut ours: Stream, mut theirs: Stream) {
    assert!(ours.is_write_vectored());
    let slices = [
        IoSlice::new(b"body"),
        IoSlice::new(b""),
        IoSlice::new(b"\r\n.\r\n"),
        IoSlice::new(b"MAIL FROM:<>\r\n"),
    ];
    // A write that is not truly vectored would take the first slice alone.
    assert_eq!(write_once(&mut ours, &slices).await.unwrap(), 23);
    ours.flush().await.unwrap();
    let mut heard = [0; 23];
    theirs.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"body\r\n.\r\nMAIL FROM:<>\r\n");
}

#[tokio::test]
async fn plain() {
    let (ours, theirs) = pair();
    one_write_takes_all_slices(ours, theirs).await;
}

#[tokio::test]
async fn over_tcp_with_nodelay_on_both_sides() {
    let (listener, address) = listener();
    let timeout = std::time::Duration::from_secs(5);
    let session = Session::default();
    let mut phase = Phase::Resolve;
    let (ours, theirs) = tokio::join!(
        connect(
            "127.0.0.1",
            address.port(),
            None,
            timeout,
            &session,
            &mut phase
        ),
        listener.accept(|| {})
    );
    let ((ours, connected), theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(connected, address);
    assert!(SockRef::from(&ours).tcp_nodelay().unwrap());
    assert!(SockRef::from(&theirs).tcp_nodelay().unwrap());
    for end in [&ours, &theirs] {
        let flags = rustix::io::fcntl_getfd(end).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
    assert_eq!(ours.peer_label(), address.to_string());
    one_write_takes_all_slices(ours, theirs).await;
}

#[tokio::test]
async fn over_tls() {
    let authority = Authority::new("ours");
    let server = authority.issue(&["mail.example"]).server();
    let (ours, theirs) = pair();
    let name = server_name("mail.example").unwrap();
    let client = authority.client();
    let (ours, theirs) = tokio::join!(
        ours.into_tls_client(&client, &name, Start::Implicit),
        theirs.into_tls_server(&server)
    );
    one_write_takes_all_slices(ours.unwrap().0, theirs.unwrap().0).await;
}

#[tokio::test]
async fn more_slices_than_the_system_takes_go_in_pieces() {
    let (mut ours, mut theirs) = pair();
    let slices = vec![IoSlice::new(b"x"); 3000];
    let written = write_once(&mut ours, &slices).await.unwrap();
    assert_eq!(written, 1024);
    let mut heard = vec![0; written];
    theirs.read_exact(&mut heard).await.unwrap();
}

#[tokio::test]
async fn a_full_socket_makes_the_writer_wait_and_loses_nothing() {
    const SIZE: usize = 8 << 20;
    let (mut ours, mut theirs) = pair();
    let bytes: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
    let sending = async {
        ours.write_all(&bytes).await.unwrap();
        ours.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let ((), count) = tokio::join!(sending, theirs.read_to_end(&mut heard));
    assert_eq!(count.unwrap(), SIZE);
    assert!(heard == bytes, "not what was sent");
}

#[tokio::test]
async fn a_leaked_socket_is_closed_by_its_number() {
    let (ours, mut theirs) = pair();
    let descriptor = ours.raw_fd();
    std::mem::forget(ours);
    crate::net::close_raw(descriptor);
    assert_eq!(theirs.read(&mut [0; 8]).await.unwrap(), 0);
}
