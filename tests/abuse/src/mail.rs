//! Normal mail beside an attack: a fixed load, and how fast it is served.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::wire::introduced;
use crate::{Outcome, PATIENCE, ensure};

/// Connections that are kept.
const CONNECTIONS: usize = 8;

/// How long one is kept before there is another in its place: no limit to the time of a session is to meet normal mail.
const KEPT: Duration = Duration::from_secs(5);

/// Octets of a message.
const SIZE: usize = 1024;

/// Mail that is sent until it is stopped. Its clients are all at 127.0.0.1.
#[derive(Debug)]
pub struct Mail {
    begun: Instant,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: JoinSet<Outcome<()>>,
}

impl Mail {
    /// Begins: 8 clients send messages of 1 KiB over a kept connection each, one command a round trip.
    pub async fn begin(to: SocketAddr) -> Outcome<Self> {
        let (stop, sent) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let mut clients = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let mut wire = introduced(to, Ipv4Addr::LOCALHOST).await?;
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            clients.spawn(async move {
                let body = message();
                let mut since = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    if since.elapsed() > KEPT {
                        wire.say(b"QUIT\r\n", &[221]).await?;
                        wire = introduced(to, Ipv4Addr::LOCALHOST).await?;
                        since = Instant::now();
                    }
                    wire.say(b"MAIL FROM:<from@example.org>\r\n", &[250])
                        .await?;
                    wire.say(b"RCPT TO:<to@example.net>\r\n", &[250]).await?;
                    wire.say(b"DATA\r\n", &[354]).await?;
                    wire.say(&body, &[250]).await?;
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                wire.say(b"QUIT\r\n", &[221]).await
            });
        }
        Ok(Self {
            begun: Instant::now(),
            stop,
            sent,
            clients,
        })
    }

    /// Messages so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends, and gives the messages of a second. Every one of them was taken.
    pub async fn end(mut self) -> Outcome<f64> {
        let (sent, time) = (self.sent(), self.begun.elapsed());
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.clients.join_next().await {
            ended??;
        }
        ensure(sent > 0, || "no mail went on beside the attack".to_owned())?;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        Ok(sent as f64 / time.as_secs_f64())
    }
}

/// The rate of normal mail over `time`, or more, where a machine with other work takes longer for the first message.
pub async fn rate(to: SocketAddr, time: Duration) -> Outcome<f64> {
    let mail = Mail::begin(to).await?;
    tokio::time::sleep(time).await;
    while mail.sent() == 0 && mail.begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    mail.end().await
}

/// The middle of some ratios.
pub fn median(ratios: &[f64]) -> f64 {
    let mut ratios = ratios.to_vec();
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or_default()
}

fn message() -> Vec<u8> {
    let mut message = b"From: from@example.org\r\nSubject: normal mail\r\n\r\n".to_vec();
    while message.len() < SIZE {
        message.extend_from_slice(
            b"What is said in a normal mail is nothing out of the ordinary.\r\n",
        );
    }
    message.extend_from_slice(b".\r\n");
    message
}
