//! mailin-embedded as a listener under the contract of bench_programs.py: takes every message, keeps none. It has a thread for each
//! connection: `--connections C` says how many (16).

use std::error::Error;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use mailin_embedded::response::OK;
use mailin_embedded::{Handler, Response, Server, SslConfig};
use mailwire_bench_peers::{Arguments, Tally, cpu_seconds, ended, listening};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let limit = Duration::from_secs(arguments.number("seconds", 60)?);
    let tally = Arc::new(Tally::of(arguments.number("messages", 0)?));
    let ssl = match arguments.text("certificate", "") {
        "" => SslConfig::None,
        certificate => SslConfig::SelfSigned {
            cert_path: certificate.to_owned(),
            key_path: arguments.text("key", "").to_owned(),
        },
    };
    let listener = TcpListener::bind(("127.0.0.1", u16::try_from(arguments.number("port", 0)?)?))?;
    let port = listener.local_addr()?.port();
    let mut server = Server::new(Taker {
        tally: Arc::clone(&tally),
        is_session: false,
    });
    server
        .with_name("mailin.example")
        .with_num_threads(u32::try_from(arguments.number("connections", 16)?)?)
        .with_tcp_listener(listener)
        .with_ssl(ssl)
        .map_err(|error| error.to_string())?;
    listening(port);
    let before = cpu_seconds();
    thread::spawn(move || {
        // It never ends by itself.
        if let Err(error) = server.serve() {
            eprintln!("{error}");
            std::process::exit(1);
        }
    });
    tokio::select! {
        () = tally.all() => {}
        ended = ended(limit) => ended?,
    }
    tally.report(cpu_seconds() - before);
    Ok(())
}

/// The server clones one for each session.
struct Taker {
    tally: Arc<Tally>,
    is_session: bool,
}

impl Clone for Taker {
    fn clone(&self) -> Self {
        self.tally.connected();
        Self {
            tally: Arc::clone(&self.tally),
            is_session: true,
        }
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        if self.is_session {
            self.tally.gone();
        }
    }
}

impl Handler for Taker {
    fn data(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn data_end(&mut self) -> Response {
        self.tally.taken();
        OK
    }
}
