//! Over a socket: the async server of ours, one for each setting, as long as the target lives.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use mailwire::proto::{Envelope, MailParameters, Protocol, Recipient, ReversePath};
use mailwire::sasl::{Credentials, Secret};
use mailwire::server::{
    Answer, Answers, Body, Control, Handler, Hooks, Options, Server, Session, SessionInfo,
};
use mailwire::tls::ServerTls;
use rcgen::{CertificateParams, KeyPair};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use tokio::sync::oneshot;

use super::application::{self, Application};
use super::socket::SocketWire;
use super::{Finish, Journal, Note, Said, Setting, Target, TlsSetting, Unable, Wire};
use crate::case::Script;
use crate::template::Names;

/// The async server.
pub struct Own {
    certificate: Certificate,
    running: Mutex<HashMap<Setting, Running>>,
}

struct Certificate {
    chain: String,
    key: String,
    client: TlsSetting,
}

struct Running {
    address: SocketAddr,
    journals: Journals,
    /// Keeps a view of the server, for its count of sessions.
    control: Control,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Result<(), mailwire::Error>>>,
}

/// What the sessions see, by the client's address.
type Journals = Arc<Mutex<HashMap<SocketAddr, Journal>>>;

impl Own {
    /// No server yet: each is started by the first conversation that wants it.
    pub fn new() -> Result<Self, String> {
        Ok(Self {
            certificate: certificate()?,
            running: Mutex::new(HashMap::new()),
        })
    }

    /// Where a server that is set so listens, and how to do TLS with it.
    pub fn listen(&self, setting: &Setting) -> Result<(SocketAddr, TlsSetting), String> {
        let address = self.with_server(setting, |running| running.address)?;
        Ok((address, self.certificate.client.clone()))
    }

    fn with_server<T>(
        &self,
        setting: &Setting,
        act: impl FnOnce(&Running) -> T,
    ) -> Result<T, String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if !running.contains_key(setting) {
            running.insert(setting.clone(), start(setting, &self.certificate)?);
        }
        Ok(act(&running[setting]))
    }
}

impl Target for Own {
    fn open(&self, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Unable> {
        if script.only.iter().any(|word| word == "memory") {
            return Err(Unable::Inconclusive("only the machine shows it".to_owned()));
        }
        let found = self.with_server(setting, |running| {
            (
                running.address,
                Arc::clone(&running.journals),
                running.control.clone(),
            )
        });
        let (address, journals, control) = found.map_err(Unable::Broken)?;
        // A connection that a case before this has left must not count against this one.
        if setting.connections < 10 {
            wait_until(|| control.statistics().open_sessions == 0);
        }
        let tls = Some(self.certificate.client.clone());
        let mut wire =
            SocketWire::connect(address, tls, self.patience()).map_err(Unable::Broken)?;
        let client = wire
            .address()
            .ok_or_else(|| Unable::Broken("the connection is gone".to_owned()))?;
        let journal = journal_of(&journals, client);
        if setting.implicit_tls && script.steps.iter().all(|step| step.word != "clear") {
            wire.start_tls().map_err(Unable::Broken)?;
        }
        Ok(Box::new(Watched {
            wire: wire.with_journal(journal),
            journals,
            client,
        }))
    }

    fn names(&self, setting: &Setting) -> Names {
        names(setting)
    }

    fn is_ours(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(60)
    }
}

fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..200 {
        if holds() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A wire whose journal is forgotten with it: another connection may have the same address later.
struct Watched {
    wire: SocketWire,
    journals: Journals,
    client: SocketAddr,
}

impl Wire for Watched {
    fn send(&mut self, octets: &[u8]) {
        self.wire.send(octets);
    }

    fn send_in_clear(&mut self, octets: &[u8]) {
        self.wire.send_in_clear(octets);
    }

    fn receive(&mut self, patience: Duration) -> Said {
        self.wire.receive(patience)
    }

    fn start_tls(&mut self) -> Result<(), String> {
        self.wire.start_tls()
    }

    fn finish(&mut self, how: Finish) {
        self.wire.finish(how);
    }

    fn exporter(&self) -> Option<[u8; 32]> {
        self.wire.exporter()
    }

    fn journal(&self) -> Option<Journal> {
        self.wire.journal()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.journals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.client);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Dropping the sender stops the server.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the names in cases stand for on a server of ours.
pub(crate) fn names(setting: &Setting) -> Names {
    let domain = application::DOMAIN;
    Names::default()
        .with("host", application::HOST)
        .with("domain", domain)
        .with("rcpt", format!("joe@{domain}"))
        .with("sender", "sender@client.example")
        .with("unknown", format!("nobody@{domain}"))
        .with("elsewhere", "joe@elsewhere.example")
        .with("user", application::USER)
        .with("password", application::PASSWORD)
        .with("token", application::TOKEN)
        .with("size", setting.size.to_string())
        .with("fill", setting.size.to_string())
}

fn certificate() -> Result<Certificate, String> {
    let made = KeyPair::generate().and_then(|key| {
        let params = CertificateParams::new(vec![application::HOST.to_owned()])?;
        Ok((params.self_signed(&key)?, key.serialize_pem()))
    });
    let (certificate, key) = made.map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(certificate.der().to_vec()))
        .map_err(|error| error.to_string())?;
    Ok(Certificate {
        chain: certificate.pem(),
        key,
        client: TlsSetting::trusting(roots, application::HOST)?,
    })
}

fn start(setting: &Setting, certificate: &Certificate) -> Result<Running, String> {
    let server = options(setting, certificate)
        .and_then(Server::bind)
        .map_err(|error| error.to_string())?;
    let address = *server.addresses().first().ok_or("no address")?;
    let control = server.control();
    let journals = Journals::default();
    let handler = Applications {
        setting: setting.clone(),
        journals: Arc::clone(&journals),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let thread = thread::spawn(move || {
        runtime.block_on(server.serve_until(handler, async {
            let _ = stopped.await;
        }))
    });
    Ok(Running {
        address,
        journals,
        control,
        stop: Some(stop),
        thread: Some(thread),
    })
}

fn options(setting: &Setting, certificate: &Certificate) -> Result<Options, mailwire::Error> {
    let mut options = Options::new();
    options.set_hostname(application::HOST)?;
    if setting.lmtp {
        options.set_protocol(Protocol::Lmtp);
    }
    if !setting.no_tls {
        options.set_tls(ServerTls::from_pem(
            certificate.chain.as_bytes(),
            certificate.key.as_bytes(),
        )?);
    }
    options.set_implicit_tls(setting.implicit_tls);
    options.set_require_tls(setting.require_tls);
    if !setting.no_auth && (!setting.no_tls || setting.auth_in_clear) {
        options.add_user(application::USER, Secret::new(application::PASSWORD))?;
    }
    if !setting.no_auth {
        options.set_mechanisms(setting.mechanisms())?;
    }
    options.set_auth_required(setting.require_auth);
    options.set_allow_plaintext_auth(setting.auth_in_clear);
    options.set_strict_spaces(setting.strict);
    options.set_lenient_line_ends(setting.lenient);
    options.set_line_ends(setting.line_ends());
    options.set_max_message_size(setting.size)?;
    options.set_max_recipients(setting.recipients)?;
    if let Some(domains) = setting.domains {
        options.set_max_recipient_domains(domains)?;
    }
    if let Some(transactions) = setting.transactions {
        options.set_max_transactions(transactions)?;
    }
    options.set_extensions(setting.extensions);
    if setting.trusted {
        options.set("xclient", "127.0.0.0/8")?;
    }
    options.set_max_connections(setting.connections)?;
    options.set_connections_per_address(1000)?;
    options.set_grace(Duration::ZERO);
    if setting.hooks {
        options.set_hooks(Hooks::ALL);
    }
    if let Some(time) = setting.idle {
        options.set_idle_timeout(time)?;
    }
    if let Some(time) = setting.handshake {
        options.set_handshake_timeout(time)?;
    }
    Ok(options)
}

fn journal_of(journals: &Journals, client: SocketAddr) -> Journal {
    let mut journals = journals.lock().unwrap_or_else(PoisonError::into_inner);
    journals.entry(client).or_default().clone()
}

struct Applications {
    setting: Setting,
    journals: Journals,
}

impl Handler for Applications {
    type Session = Application;

    fn session(&self, info: &SessionInfo) -> Application {
        let journal = info
            .address()
            .map(|client| journal_of(&self.journals, client))
            .unwrap_or_default();
        Application::new(&self.setting, journal)
    }
}

impl Session for Application {
    async fn connect(&mut self, _: &SessionInfo) -> Answer {
        Application::connect(self)
    }

    async fn hello(&mut self, _: &SessionInfo, name: &str) -> Answer {
        Application::hello(self, name)
    }

    async fn auth(&mut self, _: &SessionInfo, credentials: Credentials) -> Answer {
        self.judge(&credentials)
    }

    async fn mail(
        &mut self,
        _: &SessionInfo,
        path: &ReversePath,
        parameters: &MailParameters,
    ) -> Answer {
        Application::mail(self, path, &parameters.to_string())
    }

    async fn recipients(&mut self, _: &SessionInfo, recipients: &[Recipient]) -> Answers {
        recipients.iter().map(|one| self.recipient(one)).collect()
    }

    async fn message(
        &mut self,
        _: &SessionInfo,
        envelope: Envelope,
        body: &mut Body<'_>,
    ) -> Answers {
        if let Ok(pieces) = body.collect().await {
            self.journal.write(Note::Message(pieces.concat()));
        }
        let recipients = envelope.recipients().iter();
        if envelope.recipients().len() == 1 {
            recipients
                .map(Application::delivery)
                .next()
                .map_or_else(Answers::accept, Answers::from)
        } else {
            recipients.map(Application::delivery).collect()
        }
    }

    async fn reset(&mut self, _: &SessionInfo) {
        self.journal.told("reset");
    }

    async fn etrn(&mut self, _: &SessionInfo, node: &str) -> Answer {
        Application::etrn(self, node)
    }

    async fn unknown(&mut self, _: &SessionInfo, _: &str, _: &str) -> Answer {
        application::unknown()
    }

    async fn expand(&mut self, _: &SessionInfo, _: &str) -> Answer {
        Answer::Accept
    }

    async fn quit(&mut self, _: &SessionInfo) {
        self.journal.told("quit");
    }
}
