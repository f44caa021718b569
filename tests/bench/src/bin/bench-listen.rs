//! mailwire's listener for the benchmarks: takes every message and drops it. `bench_programs.py` has its contract; what else it
//! knows stands at `mailwire_bench::server_options`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mailwire::Error;
use mailwire::proto::Envelope;
use mailwire::server::{Answers, Body, Handler, Server, Session, SessionInfo};
use mailwire_bench::{Arguments, Tally, cpu_seconds, ended, listening, server_options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read();
    let limit = Duration::from_secs(arguments.number("seconds", 60)?);
    let tally = Arc::new(Tally::of(arguments.number("messages", 0)?));
    let server = Server::bind(server_options(&arguments)?)?;
    listening(server.addresses().first().map_or(0, SocketAddr::port));
    let before = cpu_seconds();
    let seen = Arc::clone(&tally);
    let enough = async move {
        tokio::select! {
            () = seen.all() => {}
            _ = ended(limit) => {}
        }
    };
    server.serve_until(Sink(Arc::clone(&tally)), enough).await?;
    tally.report(cpu_seconds() - before);
    Ok(())
}

struct Sink(Arc<Tally>);

impl Handler for Sink {
    type Session = Drain;

    fn session(&self, _: &SessionInfo) -> Drain {
        self.0.connected();
        Drain(Arc::clone(&self.0))
    }
}

struct Drain(Arc<Tally>);

impl Session for Drain {
    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        while let Ok(Some(_)) = body.chunk().await {}
        self.0.taken();
        Answers::accept()
    }

    async fn disconnect(&mut self, _: &SessionInfo, _: Option<&Error>) {
        self.0.gone();
    }
}
