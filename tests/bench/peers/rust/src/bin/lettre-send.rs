//! lettre's blocking transport under the contract of bench_programs.py: its pool, shared by a thread for each connection.
//!
//! With `--fresh` there is a transport without a pool, and so a connection for each message; with `--tls FILE` STARTTLS, and the
//! certificate there is trusted.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{SmtpTransport, Transport};
use mailwire_bench_peers::{Arguments, cpu_seconds, message, report, shares};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let messages = arguments.number("messages", 1000)?;
    let connections = arguments.number("connections", 1)?;
    let limit = Duration::from_secs(arguments.number("seconds", 60)?);
    let fresh = arguments.flag("fresh");
    let message = message(usize::try_from(arguments.number("size", 1024)?)?);
    let sender = "from@example.org".parse()?;
    let envelope = Envelope::new(Some(sender), vec!["to@example.net".parse()?])?;

    let (start, before) = (Instant::now(), cpu_seconds());
    let mut builder = SmtpTransport::builder_dangerous("127.0.0.1")
        .port(u16::try_from(arguments.number("port", 25)?)?)
        .hello_name(ClientId::Domain("client.example".to_owned()))
        .timeout(Some(limit))
        .pool_config(PoolConfig::new().max_size(if fresh {
            0
        } else {
            u32::try_from(connections)?
        }));
    let root = arguments.text("tls", "");
    if !root.is_empty() {
        let parameters = TlsParameters::builder("127.0.0.1".to_owned())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&std::fs::read(root)?)?)
            .build_rustls()?;
        builder = builder.tls(Tls::Required(parameters));
    }
    let transport = builder.build();
    let send = |share| -> Result<(), lettre::transport::smtp::Error> {
        (0..share).try_for_each(|_| transport.send_raw(&envelope, &message).map(|_| ()))
    };
    thread::scope(|scope| {
        let threads: Vec<_> = shares(messages, connections)
            .map(|share| scope.spawn(move || send(share)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .map_err(|_| "a thread panicked")?
                .map_err(Box::<dyn Error>::from)
        })
    })?;
    let connections = if fresh { messages } else { connections };
    let cpu = cpu_seconds() - before;
    report(messages, connections, start, Instant::now(), cpu);
    Ok(())
}
