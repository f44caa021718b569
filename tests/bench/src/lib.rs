//! What both benchmark programs share: their arguments, and the line of JSON that they end with.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The arguments, all of the form `--name value`.
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this program.
    pub fn read() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// The value of `--name`, or `otherwise`.
    pub fn text<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.0
            .windows(2)
            .find(|pair| pair[0] == format!("--{name}"))
            .map_or(otherwise, |pair| &pair[1])
    }

    /// The number behind `--name`, or `otherwise`. Fails if it is none.
    pub fn number(&self, name: &str, otherwise: u64) -> Result<u64, String> {
        let text = self.text(name, "");
        if text.is_empty() {
            return Ok(otherwise);
        }
        text.parse()
            .map_err(|_| format!("--{name}: {text:?} is not a number"))
    }
}

/// The seconds of CPU that this process has used.
pub fn cpu_seconds() -> f64 {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime))
        .unwrap_or_default()
        .as_secs_f64()
}

/// The line that every measured program ends with.
pub fn report(messages: u64, connections: u64, first: Instant, last: Instant, cpu_seconds: f64) {
    let seconds = (last - first).as_secs_f64();
    println!(
        "{{\"messages\":{messages},\"connections\":{connections},\"seconds\":{seconds:.6},\"cpu_seconds\":{cpu_seconds:.6}}}"
    );
}
