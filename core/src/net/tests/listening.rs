//! Listening: addresses that cannot be had, sockets left behind, and running out of descriptors.

use std::cell::Cell;
use std::fs::{self, File};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{child, listener, role};
use crate::error::Status;
use crate::net::{Bound, connect_unix};
use crate::transcript::Session;

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_address_in_use_is_named() {
    let (_listener, address) = listener();
    let error = Bound::tcp(address, false).unwrap_err();
    assert_eq!(error.status(), Status::Io);
    assert!(error.message().contains(&address.to_string()), "{error}");
    assert!(error.message().contains("another program"), "{error}");
}

#[test]
fn an_address_of_another_machine_is_named() {
    let error = Bound::tcp("192.0.2.1:0".parse().unwrap(), false).unwrap_err();
    assert!(error.message().contains("does not have"), "{error}");
}

#[tokio::test]
async fn both_families_are_listened_on() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let bound = Bound::tcp(address.parse().unwrap(), false).unwrap();
        let listener = bound.listener().unwrap();
        let address = bound.address().unwrap();
        let (client, stream) = tokio::join!(TcpStream::connect(address), listener.accept(|| {}));
        let seen = client.unwrap().local_addr().unwrap();
        assert_eq!(stream.unwrap().peer_label(), seen.to_string());
    }
}

#[tokio::test]
async fn two_listeners_of_one_address_share_its_connections() {
    let bound = Bound::tcp("127.0.0.1:0".parse().unwrap(), false).unwrap();
    let (one, other) = (bound.listener().unwrap(), bound.listener().unwrap());
    let address = bound.address().unwrap();
    drop(one);
    let (_client, stream) = tokio::join!(TcpStream::connect(address), other.accept(|| {}));
    stream.unwrap();
}

#[tokio::test]
async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lmtp");
    drop(Bound::unix(&path, None).unwrap());
    assert!(path.exists(), "nothing was left behind to replace");
    let bound = Bound::unix(&path, None).unwrap();

    let error = Bound::unix(&path, None).unwrap_err();
    assert!(error.message().contains("another program"), "{error}");
    let listener = bound.listener().unwrap();
    let session = Session::default();
    let (client, stream) = tokio::join!(connect_unix(&path, PATIENCE, &session), async {
        // The first is the one that asked whether anybody is there.
        drop(listener.accept(|| {}).await);
        listener.accept(|| {}).await
    });
    client.unwrap();
    assert_eq!(stream.unwrap().peer_label(), "local socket");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter");
    fs::write(&path, "precious").unwrap();
    assert!(Bound::unix(&path, None).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let nowhere = Bound::unix(&folder.path().join("no/such/folder"), None).unwrap_err();
    assert!(nowhere.message().contains("folder"), "{nowhere}");
}

#[test]
fn accepting_survives_a_process_out_of_descriptors() {
    let name = "net::tests::listening::out_of_descriptors_in_a_process_of_its_own";
    let output = child(name, "descriptors").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("accepted at last"), "{told}");
}

#[test]
fn out_of_descriptors_in_a_process_of_its_own() {
    if role().as_deref() != Some("descriptors") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (listener, address) = listener();
        let _client = TcpStream::connect(address).await.unwrap();
        let limit = getrlimit(Resource::Nofile);
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(64),
                maximum: limit.maximum,
            },
        )
        .unwrap();
        let mut hoard = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            hoard.push(file);
        }
        let failed = Cell::new(0);
        let accept = listener.accept(|| failed.set(failed.get() + 1));
        tokio::pin!(accept);
        let early = timeout(Duration::from_millis(250), &mut accept).await;
        assert!(early.is_err(), "accepted without a descriptor, or gave up");
        hoard.clear();
        timeout(PATIENCE, accept).await.unwrap().unwrap();
        assert!(failed.get() > 1);
    });
    println!("accepted at last");
}
