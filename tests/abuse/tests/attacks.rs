//! Every attack at a small size: mail goes on beside it, its clients are ended by their limits, and nothing of it is left. The figures
//! are those of `make abuse`; here memory has room for what a build with checks costs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::Command;

use mailwire_abuse::drips;
use mailwire_abuse::endless::endless;
use mailwire_abuse::idle::{Over, idle};
use mailwire_abuse::raise_descriptors;
use mailwire_abuse::resets::resets;

const PROGRAM: &str = env!("CARGO_BIN_EXE_abuse");

/// A build with checks has larger futures.
const IN_CLEAR: u64 = 6 << 10;
const BY_TLS: u64 = 24 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_cost_little_and_are_told_to_go() {
    raise_descriptors();
    for kind in ["tasks", "queue"] {
        let program = Path::new(PROGRAM);
        idle(program, kind, Over::Clear, 1500, IN_CLEAR)
            .await
            .unwrap();
        idle(program, kind, Over::Tls, 300, BY_TLS).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drippers_in_every_phase_are_ended_while_mail_goes_on() {
    raise_descriptors();
    let limits = [
        "idle_timeout=4",
        "handshake_timeout=4",
        "session_timeout=10",
    ];
    for kind in ["tasks", "queue"] {
        drips::ended(Path::new(PROGRAM), kind, &limits, 50)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_leave_nothing_behind() {
    for kind in ["tasks", "queue"] {
        resets(Path::new(PROGRAM), kind, 2000).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_stops_talking_is_ended_and_costs_no_more_memory() {
    let program = Path::new(PROGRAM);
    let [tasks, queue] = ["tasks", "queue"].map(|kind| endless(program, kind, 2, 8 << 20));
    tokio::try_join!(tasks, queue).unwrap();
}

#[test]
fn an_attack_that_there_is_not_is_an_error_that_names_those_there_are() {
    let ran = Command::new(PROGRAM)
        .args(["figures", "idle", "drip"])
        .output()
        .unwrap();
    assert!(!ran.status.success());
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(
        said.trim_end(),
        "abuse: \"drip\" is no attack; there are idle, drips, resets, endless"
    );
    assert!(ran.stdout.is_empty());
}
