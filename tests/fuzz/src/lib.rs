//! What must hold whatever bytes come. Each [`Target`] is a plain function of some bytes that panics where a promise is broken.
//!
//! `tests/replay.rs` runs every target over its corpus and over mutations of it that are the same in each run; the program in
//! `libfuzzer` lets libFuzzer choose the bytes. A finding becomes a file of the target's corpus, so that it stays a test.

pub mod mutate;
mod random;
mod serve;
mod targets;
mod users;

pub use targets::TARGETS;

/// One thing to feed bytes to.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// Takes any bytes and returns, unless a promise is broken.
    pub run: fn(&[u8]),
}

impl Target {
    /// The target of that name.
    pub fn named(name: &str) -> Option<Self> {
        TARGETS.iter().copied().find(|target| target.name == name)
    }
}
