//! What every benchmark program in Rust shares, those of peers too: their arguments, the message that they send, and the line of JSON that they end with.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// The arguments, all of the form `--name value` or `--name`.
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this program.
    pub fn read() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// None at all.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// The value of `--name`, or `otherwise`.
    pub fn text<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.0
            .windows(2)
            .find(|pair| pair[0] == format!("--{name}"))
            .map_or(otherwise, |pair| &pair[1])
    }

    /// Whether there is a bare `--name`.
    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|word| *word == format!("--{name}"))
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

/// How many of so many messages each worker sends.
pub fn shares(messages: u64, workers: u64) -> impl Iterator<Item = u64> {
    (0..workers).map(move |worker| messages / workers + u64::from(worker < messages % workers))
}

/// A header, and lines of 76 characters up to `size` octets.
pub fn message(size: usize) -> Vec<u8> {
    let mut message = b"Subject: benchmark\r\n\r\n".to_vec();
    while message.len() < size {
        message.extend_from_slice(&[b'x'; 76]);
        message.extend_from_slice(b"\r\n");
    }
    message.truncate(size.max(24));
    message.splice(message.len() - 2.., *b"\r\n");
    message
}
