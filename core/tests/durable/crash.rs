//! A listener that is killed at any moment, under load: what it has acknowledged is there, and nothing is seen that is not whole.
//! `make crash` does it 500 times.

use std::collections::HashSet;
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::listener::{Listener, Talk, delivered, text};

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
    let rounds = rounds.unwrap_or(20);
    let base = tempfile::tempdir().unwrap();
    let maildir = base.path().join("mail");
    let mut all = Figures::default();
    let begun = Instant::now();
    for round in 0..rounds {
        let figures = play(round, &maildir);
        all.acknowledged += figures.acknowledged;
        all.unacknowledged += figures.unacknowledged;
        all.drafts += figures.drafts;
    }
    println!(
        "{rounds} rounds in {:.1} s: {} messages were acknowledged and all are there; {} more had been delivered and not yet acknowledged; {} drafts were left in tmp",
        begun.elapsed().as_secs_f64(),
        all.acknowledged,
        all.unacknowledged,
        all.drafts
    );
    assert!(all.acknowledged > rounds, "there was no load");
}

fn play(round: usize, maildir: &Path) -> Figures {
    let listener = Listener::start(&format!("maildir:{}", maildir.display()), &[]);
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
    check(maildir, &acknowledged.into_inner().unwrap())
}

/// Holds what is there against what was acknowledged, and removes it.
fn check(maildir: &Path, acknowledged: &[String]) -> Figures {
    let there = delivered(maildir);
    for one in &there {
        let (name, filling) = told_by(one);
        assert!(*one == text(name, filling), "not whole: {name}");
    }
    let set: HashSet<&String> = there.iter().collect();
    assert_eq!(set.len(), there.len(), "a message is there twice");
    let lost = acknowledged.iter().filter(|text| !set.contains(text));
    let lost: Vec<_> = lost.map(|text| told_by(text).0).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let mut drafts = 0;
    for folder in ["new", "tmp"] {
        for file in std::fs::read_dir(maildir.join(folder)).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
            drafts += usize::from(folder == "tmp");
        }
    }
    Figures {
        acknowledged: acknowledged.len(),
        unacknowledged: there.len() - acknowledged.len(),
        drafts,
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
