//! Connections that do nothing: what each costs, and what becomes of them when the server is shut down.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::listener::{Figures, KEPT, Listener};
use crate::mail::{Mail, rate};
use crate::wire::{Wire, connect, connector, introduced, introduced_by_tls, many, source};
use crate::{Outcome, Row, ensure};

/// As many as the default lets in from one address.
const BY_ADDRESS: usize = 100;

/// How long the server may take to its end.
const GRACE: &str = "grace=10";

/// A connection in clear or over TLS.
trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection for S {}

type Idle = Wire<Box<dyn Connection>>;

/// How the idle connections are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Without TLS.
    Clear,
    /// With it.
    Tls,
}

/// Opens `count` connections to a server of this kind, each greeted and introduced, leaves them idle while mail goes on, ends half
/// of them and has the server tell the others that it goes. Each is to cost `most` octets of memory or less.
pub async fn idle(program: &Path, kind: &str, over: Over, count: usize, most: u64) -> Outcome<Row> {
    let connections = format!("max_connections={}", count + BY_ADDRESS + 100);
    let clear: &[&str] = &[kind, &connections, GRACE];
    let tls: &[&str] = &[kind, &connections, GRACE, "tls=own", "implicit_tls=true"];
    // Mail goes to the first, idle connections to the last.
    let groups: &[&[&str]] = match over {
        Over::Clear => &[clear],
        Over::Tls => &[clear, tls],
    };
    let mut listener = Listener::start(program, groups)?;
    let connector = connector(&listener.certificate)?;
    let (mail_to, to) = (listener.addresses[0], listener.addresses[groups.len() - 1]);
    let fresh = listener.figures()?;

    // What the first connections and mails bring to life is not counted.
    let alone = rate(mail_to, Duration::from_millis(500)).await?;
    drop(open(to, over, &connector, BY_ADDRESS).await?);
    let before = listener.settled(&fresh).await?;

    let mut all = open(to, over, &connector, count).await?;
    let with = listener.figures()?;
    ensure(with.open == count as u64, || format!("{with:?} of {count}"))?;
    let each = with.resident.saturating_sub(before.resident) / count as u64;
    let proportional = with.proportional.saturating_sub(before.proportional) / count as u64;
    ensure(each <= most, || {
        format!("an idle connection costs {each} octets, where {most} are the most")
    })?;
    let beside = rate(mail_to, Duration::from_millis(500)).await?;
    if over == Over::Clear {
        limit_by_address(to).await?;
    }

    drop(all.split_off(count / 2));
    while listener.figures()?.open > all.len() as u64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let half = listener.figures()?;
    let held = |figures: &Figures| figures.allocated.saturating_sub(before.allocated);
    let share = held(&with) * all.len() as u64 / count as u64;
    ensure(held(&half) <= share + KEPT, || {
        format!("memory is left behind: {half:?} after {with:?} and {before:?}")
    })?;
    ensure(half.descriptors <= before.descriptors + all.len(), || {
        format!("descriptors are left behind: {half:?} after {before:?}")
    })?;
    let left = all.len();
    let took = told_to_go(&mut listener, all).await?;
    let descriptors = listener.stopped()?;
    ensure(descriptors < fresh.descriptors, || {
        format!(
            "{descriptors} descriptors are left of {}",
            fresh.descriptors
        )
    })?;
    // The servers themselves are gone too.
    let after = listener.figures()?;
    ensure(after.allocated <= fresh.allocated + KEPT, || {
        format!("memory is left behind: {after:?} after {fresh:?}")
    })?;
    listener.exit()?;
    let over = if over == Over::Tls { "TLS" } else { "in clear" };
    Ok(Row::new(
        format!("{count} idle connections, {over}, {kind}"),
        format!(
            "{each} octets each (of PSS {proportional}); mail {beside:.0}/s, without them {alone:.0}/s; {left} told 421 in {took:.1} s; allocated {} → {} → {} → {} KiB; descriptors {} → {} → {descriptors}",
            before.allocated >> 10,
            with.allocated >> 10,
            half.allocated >> 10,
            after.allocated >> 10,
            with.descriptors,
            half.descriptors
        ),
    ))
}

async fn open(
    to: SocketAddr,
    over: Over,
    connector: &TlsConnector,
    count: usize,
) -> Outcome<Vec<Idle>> {
    many(count, 100, |number| {
        let (connector, from) = (connector.clone(), source(number, BY_ADDRESS));
        async move {
            let stream: Box<dyn Connection> = match over {
                Over::Clear => Box::new(introduced(to, from).await?.stream),
                Over::Tls => Box::new(introduced_by_tls(to, from, &connector).await?.stream),
            };
            Ok(Wire::new(stream))
        }
    })
    .await
}

/// One address has its share and no more, whatever room there is for others.
async fn limit_by_address(to: SocketAddr) -> Outcome<()> {
    let greedy = Ipv4Addr::new(127, 2, 0, 1);
    let share = many(BY_ADDRESS, BY_ADDRESS, |_| introduced(to, greedy)).await?;
    let mut one_more = Wire::new(connect(to, greedy).await?);
    let reply = one_more.reply().await?;
    ensure(reply.starts_with("421 4.7.0 "), || {
        format!("one connection too many from an address is told {reply:?}")
    })?;
    drop(introduced(to, Ipv4Addr::new(127, 2, 0, 2)).await?);
    drop(share);
    Ok(())
}

/// Has the server stop. All clients must hear 421 and the end of the connection.
async fn told_to_go(listener: &mut Listener, all: Vec<Idle>) -> Outcome<f64> {
    let begun = Instant::now();
    listener.begin_stop()?;
    for mut wire in all {
        let words = wire.rest().await?;
        ensure(words.starts_with(b"421 4.3.2 "), || {
            format!("an idle client hears {:?}", String::from_utf8_lossy(&words))
        })?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Whether mail goes on while something is done.
pub async fn beside_mail<T>(
    to: SocketAddr,
    attack: impl Future<Output = Outcome<T>>,
) -> Outcome<(T, f64)> {
    let mail = Mail::begin(to).await?;
    let done = attack.await;
    let rate = mail.end().await?;
    Ok((done?, rate))
}
