//! Every target over its corpus, and over some thousand mutations of it that are the same in each run.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use mailwire_fuzz::mutate::Mutator;
use mailwire_fuzz::{TARGETS, Target};

/// Mutations of each target's corpus, unless `MUTATIONS` says otherwise.
const MUTATIONS: usize = 3000;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

fn replay(name: &str) {
    let target = Target::named(name).unwrap();
    let mut inputs = corpus(name);
    assert!(inputs.len() >= 3, "a corpus says what the inputs look like");
    inputs.push(Vec::new());
    for input in &inputs {
        run(target, input);
    }
    let mutations = std::env::var("MUTATIONS").map_or(MUTATIONS, |number| number.parse().unwrap());
    let mut mutator = Mutator::new(&inputs);
    for _ in 0..mutations {
        run(target, &mutator.next_input());
    }
}

fn run(target: Target, input: &[u8]) {
    let outcome = std::panic::catch_unwind(|| (target.run)(input));
    assert!(
        outcome.is_ok(),
        "{} broke a promise with b\"{}\"",
        target.name,
        input.escape_ascii()
    );
}

macro_rules! replays {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_replayed_and_every_corpus_has_one() {
            let replayed = [$(stringify!($name)),*];
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), replayed);
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
            for entry in std::fs::read_dir(folder).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                // The one in C is replayed by tests/c/test_calls.c.
                let known = name == "c_calls" || replayed.contains(&name.as_str());
                assert!(known, "corpus/{name} has no target");
            }
        }
    };
}

replays! {
    command
    address
    parameters
    xtext
    xclient
    session
    segments
    data_decoder
    chunks
    dot_stuffing
    reply
    ehlo
    client
    sasl_server
    sasl_client
    base64
}
