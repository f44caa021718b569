//! A listener that is killed at any moment, under load: what it has acknowledged is there, and nothing is seen that is not whole.
//! `make crash` does it 500 times for each kind of end that keeps messages in files.

use std::collections::HashSet;
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::listener::{Kind, Listener, Talk, text};

const CLIENTS: usize = 8;

/// What a round came to.
#[derive(Default)]
struct Figures {
    acknowledged: usize,
    unacknowledged: usize,
    drafts: usize,
}

#[test]
fn s136_what_was_acknowledged_survives_the_process() {
    let rounds = env::var("ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    let rounds = rounds.unwrap_or(10);
    for kind in Kind::ALL {
        play_all(rounds, kind);
    }
}

fn play_all(rounds: usize, kind: Kind) {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join("mail");
    let mut all = Figures::default();
    let begun = Instant::now();
    for round in 0..rounds {
        let figures = play(round, kind, &folder);
        all.acknowledged += figures.acknowledged;
        all.unacknowledged += figures.unacknowledged;
        all.drafts += figures.drafts;
    }
    println!(
        "{}: {rounds} rounds in {:.1} s: {} messages were acknowledged and all are there; {} more had been delivered and not yet acknowledged; {} drafts were left",
        kind.name(),
        begun.elapsed().as_secs_f64(),
        all.acknowledged,
        all.unacknowledged,
        all.drafts
    );
    assert!(all.acknowledged > rounds, "there was no load");
}

fn play(round: usize, kind: Kind, folder: &Path) -> Figures {
    let listener = Listener::start(&kind.at(folder), &[]);
    let address = listener.address;
    let acknowledged = Mutex::new(Vec::new());
    let (first, begun) = mpsc::channel();
    let names: Vec<String> = (0..CLIENTS)
        .map(|client| format!("{round}-{client}"))
        .collect();
    thread::scope(|scope| {
        for name in &names {
            let (acknowledged, first) = (&acknowledged, first.clone());
            scope.spawn(move || {
                let Some(mut talk) = Talk::begin(address) else {
                    return;
                };
                for number in 0.. {
                    // Every fourth is written in several pieces.
                    let filling = if number % 4 == 3 { 5000 } else { number % 50 };
                    let text = text(&format!("{name}-{number}"), filling);
                    match talk.message(&text) {
                        Some(reply) if reply.starts_with("250 ") => {
                            acknowledged.lock().unwrap().push(text);
                            let _ = first.send(());
                        }
                        Some(reply) => panic!("{reply}"),
                        None => return,
                    }
                }
            });
        }
        begun.recv_timeout(Duration::from_secs(60)).unwrap();
        let moment = RandomState::new().hash_one(round) % 100_000;
        thread::sleep(Duration::from_micros(moment));
        listener.kill();
    });
    check(kind, folder, &acknowledged.into_inner().unwrap())
}

/// Holds what is there against what was acknowledged, and removes it.
fn check(kind: Kind, folder: &Path, acknowledged: &[String]) -> Figures {
    let (there, drafts) = (kind.delivered(folder), kind.drafts(folder));
    for one in there.values() {
        let (name, filling) = told_by(one);
        assert!(*one == text(name, filling), "not whole: {name}");
    }
    let set: HashSet<&String> = there.values().collect();
    assert_eq!(set.len(), there.len(), "a message is there twice");
    let lost = acknowledged.iter().filter(|text| !set.contains(text));
    let lost: Vec<_> = lost.map(|text| told_by(text).0).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    for file in there.keys().chain(&drafts) {
        std::fs::remove_file(file).unwrap();
    }
    Figures {
        acknowledged: acknowledged.len(),
        unacknowledged: there.len() - acknowledged.len(),
        drafts: drafts.len(),
    }
}

/// The name of a message, and how much filling it should have.
fn told_by(text: &str) -> (&str, usize) {
    let name = text.lines().next().unwrap_or_default();
    let name = name.strip_prefix("Subject: ").unwrap_or_default();
    let number: usize = name
        .rsplit('-')
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap_or(0);
    let filling = if number % 4 == 3 { 5000 } else { number % 50 };
    (name, filling)
}
