//! Contestants that take turns at the same work.

use std::time::{Duration, Instant};

/// One way to do the work. It does it once, and leaves no result that a compiler could leave out.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) run: Box<dyn FnMut() + 'a>,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: &'static str, run: impl FnMut() + 'a) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }
}

/// How many turns each contestant has. The best counts: whatever else the machine does can only make a turn longer.
const TURNS: u32 = 60;

/// About how long a turn takes: long beside the clock's steps, short beside a scheduler's.
const TURN: Duration = Duration::from_millis(2);

/// Seconds that each contestant needs to do the work once, in its best turn.
pub(crate) fn race(contestants: &mut [Contestant<'_>]) -> Vec<f64> {
    let mut repeats: Vec<u32> = Vec::new();
    for contestant in contestants.iter_mut() {
        (contestant.run)();
        let once = time(contestant, 1).max(1e-9);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a positive number well inside the range"
        )]
        repeats.push((TURN.as_secs_f64() / once).clamp(1.0, 1e6) as u32);
    }
    let mut best = vec![f64::INFINITY; contestants.len()];
    for _ in 0..TURNS {
        for (at, contestant) in contestants.iter_mut().enumerate() {
            best[at] = best[at].min(time(contestant, repeats[at]));
        }
    }
    best
}

fn time(contestant: &mut Contestant<'_>, repeats: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..repeats {
        (contestant.run)();
    }
    start.elapsed().as_secs_f64() / f64::from(repeats)
}
