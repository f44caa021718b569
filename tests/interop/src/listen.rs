//! Listeners that offer one mechanism each and take mail only behind it: for every mechanism one in clear, one with STARTTLS, one with
//! TLS from the start.

use std::path::{Path, PathBuf};

use mailwire::proto::{Envelope, Reply};
use mailwire::sasl::{Credentials, Mechanism, Proof};
use mailwire::server::{
    Answer, Answers, Body, Handler, Hooks, Options, Server, Session, SessionInfo,
};
use mailwire::tls::{Pem, ServerTls};

use super::Failure;

/// Who can log in. A certificate that leads to the authority is enough for EXTERNAL.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) token: String,
    refusal: Reply,
    not_kept: Reply,
}

impl Known {
    pub(crate) fn new(user: &str, password: &str, token: &str) -> Result<Self, Failure> {
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
            token: token.to_owned(),
            refusal: Reply::new(535, "That does not let you in")?,
            not_kept: Reply::new(451, "The message could not be kept")?,
        })
    }
}

/// How a client comes to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Not at all: that mechanisms are offered in clear is asked for.
    Plain,
    StartTls,
    Implicit,
}

/// Prints `MECHANISM plain|starttls|implicit PORT` for each listener and an empty line, and listens until the process is ended. A message
/// is kept in `folder` as `MECHANISM-starttls/RECIPIENT`, and who has logged in beside it as `RECIPIENT.user`.
pub(crate) async fn listen(
    folder: &str,
    [certificate, key, authority]: [&str; 3],
    known: Known,
) -> Result<(), Failure> {
    let tls = ServerTls::with_client_roots(
        &Pem::file(certificate),
        &Pem::file(key),
        &[Pem::file(authority)],
    )?;
    let mut running = Vec::new();
    for mechanism in Mechanism::ALL {
        for (name, way) in [
            ("plain", Way::Plain),
            ("starttls", Way::StartTls),
            ("implicit", Way::Implicit),
        ] {
            if mechanism == Mechanism::External && way == Way::Plain {
                // Without TLS there is no certificate.
                continue;
            }
            let folder = Path::new(folder).join(format!("{}-{name}", mechanism.name()));
            std::fs::create_dir(&folder)?;
            let server = Server::bind(options(mechanism, way, tls.clone(), &known)?)?;
            for address in server.addresses() {
                println!("{} {name} {}", mechanism.name(), address.port());
            }
            let inbox = Inbox {
                folder,
                known: known.clone(),
            };
            running.push(tokio::spawn(
                server.serve_until(inbox, std::future::pending::<()>()),
            ));
        }
    }
    println!();
    for server in running {
        server.await??;
    }
    Ok(())
}

fn options(
    mechanism: Mechanism,
    way: Way,
    tls: ServerTls,
    known: &Known,
) -> Result<Options, mailwire::Error> {
    let mut options = Options::new();
    options.listen("127.0.0.1:0")?;
    if way == Way::Plain {
        options.set_allow_plaintext_auth(true);
    } else {
        options.set_tls(tls);
        options.set_implicit_tls(way == Way::Implicit);
        options.set_require_tls(true);
    }
    options.set_auth_required(true);
    options.add_user(&known.user, known.password.as_str().into())?;
    options.set_mechanisms(&[mechanism])?;
    options.set_hooks(Hooks::AUTH);
    Ok(options)
}

#[derive(Clone)]
struct Inbox {
    folder: PathBuf,
    known: Known,
}

impl Handler for Inbox {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        self.clone()
    }
}

impl Session for Inbox {
    async fn auth(&mut self, _: &SessionInfo, credentials: Credentials) -> Answer {
        let accepted = match credentials.proof() {
            Proof::Token => {
                // With OAUTHBEARER the token alone may say whose it is.
                let user = credentials.username();
                (user.is_empty() || user == self.known.user)
                    && credentials.password().expose() == self.known.token.as_bytes()
            }
            Proof::Certificate | Proof::Nothing => true,
            _ => false,
        };
        if accepted {
            return Answer::Accept;
        }
        Answer::Reply(self.known.refusal.clone())
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
                self.known.not_kept.clone().into()
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
        for recipient in envelope.recipients() {
            let name = recipient.path().as_str();
            if !name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"@.-".contains(&octet))
            {
                return Err(format!("{name:?} is no name for a file").into());
            }
            let user = self.folder.join(format!("{name}.user"));
            tokio::fs::write(user, info.user().unwrap_or_default()).await?;
            // Who looks for the message finds all of it or nothing.
            let part = self.folder.join(format!("{name}.part"));
            tokio::fs::write(&part, &content).await?;
            tokio::fs::rename(&part, self.folder.join(name)).await?;
        }
        Ok(())
    }
}
