//! Many sessions at a time, and a look at the listener in between and at the end.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::corpus::{Base, corpus};
use super::plan::Plan;
use super::play::play;
use super::{LIMITS, SERVERS};
use crate::listener::{Figures, Listener};
use crate::wire::{connector, source};
use crate::{Outcome, Row, ensure};

/// Sessions that share an address.
const BY_ADDRESS: usize = 20;

/// Addresses in all.
const ADDRESSES: u64 = 5000;

/// How much more memory may be resident behind a part of the sessions than behind the first, as long as there were few.
const WARMING: u64 = 12 << 20;

/// Behind so many sessions all has come to life that stays, as threads and buffers, and the allocator has the room that it needs when
/// most sessions go on at once.
const WARM_UP: u64 = 50_000;

/// How much more may be resident than at the end of the warm-up: what the allocator's room differs by from one look to the next. A
/// tenth of a kilobyte that were lost with each session would be more behind as many sessions again.
const GROWTH: u64 = 4 << 20;

/// How much more may be allocated: what buffers that are kept for the next session differ by. One octet lost with each of a
/// million sessions is as much.
const HELD: u64 = 1 << 20;

/// Which sessions are to be played.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// What all of them are made from.
    pub seed: u64,
    /// The number of the first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// How many at a time.
    pub at_once: usize,
    /// The place of the one server that all are played to, to find which of them it is that something befalls.
    pub server: Option<usize>,
    /// Parts that they are played in. Behind each the listener is looked at.
    pub parts: u64,
}

/// Plays them, and tells how each part went. Fails where the listener does not stand it: with the sessions that did harm, and how to have them again.
pub async fn malformed(program: &Path, order: Order, tell: impl Fn(&Row)) -> Outcome<()> {
    let mut stage = Stage::new(program, order)?;
    let fresh = stage.listener.figures()?;
    let begun = Instant::now();
    let (mut first, mut last) = (order.first, order.first + order.count / order.parts);
    let (mut behind_first, mut warm) = (None, None);
    let mut spent = Duration::ZERO;
    loop {
        let part = Instant::now();
        if let Err(error) = stage.play(first, last, order.at_once).await {
            return Err(stage.blame(program, order, &*error).await);
        }
        spent += part.elapsed();
        let now = stage.listener.settled(&fresh).await?;
        tell(&Row::new(
            format!("malformed sessions {first} to {last}, seed {}", order.seed),
            format!(
                "{:.0}/s; sessions at the listener {}, messages {}; open 0, descriptors {}, threads {}, resident {} KiB, allocated {} octets",
                per_second(last - first, part.elapsed()),
                now.sessions,
                now.messages,
                now.descriptors,
                now.threads,
                now.resident >> 10,
                now.allocated
            ),
        ));
        let before = *behind_first.get_or_insert(now);
        within(WARMING, |of| of.resident, before, now)?;
        if last - order.first >= WARM_UP {
            let warm = *warm.get_or_insert(now);
            within(GROWTH, |of| of.resident, warm, now)?;
            within(HELD, |of| of.allocated, warm, now)?;
        }
        if last == order.first + order.count {
            break;
        }
        first = last;
        last = (last + order.count / order.parts).min(order.first + order.count);
    }
    stage.listener.end()?;
    tell(&Row::new(
        format!("{} malformed sessions in all", order.count),
        format!(
            "{:.0} s, {:.0}/s while they are played",
            begun.elapsed().as_secs_f64(),
            per_second(order.count, spent)
        ),
    ));
    Ok(())
}

/// The first session of the order, as it is played.
pub fn shown(order: Order) -> String {
    Plan::new(order.seed, order.first, &corpus())
        .played_to(order.server)
        .to_string()
}

/// The listener, and what all sessions need.
struct Stage {
    listener: Listener,
    shared: Arc<Shared>,
}

struct Shared {
    seed: u64,
    server: Option<usize>,
    corpus: Vec<Base>,
    addresses: Vec<SocketAddr>,
    connector: TlsConnector,
    next: AtomicU64,
}

/// A session that failed.
struct Failed {
    number: u64,
    error: String,
}

impl Shared {
    async fn play(&self, number: u64) -> Result<(), Failed> {
        let plan = Plan::new(self.seed, number, &self.corpus).played_to(self.server);
        let place = usize::try_from(number % (ADDRESSES * BY_ADDRESS as u64)).unwrap_or(0);
        let (to, from) = (self.addresses[plan.server], source(place, BY_ADDRESS));
        play(&plan, to, from, &self.connector)
            .await
            .map_err(|error| Failed {
                number,
                error: error.to_string(),
            })
    }
}

impl Stage {
    fn new(program: &Path, order: Order) -> Outcome<Self> {
        let groups: Vec<Vec<&str>> = SERVERS.map(|words| [words, &LIMITS].concat()).to_vec();
        let groups: Vec<&[&str]> = groups.iter().map(Vec::as_slice).collect();
        let listener = Listener::start_in_one_arena(program, &groups)?;
        Ok(Self {
            shared: Arc::new(Shared {
                seed: order.seed,
                server: order.server,
                corpus: corpus(),
                addresses: listener.addresses.clone(),
                connector: connector(&listener.certificate)?,
                next: AtomicU64::new(0),
            }),
            listener,
        })
    }

    async fn play(&self, first: u64, last: u64, at_once: usize) -> Outcome<()> {
        self.shared.next.store(first, Ordering::Relaxed);
        let mut players = JoinSet::new();
        for _ in 0..at_once {
            let shared = Arc::clone(&self.shared);
            players.spawn(async move {
                loop {
                    let number = shared.next.fetch_add(1, Ordering::Relaxed);
                    if number >= last {
                        return Ok(());
                    }
                    shared.play(number).await?;
                }
            });
        }
        let mut failures: Vec<Failed> = Vec::new();
        while let Some(ended) = players.join_next().await {
            if let Err(failed) = ended? {
                // The others come to their end too, and so tell what was going on.
                self.shared.next.store(last, Ordering::Relaxed);
                failures.push(failed);
            }
        }
        if failures.is_empty() {
            return Ok(());
        }
        failures.truncate(20);
        let told = failures.iter().map(|failed| {
            let plan = Plan::new(self.shared.seed, failed.number, &self.shared.corpus);
            format!(
                "session {} of seed {}: {}\n{plan}\n",
                failed.number, self.shared.seed, failed.error
            )
        });
        Err(told.collect::<String>().into())
    }

    /// What to say of a failure. Where the listener is gone, those sessions that were last are played again one by one, each to a
    /// new one, to see which of them it was.
    async fn blame(
        &mut self,
        program: &Path,
        order: Order,
        error: &(dyn std::error::Error + Send + Sync),
    ) -> Box<dyn std::error::Error + Send + Sync> {
        let mut text = format!(
            "{error}\nplay one again: make malformed SEED={} FIRST=number COUNT=1\n",
            order.seed
        );
        // A process that aborts is not gone at once.
        tokio::time::sleep(Duration::from_millis(500)).await;
        if !self.listener.is_gone() {
            return text.into();
        }
        let _ = writeln!(text, "the listener is gone: {}", self.listener.errors());
        let reached = self.shared.next.load(Ordering::Relaxed);
        let from = reached.saturating_sub(4 * order.at_once as u64);
        let mut culprits = HashMap::new();
        let mut stage = None;
        for number in from.max(order.first)..reached {
            let mut alone = match stage.take() {
                Some(alone) => alone,
                None => match Self::new(program, order) {
                    Ok(alone) => alone,
                    Err(error) => return error,
                },
            };
            let _ = alone.shared.play(number).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
            if alone.listener.is_gone() {
                culprits.insert(number, alone.listener.errors());
            } else {
                stage = Some(alone);
            }
        }
        for (number, errors) in culprits {
            let plan = Plan::new(order.seed, number, &self.shared.corpus);
            let _ = writeln!(text, "session {number} ends it: {errors}{plan}");
        }
        text.into()
    }
}

/// Fails where that memory has grown by more.
fn within(most: u64, memory: fn(&Figures) -> u64, before: Figures, now: Figures) -> Outcome<()> {
    let grown = memory(&now).saturating_sub(memory(&before));
    ensure(grown <= most, || {
        format!("memory has grown by {grown} octets: {now:?} after {before:?}")
    })
}

fn per_second(count: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = count as f64;
    count / time.as_secs_f64()
}
