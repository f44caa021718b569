//! Malformed sessions over sockets: a small share of what `make malformed` plays.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use mailwire_abuse::malformed::{Order, malformed};
use mailwire_abuse::raise_descriptors;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_sessions_do_no_harm() {
    raise_descriptors();
    let order = Order {
        seed: 1,
        first: 0,
        count: 20_000,
        at_once: 128,
        server: None,
        parts: 2,
    };
    let played = malformed(Path::new(env!("CARGO_BIN_EXE_abuse")), order, |_| ()).await;
    if let Err(error) = played {
        panic!("{error}");
    }
}
