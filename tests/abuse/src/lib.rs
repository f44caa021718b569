//! Attacks on the listener, which runs in a process of its own: what they cost it is read from outside.

use std::error::Error;
use std::time::Duration;

pub mod drips;
pub mod endless;
pub mod idle;
pub mod listener;
pub mod mail;
pub mod malformed;
pub mod resets;
pub mod serve;
pub mod wire;

/// What comes of an attack, or why the listener did not stand it.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long anything is waited for that must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A line of the table: the attack, and the figures of it.
#[derive(Debug)]
pub struct Row {
    /// What was done.
    pub attack: String,
    /// What it came to.
    pub figures: String,
}

impl Row {
    /// A line of the table.
    pub fn new(attack: impl Into<String>, figures: impl Into<String>) -> Self {
        Self {
            attack: attack.into(),
            figures: figures.into(),
        }
    }
}

/// Fails with `text` unless `holds`.
pub fn ensure(holds: bool, text: impl FnOnce() -> String) -> Outcome<()> {
    if holds { Ok(()) } else { Err(text().into()) }
}

/// Lets this process and its children have as many descriptors as they may.
pub fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where it cannot be raised, the attack that needs more says so.
    let _ = setrlimit(Resource::Nofile, limit);
}
