//! Every case of a server's rows against our own: the machine in memory, with its input cut anywhere, and the async server over
//! sockets.

use std::cell::Cell;
use std::time::{Duration, Instant};

use mailwire_conformance::case::Case;
use mailwire_conformance::runner::{complaints, complaints_over_sockets, complaints_when_cut};
use mailwire_conformance::server::{
    Foreign, Memory, Offer, Own, Pieces, Setting, Target, cases, play,
};
use mailwire_conformance::verdict::Verdict;

fn all() -> Vec<Case> {
    cases().unwrap_or_else(|error| panic!("{error}"))
}

fn complain(bad: &[String]) {
    assert!(bad.is_empty(), "{} cases:\n{}", bad.len(), bad.join("\n"));
}

fn in_memory(case: &Case, pieces: Pieces) -> (Verdict, usize) {
    let outcome = play(case, &Memory { pieces });
    (outcome.verdict, outcome.sent)
}

#[test]
fn every_case_in_memory() {
    complain(&complaints(&all(), |case| in_memory(case, Pieces::Whole).0));
}

#[test]
fn every_case_in_memory_octet_by_octet() {
    complain(&complaints(&all(), |case| {
        in_memory(case, Pieces::Octets).0
    }));
}

#[test]
fn every_case_in_memory_cut_in_two_anywhere() {
    const LONG: usize = 2000;
    // Long inputs are cut at a hundred places: what they are about is not in their middle. Where each run derives keys from
    // passwords, ten have to do.
    let stride = |case: &Case, sent| match case.group {
        "sasl" => sent / 10,
        _ if sent > LONG => sent / 100,
        _ => 1,
    };
    complain(&complaints_when_cut(&all(), in_memory, stride));
}

#[test]
fn every_case_over_a_socket_and_none_that_nobody_can_judge() {
    let own = Own::new().unwrap_or_else(|error| panic!("{error}"));
    complain(&complaints_over_sockets(
        &all(),
        |case| play(case, &own).verdict,
        |case| in_memory(case, Pieces::Whole).0,
    ));
}

/// The same server as `make conformance` would look at it, with nothing known but what is on the wire.
#[test]
fn a_stranger_finds_our_server_conformant() {
    let own = Own::new().unwrap_or_else(|error| panic!("{error}"));
    let setting = Setting::default();
    let (address, tls) = own
        .listen(&setting)
        .unwrap_or_else(|error| panic!("{error}"));
    let mut target = Foreign {
        address,
        names: own.names(&setting),
        with: Vec::new(),
        offer: Offer::default(),
        tls: Some(tls),
        patience: Duration::from_secs(10),
        silence: Duration::from_millis(20),
        end: Instant::now() + Duration::from_secs(60),
    };
    target.look().unwrap_or_else(|error| panic!("{error}"));
    let conformant = Cell::new(0);
    let judge = |case: &Case| {
        let verdict = play(case, &target).verdict;
        conformant.set(conformant.get() + usize::from(verdict == Verdict::Conformant));
        verdict
    };
    complain(&complaints(&all(), judge));
    assert!(
        conformant.get() > 120,
        "only {} rows could be looked at",
        conformant.get()
    );
}
