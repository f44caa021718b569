//! Connections that end by a reset, in every phase of a session.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use tokio::io::AsyncWriteExt;

use crate::idle::beside_mail;
use crate::listener::Listener;
use crate::wire::{Wire, connect, many, reset, source};
use crate::{Outcome, Row, ensure};

/// What is said before the reset, and the codes of the replies that are waited for first.
const PHASES: &[(&[u8], &[u16])] = &[
    (b"", &[]),
    (b"", &[220]),
    (b"EHLO client.example\r\n", &[]),
    (b"EHLO client.example\r\n", &[220, 250]),
    (b"EHLO client.example\r\nMAIL FR", &[220]),
    (b"EHLO c.example\r\nMAIL FROM:<a@example.org>\r\n", &[220, 250, 250]),
    (b"EHLO c.example\r\nAUTH PLAIN\r\nAHRp", &[220, 250, 334]),
    (b"EHLO c.example\r\nSTARTTLS\r\n", &[220, 250, 220]),
    (
        b"EHLO c.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n",
        &[220, 250, 250, 250, 354],
    ),
    (
        b"EHLO c.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nBDAT 100\r\nhalf",
        &[220, 250, 250, 250],
    ),
    (
        b"EHLO c.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.net>\r\nBDAT 4 LAST\r\nall.",
        &[220, 250],
    ),
    (b"\x16\x03\x01\x02\x00\x01", &[]),
    (b"QUIT\r\n", &[]),
];

/// Resets `count` connections, in each phase by turns, with mail beside them.
pub async fn resets(program: &Path, kind: &str, count: usize) -> Outcome<Row> {
    let group: &[&str] = &[
        kind,
        "connections_per_address=500",
        "tls=own",
        "user=tim:pw",
        "allow_plaintext_auth=true",
    ];
    let mut listener = Listener::start(program, &[group])?;
    let to = listener.addresses[0];
    let fresh = listener.figures()?;
    let one = |number: usize| async move {
        let (said, codes) = PHASES[number % PHASES.len()];
        let mut wire = Wire::new(connect(to, source(number % 1000, 10)).await?);
        // The server may have ended it by then, as it does behind QUIT.
        let _ = wire.stream.write_all(said).await;
        let heard = wire.hear(codes).await;
        reset(wire.stream);
        heard
    };
    // What the first connections and mails bring to life is not counted.
    beside_mail(to, many(count / 10, 64, one)).await?;
    let before = listener.settled(&fresh).await?;
    listener.reset_peak()?;
    let begun = Instant::now();
    let (_, rate) = beside_mail(to, many(count, 64, one)).await?;
    let took = begun.elapsed().as_secs_f64();
    let after = listener.given_back(&before).await?;
    let peak = listener.peak()?;
    let grown = after.resident.saturating_sub(before.resident);
    ensure(grown <= 2 << 20, || {
        format!("{count} resets have left {grown} octets: {before:?}, {after:?}")
    })?;
    drop(connect(to, Ipv4Addr::LOCALHOST).await?);
    listener.end()?;
    Ok(Row::new(
        format!("{count} resets, {kind}"),
        format!(
            "in {took:.0} s, mail {rate:.0}/s meanwhile; allocated {} → {} → {} KiB, resident {} → {} → {} KiB, descriptors {} → {}",
            before.allocated >> 10,
            after.most_allocated >> 10,
            after.allocated >> 10,
            before.resident >> 10,
            peak >> 10,
            after.resident >> 10,
            before.descriptors,
            after.descriptors
        ),
    ))
}
