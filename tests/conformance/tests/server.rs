//! Every case of a server's rows against our own: the machine in memory, with its input cut anywhere, and the async server over
//! sockets.

use std::thread;
use std::time::{Duration, Instant};

use mailwire_conformance::case::Case;
use mailwire_conformance::server::{
    Foreign, Memory, Offer, Outcome, Own, Pieces, Setting, Target, cases, play,
};
use mailwire_conformance::verdict::Verdict;

fn all() -> Vec<Case> {
    cases().unwrap_or_else(|error| panic!("{error}"))
}

/// Whether it is as it has to be for a server of ours: what a transport cannot show was shown by the other one.
fn is_good(outcome: &Outcome) -> bool {
    matches!(
        outcome.verdict,
        Verdict::Conformant | Verdict::Inconclusive(_)
    )
}

fn complain(bad: &[String]) {
    assert!(bad.is_empty(), "{} cases:\n{}", bad.len(), bad.join("\n"));
}

fn run(cases: &[Case], target: &dyn Target) -> Vec<String> {
    let mut bad = Vec::new();
    for case in cases {
        let outcome = play(case, target);
        if !is_good(&outcome) {
            let remark = outcome.verdict.remark();
            bad.push(format!("{} ({}): {remark}", case.id, case.group));
        }
    }
    bad
}

#[test]
fn every_case_in_memory() {
    complain(&run(
        &all(),
        &Memory {
            pieces: Pieces::Whole,
        },
    ));
}

#[test]
fn every_case_in_memory_octet_by_octet() {
    complain(&run(
        &all(),
        &Memory {
            pieces: Pieces::Octets,
        },
    ));
}

#[test]
fn every_case_in_memory_cut_in_two_anywhere() {
    const LONG: usize = 2000;
    let mut bad = Vec::new();
    for case in all() {
        let sent = play(
            &case,
            &Memory {
                pieces: Pieces::Whole,
            },
        )
        .sent;
        // Long inputs are cut at a hundred places: what they are about is not in their middle. Where each run derives keys from
        // passwords, ten have to do.
        let stride = match case.group {
            "sasl" => sent / 10,
            _ if sent > LONG => sent / 100,
            _ => 1,
        };
        for place in (1..sent).step_by(stride) {
            let target = Memory {
                pieces: Pieces::CutAt(place),
            };
            let outcome = play(&case, &target);
            if !is_good(&outcome) {
                let remark = outcome.verdict.remark();
                bad.push(format!("{} cut at {place}: {remark}", case.id));
                break;
            }
        }
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
    let (mut bad, mut conformant) = (Vec::new(), 0);
    for case in all() {
        match play(&case, &target).verdict {
            Verdict::Conformant => conformant += 1,
            Verdict::Inconclusive(_) => {}
            Verdict::Latitude(what) | Verdict::Not(what) => {
                bad.push(format!("{}: {what}", case.id));
            }
        }
    }
    complain(&bad);
    assert!(
        conformant > 120,
        "only {conformant} rows could be looked at"
    );
}

/// What is wrong with one conversation over a socket. What cannot be judged there must have been in memory.
fn over_a_socket(case: &Case, own: &Own) -> Option<String> {
    let remark = match play(case, own).verdict {
        Verdict::Conformant => return None,
        Verdict::Inconclusive(why) => {
            let memory = Memory {
                pieces: Pieces::Whole,
            };
            if play(case, &memory).verdict == Verdict::Conformant {
                return None;
            }
            why
        }
        Verdict::Latitude(what) | Verdict::Not(what) => what,
    };
    let line = case.scripts.first().and_then(|script| script.steps.first());
    Some(format!(
        "{} line {}: {remark}",
        case.id,
        line.map_or(0, |step| step.line)
    ))
}
