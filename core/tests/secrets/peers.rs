//! A server that takes every login, a client that says what it is told, and lines that are overwritten when they were sent.

use std::future::{Future, ready};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mailwire::proto::Envelope;
use mailwire::sasl::{Credentials, Mechanism};
use mailwire::server::{
    Answer, Answers, Body, Handler, Hooks, Options, Server, Session, SessionInfo,
};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

/// What stands in front of a secret, the secret, and CRLF, in one piece of memory.
pub(crate) fn line(front: &[&str], secret: impl Iterator<Item = u8>) -> Zeroizing<Vec<u8>> {
    let mut line = Zeroizing::new(Vec::with_capacity(256));
    for part in front {
        line.extend_from_slice(part.as_bytes());
    }
    // One by one: there must be room for all of it, since what grows leaves a copy behind.
    for octet in secret.chain(*b"\r\n") {
        assert!(line.len() < line.capacity());
        line.push(octet);
    }
    line
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start() -> Self {
        let mut options = Options::new();
        options.set_allow_plaintext_auth(true);
        options
            .set_mechanisms(&[
                Mechanism::Plain,
                Mechanism::Login,
                Mechanism::CramMd5,
                Mechanism::ScramSha256,
            ])
            .unwrap();
        options.set_hooks(Hooks::AUTH.with(Hooks::LOOKUP));
        let server = Server::bind(options).unwrap();
        let address = server.addresses()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let stopped = async { stopped.await.unwrap_or_default() };
            runtime
                .block_on(server.serve_until(Taker, stopped))
                .unwrap();
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A client that has read the greeting.
    pub(crate) fn client(&self) -> Talk {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_nodelay(true).unwrap();
        // Nothing here may hang: a test that waits this long has failed.
        let longest = Some(Duration::from_secs(20));
        stream.set_read_timeout(longest).unwrap();
        let mut talk = Talk(BufReader::new(stream));
        assert!(talk.reply().starts_with("220 "));
        talk
    }

    /// A client that has said EHLO too.
    pub(crate) fn greeted(&self) -> Talk {
        let mut talk = self.client();
        assert!(talk.ask("EHLO client.example").starts_with("250 "));
        talk
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Taker;

impl Handler for Taker {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        Self
    }
}

impl Session for Taker {
    fn auth(&mut self, _: &SessionInfo, _: Credentials) -> impl Future<Output = Answer> + Send {
        ready(Answer::Accept)
    }

    async fn message(&mut self, _: &SessionInfo, _: Envelope, body: &mut Body<'_>) -> Answers {
        // That there is no more of it for a fault of the client is answered without us.
        while let Ok(Some(_)) = body.chunk().await {}
        Answers::accept()
    }
}

/// A client's connection.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.0.get_mut().write_all(octets).unwrap();
    }

    /// The last line of a reply, without its end.
    pub(crate) fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end_matches("\r\n").to_owned();
            }
        }
    }

    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n").as_bytes());
        self.reply()
    }

    /// Sends no more, and waits until the server has closed the connection.
    pub(crate) fn finish(mut self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
    }
}
