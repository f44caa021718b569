//! mail-send under the contract of bench_programs.py: a task for each connection, all on one thread.
//!
//! With `--fresh` there is a connection for each message; with `--tls FILE` STARTTLS, and the certificate there is trusted. With
//! `--nodelay` the sockets have TCP_NODELAY, which mail-send leaves off; that goes with plain connections alone.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mail_send::smtp::message::Message;
use mail_send::{SmtpClient, SmtpClientBuilder};
use mailwire_bench_peers::{Arguments, cpu_seconds, message, report, shares};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let messages = arguments.number("messages", 1000)?;
    let connections = arguments.number("connections", 1)?;
    let fresh = arguments.flag("fresh");
    let root = arguments.text("tls", "").to_owned();
    let mut roots = RootCertStore::empty();
    if !root.is_empty() {
        roots.add(CertificateDer::from_pem_file(&root)?)?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let builder = SmtpClientBuilder::new_with_tls_connector(
        "127.0.0.1".to_owned(),
        u16::try_from(arguments.number("port", 25)?)?,
        TlsConnector::from(Arc::new(config)),
    );
    let work = Arc::new(Work {
        builder: builder
            .implicit_tls(false)
            .helo_host("client.example")
            .timeout(Duration::from_secs(arguments.number("seconds", 60)?)),
        body: message(usize::try_from(arguments.number("size", 1024)?)?),
        tls: !root.is_empty(),
        no_delay: arguments.flag("nodelay"),
    });

    let (start, before) = (Instant::now(), cpu_seconds());
    let mut tasks = JoinSet::new();
    for share in shares(messages, connections) {
        let work = Arc::clone(&work);
        tasks.spawn(async move {
            let (sessions, each) = if fresh { (share, 1) } else { (1, share) };
            for _ in 0..sessions {
                work.session(each).await?;
            }
            Ok::<(), mail_send::Error>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let connections = if fresh { messages } else { connections };
    let cpu = cpu_seconds() - before;
    report(messages, connections, start, Instant::now(), cpu);
    Ok(())
}

struct Work {
    builder: SmtpClientBuilder<String>,
    body: Vec<u8>,
    tls: bool,
    no_delay: bool,
}

impl Work {
    async fn session(&self, messages: u64) -> mail_send::Result<()> {
        if self.tls {
            return self.send(self.builder.connect().await?, messages).await;
        }
        let client = self.builder.connect_plain().await?;
        client.stream.set_nodelay(self.no_delay)?;
        self.send(client, messages).await
    }

    async fn send<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut client: SmtpClient<S>,
        messages: u64,
    ) -> mail_send::Result<()> {
        for _ in 0..messages {
            let message =
                Message::new("from@example.org", ["to@example.net"], self.body.as_slice());
            client.send(message).await?;
        }
        client.quit().await
    }
}
