//! The server as a client sees it: scripts over real sockets, against a session that answers by what it is told.

mod attempts;
mod behind_xclient;
mod chunks;
mod counted;
mod decoys;
mod ends;
mod extensions;
mod hooks;
mod limits;
mod listening;
mod logins;
mod memory;
mod messages;
mod own_mechanism;
mod page;
mod rates;
mod relay;
mod sessions;
mod statistics;
pub(crate) mod talk;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use self::talk::Talk;
use super::buffer::READ_BUFFER;
use super::{
    Answer, Answers, Body, Control, Handler, Hooks, Options, Server, Session, SessionInfo,
    Statistics,
};
use crate::error::{Error, Status};
use crate::proto::{Envelope, MailParameters, Recipient, Reply, ReversePath};
use crate::sasl::Credentials;

/// A server that runs on a thread of its own, and what its sessions have seen.
struct Running {
    address: SocketAddr,
    control: Control,
    seen: Seen,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<(), Error>>>,
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits until something that begins so was seen.
    fn wait_for(&self, start: &str) -> String {
        for _ in 0..3000 {
            if let Some(found) = self.all().into_iter().find(|what| what.starts_with(start)) {
                return found;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{start} never came: {:?}", self.all())
    }
}

impl Running {
    fn start(options: Options) -> Self {
        let seen = Seen::default();
        Self::serve(options, Scripted(seen.clone()), seen)
    }

    fn serve(options: Options, handler: impl Handler, seen: Seen) -> Self {
        Self::of(Server::bind(options).unwrap(), handler, seen)
    }

    fn of(server: Server, handler: impl Handler, seen: Seen) -> Self {
        let address = server.addresses()[0];
        let control = server.control();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            // Dropping the sender stops the server too.
            runtime.block_on(async {
                server
                    .serve_until(handler, async { stopped.await.unwrap_or_default() })
                    .await
            })
        });
        Self {
            address,
            control,
            seen,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn with(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new();
        options.set_hostname("mx.example.org").unwrap();
        change(&mut options);
        Self::start(options)
    }

    /// One that asks nothing of its application, takes XCLIENT from this machine, and has these settings.
    fn trusting(settings: &[(&str, &str)]) -> Self {
        Self::with(|options| {
            options.set_hooks(Hooks::NONE);
            options.set("xclient", "127.0.0.1").unwrap();
            for (name, value) in settings {
                options.set(name, value).unwrap();
            }
        })
    }

    /// A client that has read the greeting.
    fn client(&self) -> Talk {
        let mut talk = Talk::connect(self.address);
        assert_eq!(talk.reply(), "220 mx.example.org ESMTP");
        talk
    }

    /// A client that speaks for this address, and has said EHLO.
    fn speaking_for(&self, address: &str) -> Talk {
        let mut talk = self.client();
        let greeting = talk.ask(&format!("XCLIENT ADDR={address}"));
        assert!(greeting.starts_with("220 "));
        talk.ask("EHLO client.example");
        talk
    }

    /// A client that has said EHLO too.
    fn greeted(&self) -> Talk {
        let mut talk = self.client();
        assert!(
            talk.ask("EHLO client.example")
                .starts_with("250-mx.example.org")
        );
        talk
    }

    fn statistics(&self) -> Statistics {
        self.control.statistics()
    }

    fn stop(mut self) -> Seen {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap().unwrap();
        self.seen.clone()
    }
}

/// Makes sessions that do as the client's words ask.
struct Scripted(Seen);

struct ScriptedSession(Seen);

impl Handler for Scripted {
    type Session = ScriptedSession;

    fn session(&self, _: &SessionInfo) -> ScriptedSession {
        ScriptedSession(self.0.clone())
    }
}

fn reply(code: u16, text: &'static str) -> Reply {
    Reply::new(code, text).unwrap()
}

/// What a local part or another word asks for.
async fn obey(word: &str) -> Answer {
    if word.contains("refuse") {
        Answer::Reply(reply(550, "as you wish"))
    } else if word.contains("leave") {
        Answer::Reply(reply(421, "as you wish"))
    } else if word.contains("strange") {
        Answer::Reply(reply(220, "what is no answer to this"))
    } else if word.contains("panic") {
        // `resume_unwind` is a panic that prints nothing.
        std::panic::resume_unwind(Box::new("as you wish"))
    } else if word.contains("wait") {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        Answer::Accept
    } else {
        Answer::Accept
    }
}

/// Waits for each piece of a message a second at a time, and does something else for so long where none came.
async fn impatient(body: &mut Body<'_>, pause: Duration) -> Result<Vec<Bytes>, Error> {
    let mut pieces = Vec::new();
    loop {
        match tokio::time::timeout(Duration::from_secs(1), body.chunk()).await {
            Ok(Ok(Some(piece))) => pieces.push(piece),
            Ok(Ok(None)) => return Ok(pieces),
            Ok(Err(error)) => return Err(error),
            Err(_) => tokio::time::sleep(pause).await,
        }
    }
}

impl Session for ScriptedSession {
    async fn connect(&mut self, info: &SessionInfo) -> Answer {
        let peer = info.peer();
        assert!(peer.starts_with("127.0.0.1:") || peer.starts_with("[::1]:"));
        self.0.note("connect");
        Answer::Accept
    }

    async fn hello(&mut self, _: &SessionInfo, name: &str) -> Answer {
        self.0.note(format!("hello {name}"));
        obey(name).await
    }

    async fn auth(&mut self, info: &SessionInfo, credentials: Credentials) -> Answer {
        assert_eq!(info.user(), None);
        self.0.note(format!("auth {}", credentials.username()));
        if credentials.username() == "panic" {
            return obey("panic").await;
        }
        // The trace of ANONYMOUS, or a password.
        let guest = credentials.username() == "guest";
        if guest || credentials.password().same_as(b"hook's secret") {
            Answer::Accept
        } else {
            Answer::Reply(reply(535, "no"))
        }
    }

    async fn mail(&mut self, info: &SessionInfo, from: &ReversePath, _: &MailParameters) -> Answer {
        let (hello, user) = (info.hello_name().unwrap_or("-"), info.user().unwrap_or("-"));
        self.0
            .note(format!("mail {from} hello={hello} user={user}"));
        obey(&from.to_string()).await
    }

    async fn recipients(&mut self, _: &SessionInfo, recipients: &[Recipient]) -> Answers {
        let paths: Vec<String> = recipients
            .iter()
            .map(|one| one.path().to_string())
            .collect();
        self.0.note(format!("rcpt {}", paths.join(" ")));
        let mut answers = Vec::new();
        for path in paths {
            answers.push(obey(&path).await);
        }
        answers.into_iter().collect()
    }

    async fn message(
        &mut self,
        _: &SessionInfo,
        envelope: Envelope,
        body: &mut Body<'_>,
    ) -> Answers {
        let word = envelope.reverse_path().to_string();
        if word.contains("early") {
            return reply(554, "not even one octet").into();
        }
        if word.contains("faulty") {
            let fault = Error::new(Status::Io, "the disk is gone");
            return Answers::from(reply(451, "later")).with_fault(fault);
        }
        if word.contains("unread") {
            return Answers::accept();
        }
        if word.contains("first-chunk") {
            let chunk = body.chunk().await.unwrap().unwrap();
            // Whether the read buffer is free again although the chunk is still held.
            let free = body.channel.input.try_reclaim(READ_BUFFER);
            self.0.note(format!("chunk {} {free}", chunk.len()));
            return Answers::accept();
        }
        if word.contains("crash") {
            let _ = body.chunk().await;
            std::panic::resume_unwind(Box::new("as you wish"))
        }
        let collected = if word.contains("impatient") {
            let pause = if word.contains("busy") { 400 } else { 0 };
            impatient(body, Duration::from_secs(pause)).await
        } else if word.contains("hold") {
            let mut held = Vec::new();
            let pause = if word.contains("slowly") { 20 } else { 1 };
            loop {
                match body.chunk().await {
                    Ok(Some(chunk)) => held.push(chunk),
                    Ok(None) => break Ok(held),
                    Err(error) => break Err(error),
                }
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        } else {
            body.collect().await
        };
        match collected {
            Ok(pieces) => {
                self.0.note(format!("message {}", summary(&pieces)));
                envelope
                    .recipients()
                    .iter()
                    .map(|recipient| {
                        if recipient.path().to_string().contains("later") {
                            Answer::Reply(reply(450, "later"))
                        } else if recipient.path().to_string().contains("elsewhere") {
                            Answer::Reply(reply(251, "an answer to RCPT"))
                        } else {
                            Answer::Reply(reply(250, "queued"))
                        }
                    })
                    .collect()
            }
            Err(error) => {
                self.0.note(format!("lost {}", error.status().number()));
                Answers::accept()
            }
        }
    }

    async fn reset(&mut self, _: &SessionInfo) {
        self.0.note("reset");
    }

    async fn verify(&mut self, _: &SessionInfo, name: &str) -> Answer {
        self.0.note(format!("verify {name}"));
        obey(name).await
    }

    async fn quit(&mut self, _: &SessionInfo) {
        self.0.note("quit");
    }

    async fn disconnect(&mut self, _: &SessionInfo, reason: Option<&Error>) {
        let reason = reason.map_or_else(
            || "-".to_owned(),
            |error| error.status().number().to_string(),
        );
        self.0.note(format!("disconnect {reason}"));
    }
}

/// A message as text if it is short, else its length and a sum that a lost or moved octet changes.
fn summary(pieces: &[Bytes]) -> String {
    let whole = pieces.concat();
    if whole.len() < 100 {
        whole.escape_ascii().to_string()
    } else {
        format!("{} {}", whole.len(), sum(&whole))
    }
}

pub(crate) fn sum(octets: &[u8]) -> u64 {
    octets.iter().fold(17, |sum: u64, octet| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*octet))
    })
}
