//! A malformed session, step by step: the same for the same seed and number.

use std::fmt;

use fastrand::Rng;

use super::SERVERS;
use super::corpus::{Base, Part};
use super::mutate::mutate;

/// One in so many is a session as it should be.
const CONTROLS: u64 = 200;

/// What a client is to do.
#[derive(Debug)]
pub(super) struct Plan {
    /// The place of the server.
    pub(super) server: usize,
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
    /// The replies that must come, where this is a session as it should be.
    pub(super) codes: Option<&'static [u16]>,
}

#[derive(Debug)]
pub(super) enum Step {
    Write(Vec<u8>),
    /// Take what comes, if something does soon.
    Read,
    Tls,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// Say goodbye, as TCP has it, and wait for the server to do so.
    HalfClose,
    /// Close, whatever is still to be read.
    Close,
    Reset,
    /// Do nothing until the server ends it.
    Wait,
}

impl Plan {
    /// The session with this number.
    pub(super) fn new(seed: u64, number: u64, corpus: &[Base]) -> Self {
        let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        let base = &corpus[rng.usize(0..corpus.len())];
        if number.is_multiple_of(CONTROLS) && !base.codes.is_empty() {
            return Self::control(base);
        }
        let mut parts = base.parts.clone();
        mutate(&mut rng, &mut parts, corpus);
        let server = if rng.u8(0..4) > 0 {
            base.server
        } else {
            rng.usize(0..SERVERS.len())
        };
        Self {
            server,
            steps: steps(&mut rng, parts),
            end: match rng.u16(0..1000) {
                0..300 => End::HalfClose,
                300..600 => End::Close,
                600..995 => End::Reset,
                _ => End::Wait,
            },
            codes: None,
        }
    }

    /// The same session to another server, where one is named.
    pub(super) fn played_to(mut self, server: Option<usize>) -> Self {
        if let Some(server) = server.filter(|server| *server != self.server) {
            self.server = server % SERVERS.len();
            self.codes = None;
        }
        self
    }

    fn control(base: &Base) -> Self {
        let mut steps = Vec::new();
        for part in &base.parts {
            match part {
                Part::Say(octets) => steps.push(Step::Write(octets.clone())),
                Part::Tls => steps.push(Step::Tls),
            }
        }
        Self {
            server: base.server,
            steps,
            end: End::HalfClose,
            codes: Some(base.codes),
        }
    }
}

/// Cuts what is said into pieces of its own kind.
fn steps(rng: &mut Rng, parts: Vec<Part>) -> Vec<Step> {
    let (style, mut steps) = (rng.u8(0..8), Vec::new());
    for part in parts {
        let Part::Say(octets) = part else {
            steps.push(Step::Tls);
            continue;
        };
        match (style, steps.last_mut()) {
            // All in one go.
            (0..=2, Some(Step::Write(last))) => last.extend(octets),
            (0..=2, _) => steps.push(Step::Write(octets)),
            // As a client that waits for each reply.
            (3..=5, _) => steps.extend([Step::Read, Step::Write(octets)]),
            // In pieces of any size, and without waiting, mostly.
            _ => {
                let mut rest = octets.as_slice();
                while !rest.is_empty() && steps.len() < 100 {
                    let most = if style == 6 { 4 } else { rest.len() };
                    let (piece, left) = rest.split_at(rng.usize(1..=most.min(rest.len())));
                    steps.push(Step::Write(piece.to_vec()));
                    if rng.u8(0..8) == 0 {
                        steps.push(Step::Read);
                    }
                    rest = left;
                }
                steps.push(Step::Write(rest.to_vec()));
            }
        }
    }
    if rng.bool() {
        steps.push(Step::Read);
    }
    // The end may come anywhere.
    if rng.u8(0..4) == 0 {
        steps.truncate(rng.usize(0..=steps.len()));
    }
    steps
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "to the server: {}", SERVERS[self.server].join(" "))?;
        for step in &self.steps {
            match step {
                Step::Write(octets) => writeln!(f, "write \"{}\"", octets.escape_ascii())?,
                Step::Read => writeln!(f, "read")?,
                Step::Tls => writeln!(f, "begin TLS")?,
            }
        }
        write!(f, "end: {:?}", self.end)
    }
}
