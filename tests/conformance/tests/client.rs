//! Every case of a client's rows against our own: the machine in memory, with what it is sent cut anywhere, and the async client over
//! sockets.

use std::thread;

use mailwire_conformance::case::Case;
use mailwire_conformance::client::{Memory, Own, Target, cases, play};
use mailwire_conformance::server::Pieces;
use mailwire_conformance::verdict::Verdict;

const MEMORY: Memory = Memory {
    pieces: Pieces::Whole,
};

fn all() -> Vec<Case> {
    cases().unwrap_or_else(|error| panic!("{error}"))
}

fn complain(bad: &[String]) {
    assert!(bad.is_empty(), "{} cases:\n{}", bad.len(), bad.join("\n"));
}

/// What is wrong with a case. What a target cannot show is shown by the other one.
fn wrong(case: &Case, target: &dyn Target) -> Option<String> {
    match play(case, target).verdict {
        Verdict::Conformant | Verdict::Inconclusive(_) => None,
        Verdict::Latitude(what) | Verdict::Not(what) => {
            Some(format!("{} ({}): {what}", case.id, case.group))
        }
    }
}

#[test]
fn every_case_in_memory() {
    let bad: Vec<String> = all()
        .iter()
        .filter_map(|case| wrong(case, &MEMORY))
        .collect();
    complain(&bad);
}

#[test]
fn every_case_in_memory_octet_by_octet() {
    let octets = Memory {
        pieces: Pieces::Octets,
    };
    let bad: Vec<String> = all()
        .iter()
        .filter_map(|case| wrong(case, &octets))
        .collect();
    complain(&bad);
}

#[test]
fn every_case_in_memory_cut_in_two_anywhere() {
    const PLACES: usize = 25;
    let mut bad = Vec::new();
    for case in all() {
        let sent = play(&case, &MEMORY).sent;
        // Cut everywhere at once they were by the test above. An odd stride meets CR and LF alike.
        let stride = (sent / PLACES) | 1;
        let cut = |place| {
            let target = Memory {
                pieces: Pieces::CutAt(place),
            };
            wrong(&case, &target).map(|what| format!("cut at {place}: {what}"))
        };
        bad.extend((1..sent).step_by(stride).find_map(cut));
    }
    complain(&bad);
}

#[test]
fn every_case_over_a_socket_and_none_that_nobody_can_judge() {
    const WORKERS: usize = 8;
    let own = Own::new().unwrap_or_else(|error| panic!("{error}"));
    let all = all();
    // Most of the time is spent waiting for silence.
    let bad: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|first| {
                let (own, all) = (&own, &all);
                scope.spawn(move || -> Vec<String> {
                    let some = all.iter().skip(first).step_by(WORKERS);
                    // Each conversation by itself: one that nobody holds would hide behind the others.
                    some.flat_map(Case::conversations)
                        .filter_map(|one| over_a_socket(&one, own))
                        .collect()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|_| vec!["a panic".to_owned()]))
            .collect()
    });
    complain(&bad);
}

/// What is wrong with one conversation over a socket. What cannot be judged there must have been in memory.
fn over_a_socket(case: &Case, own: &Own) -> Option<String> {
    let remark = match play(case, own).verdict {
        Verdict::Conformant => return None,
        Verdict::Inconclusive(_) if play(case, &MEMORY).verdict == Verdict::Conformant => {
            return None;
        }
        Verdict::Inconclusive(what) | Verdict::Latitude(what) | Verdict::Not(what) => what,
    };
    Some(format!("{} ({}): {remark}", case.id, case.group))
}
