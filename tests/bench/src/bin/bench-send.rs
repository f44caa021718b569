//! mailwire's client for the benchmarks: many messages over one kept connection. `bench_programs.py` has its contract.

use std::time::{Duration, Instant};

use mailwire::client::{Connection, Content, Options};
use mailwire::proto::Envelope;
use mailwire::tls::TlsPolicy;
use mailwire_bench::{Arguments, cpu_seconds, report};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::read();
    let messages = arguments.number("messages", 1000)?;
    let message = message(usize::try_from(arguments.number("size", 1024)?)?);
    let chained = match arguments.text("mode", "send") {
        "send" => false,
        "send_many" => true,
        other => return Err(format!("--mode: {other:?} is neither send nor send_many").into()),
    };
    let mut options = Options::new();
    options.set_server(
        "127.0.0.1",
        Some(u16::try_from(arguments.number("port", 25)?)?),
    )?;
    options.set_tls(TlsPolicy::None);
    options.set_deadline(Some(Duration::from_secs(arguments.number("seconds", 60)?)))?;
    let envelope = Envelope::parse("from@example.org", ["to@example.net"])?;

    let (start, before) = (Instant::now(), cpu_seconds());
    let mut connection = Connection::open(&options).await?;
    if chained {
        let mut failure = None;
        let mut all = (0..messages).map(|_| (envelope.clone(), Content::bytes(&message)));
        connection
            .send_many(&mut all, &mut |_, result| {
                failure = failure.take().or(result.err());
            })
            .await;
        if let Some(error) = failure {
            return Err(error.into());
        }
    } else {
        for _ in 0..messages {
            connection
                .send(envelope.clone(), Content::bytes(&message))
                .await?;
        }
    }
    report(messages, 1, start, Instant::now(), cpu_seconds() - before);
    connection.quit().await;
    Ok(())
}

/// A header, and lines of 76 characters up to `size` octets.
fn message(size: usize) -> Vec<u8> {
    let mut message = b"Subject: benchmark\r\n\r\n".to_vec();
    while message.len() < size {
        message.extend_from_slice(&[b'x'; 76]);
        message.extend_from_slice(b"\r\n");
    }
    message.truncate(size.max(24));
    message.splice(message.len() - 2.., *b"\r\n");
    message
}
