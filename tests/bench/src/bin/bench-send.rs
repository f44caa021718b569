//! mailwire's client for the benchmarks. `bench_programs.py` has its contract.
//!
//!     --client connection   one `client::Connection`, without a pool
//!     --client tasks        the async client, shared by as many tasks as there are connections, all on one thread
//!     --client threads      the blocking client, shared by as many threads
//!     --mode send           message by message
//!     --mode send_many      all the messages of a task or thread by one call
//!
//! What else it knows stands at `mailwire_bench::client_options`.

use std::error::Error;
use std::thread;
use std::time::Instant;

use mailwire::blocking::{self, Call};
use mailwire::client::{self, Connection, Content, Options};
use mailwire::proto::Envelope;
use mailwire_bench::{Arguments, client_options, cpu_seconds, message, report, shares};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let connections = arguments.number("connections", 1)?;
    let work = Work {
        messages: arguments.number("messages", 1000)?,
        workers: connections,
        chained: match arguments.text("mode", "send") {
            "send" => false,
            "send_many" => true,
            other => return Err(format!("--mode: {other:?} is neither send nor send_many").into()),
        },
        envelope: Envelope::parse("from@example.org", ["to@example.net"])?,
        message: message(usize::try_from(arguments.number("size", 1024)?)?).leak(),
    };
    let options = client_options(&arguments)?;

    let (start, before) = (Instant::now(), cpu_seconds());
    match arguments.text("client", "connection") {
        "connection" => runtime()?.block_on(one_connection(&work, &options)),
        "tasks" => runtime()?.block_on(tasks(&work, options)),
        "threads" => threads(&work, options),
        other => Err(format!("--client: there is no {other:?}").into()),
    }
    .map_err(|error| -> Box<dyn Error> { error })?;
    let connections = if arguments.flag("fresh") {
        work.messages
    } else {
        connections
    };
    let cpu = cpu_seconds() - before;
    report(work.messages, connections, start, Instant::now(), cpu);
    Ok(())
}

/// What is sent, and by how many.
#[derive(Clone)]
struct Work {
    messages: u64,
    workers: u64,
    chained: bool,
    envelope: Envelope,
    message: &'static [u8],
}

impl Work {
    fn many(&self, messages: u64) -> impl Iterator<Item = (Envelope, Content<'static>)> + use<'_> {
        (0..messages).map(|_| (self.envelope.clone(), Content::bytes(self.message)))
    }
}

/// The runtime of the async clients: one thread.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn one_connection(work: &Work, options: &Options) -> Result<(), Failure> {
    let mut connection = Connection::open(options).await?;
    if work.chained {
        let mut failure = None;
        let mut all = work.many(work.messages);
        connection
            .send_many(&mut all, &mut |_, result| {
                failure = failure.take().or(result.err());
            })
            .await;
        if let Some(error) = failure {
            return Err(error.into());
        }
    } else {
        for _ in 0..work.messages {
            let content = Content::bytes(work.message);
            connection.send(work.envelope.clone(), content).await?;
        }
    }
    connection.quit().await;
    Ok(())
}

async fn tasks(work: &Work, options: Options) -> Result<(), Failure> {
    let client = client::Client::new(options)?;
    let mut tasks = JoinSet::new();
    for share in shares(work.messages, work.workers) {
        let (client, work) = (client.clone(), work.clone());
        tasks.spawn(async move { task(&client, &work, share).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    client.close(None).await;
    Ok(())
}

async fn task(client: &client::Client, work: &Work, share: u64) -> Result<(), Failure> {
    if work.chained {
        let mut failure = None;
        client
            .send_many(work.many(share), |_, result| {
                failure = failure.take().or(result.err());
            })
            .await?;
        return failure.map_or(Ok(()), |error| Err(error.into()));
    }
    for _ in 0..share {
        let content = Content::bytes(work.message);
        client.send(&work.envelope, content).await?;
    }
    Ok(())
}

fn threads(work: &Work, options: Options) -> Result<(), Failure> {
    let client = &blocking::Client::new(options)?;
    thread::scope(|scope| {
        let threads: Vec<_> = shares(work.messages, work.workers)
            .map(|share| scope.spawn(move || thread(client, work, share)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })?;
    client.close();
    Ok(())
}

fn thread(client: &blocking::Client, work: &Work, share: u64) -> Result<(), Failure> {
    if work.chained {
        let mut failure = None;
        client.send_many(work.many(share), Call::default(), |_, result| {
            failure = failure.take().or(result.err());
        })?;
        return failure.map_or(Ok(()), |error| Err(error.into()));
    }
    for _ in 0..share {
        let content = Content::bytes(work.message);
        client.send(&work.envelope, content, Call::default())?;
    }
    Ok(())
}
