//! How fast the codecs and parsers are, beside `memcpy` and beside the crate smtp-proto, all in one run.
//!
//! `cargo bench -p mailwire --no-default-features --bench speed` prints a table and fails if a codec is slower than it has to
//! be. Speeds drift from run to run and from machine to machine; ratios inside one run hold, so the contestants of a race take
//! turns, and each is measured by its best turn. That is why no benchmarking crate is used: those run one candidate after another.

mod data;
mod parsing;
mod race;

fn main() {
    let mut slow = data::races();
    parsing::races();
    if std::env::args().any(|argument| argument == "--no-goals") {
        slow.clear();
    }
    for miss in &slow {
        eprintln!("too slow: {miss}");
    }
    assert!(slow.is_empty(), "a codec is slower than it has to be");
}
