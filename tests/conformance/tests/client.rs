//! Every case of a client's rows against our own: the machine in memory, with what it is sent cut anywhere, and the async client over
//! sockets.

use mailwire_conformance::case::Case;
use mailwire_conformance::client::{Memory, Own, cases, play};
use mailwire_conformance::runner::{complaints, complaints_over_sockets, complaints_when_cut};
use mailwire_conformance::server::Pieces;
use mailwire_conformance::verdict::Verdict;

fn all() -> Vec<Case> {
    cases().unwrap_or_else(|error| panic!("{error}"))
}

fn complain(bad: &[String]) {
    assert!(bad.is_empty(), "{} cases:\n{}", bad.len(), bad.join("\n"));
}

fn in_memory(case: &Case, pieces: Pieces) -> (Verdict, usize) {
    let played = play(case, &Memory { pieces });
    (played.verdict, played.sent)
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
    const PLACES: usize = 25;
    // Cut everywhere at once they were by the test above. An odd stride meets CR and LF alike.
    let stride = |_: &Case, sent| (sent / PLACES) | 1;
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
