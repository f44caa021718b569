//! Receives mail: `listen ADDRESS CERT KEY USER PASSWORD [COUNT [DIRECTORY]]`, with STARTTLS and a login required. Prints a line
//! for each message, keeps it in DIRECTORY, and ends after COUNT messages (0: never) or on Ctrl-C.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mailwire::proto::{Envelope, Recipient, Reply};
use mailwire::server::{Answer, Answers, Body, Handler, Options, Server, Session, SessionInfo};
use mailwire::tls::ServerTls;
use tokio::sync::Notify;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match listen().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("listen: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn listen() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, certificate, key, user, password, rest @ ..] = arguments.as_slice() else {
        return Err("usage: listen ADDRESS CERT KEY USER PASSWORD [COUNT [DIRECTORY]]".into());
    };
    let inbox = Inbox(Arc::new(State {
        count: rest.first().map_or(Ok(0), |count| count.parse())?,
        directory: rest.get(1).map(PathBuf::from),
        taken: AtomicUsize::new(0),
        enough: Notify::new(),
        no_such_user: Reply::new(550, "No such user here")?,
        not_kept: Reply::new(451, "The message could not be kept")?,
    }));
    let mut options = Options::new();
    options.listen(address)?;
    options.set_tls(ServerTls::from_pem_files(certificate, key)?);
    options.add_user(user, password.as_str().into())?;
    options.set_auth_required(true);
    options.set_require_tls(true);
    let server = Server::bind(options)?;
    for address in server.addresses() {
        println!("listening on {address}");
    }
    let state = Arc::clone(&inbox.0);
    let enough = async move {
        tokio::select! {
            () = state.enough.notified() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    server.serve_until(inbox, enough).await?;
    Ok(())
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct Inbox(Arc<State>);

struct State {
    count: usize,
    directory: Option<PathBuf>,
    taken: AtomicUsize,
    enough: Notify,
    no_such_user: Reply,
    not_kept: Reply,
}

impl Handler for Inbox {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        self.clone()
    }
}

impl Session for Inbox {
    async fn recipients(&mut self, _: &SessionInfo, recipients: &[Recipient]) -> Answers {
        let answer = |recipient: &Recipient| {
            if recipient.path().as_str().starts_with("nobody@") {
                Answer::Reply(self.0.no_such_user.clone())
            } else {
                Answer::Accept
            }
        };
        recipients.iter().map(answer).collect()
    }

    async fn message(
        &mut self,
        info: &SessionInfo,
        envelope: Envelope,
        body: &mut Body<'_>,
    ) -> Answers {
        match self.keep(info, &envelope, body).await {
            Ok(()) => Answers::accept(),
            Err(error) => {
                eprintln!("listen: {error}");
                self.0.not_kept.clone().into()
            }
        }
    }
}

impl Inbox {
    async fn keep(
        &self,
        info: &SessionInfo,
        envelope: &Envelope,
        body: &mut Body<'_>,
    ) -> Result<(), Failure> {
        let content = body.collect().await?.concat();
        let number = self.0.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(directory) = &self.0.directory {
            tokio::fs::write(directory.join(format!("{number}.eml")), &content).await?;
        }
        let recipients: Vec<&str> = envelope
            .recipients()
            .iter()
            .map(|r| r.path().as_str())
            .collect();
        let tls = info.tls().map_or("-", |tls| tls.version().name());
        let (peer, user, sender) = (
            info.peer(),
            info.user().unwrap_or("-"),
            envelope.reverse_path(),
        );
        println!(
            "{peer} {tls} {user} {sender} {} {}",
            recipients.join(","),
            content.len()
        );
        if number == self.0.count {
            self.0.enough.notify_one();
        }
        Ok(())
    }
}
