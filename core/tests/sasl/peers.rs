//! A server that judges as it is told and remembers who has logged in, and options for a client of it.

use std::future::{Future, ready};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mailwire::client::{Connection, Content, Options as ClientOptions};
use mailwire::proto::{Envelope, Reply};
use mailwire::sasl::{Credentials, Found, Lookup, Proof};
use mailwire::server::{Answer, Answers, Body, Handler, Options, Server, Session, SessionInfo};
use mailwire::tls::{ClientTls, Pem, Roots, ServerTls, TlsPolicy};
use mailwire::{Error, Status};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::sync::oneshot;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A throw-away authority, with certificates for a server and a client.
pub(crate) struct Pki {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    fn root(&self) -> Pem {
        Pem::bytes(self.issuer.pem())
    }

    /// A certificate with its key, and the certificate in DER.
    pub(crate) fn issue(&self, name: &str) -> (Pem, Pem, Vec<u8>) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            Pem::bytes(certificate.pem()),
            Pem::bytes(key.serialize_pem()),
            certificate.der().to_vec(),
        )
    }

    /// A certificate with its key in one file, and the root in another, as options by name have them.
    pub(crate) fn files(&self, name: &str, folder: &Path) -> (PathBuf, PathBuf) {
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (both, root) = (folder.join("both.pem"), folder.join("root.pem"));
        std::fs::write(&both, certificate.pem() + &key.serialize_pem()).unwrap();
        std::fs::write(&root, self.issuer.pem()).unwrap();
        (both, root)
    }

    pub(crate) fn server_tls(&self) -> ServerTls {
        let (certificate, key, _) = self.issue("localhost");
        ServerTls::with_client_roots(&certificate, &key, &[self.root()]).unwrap()
    }

    /// TLS of both sides without mailwire, for somebody who has a certificate of the server's name.
    pub(crate) fn both_sides(&self) -> (TlsAcceptor, TlsConnector) {
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())
            .unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (Arc::new(server).into(), Arc::new(client).into())
    }

    pub(crate) fn client_tls(&self) -> ClientTls {
        ClientTls::new()
            .with_roots(&Roots::Only(vec![self.root()]))
            .unwrap()
    }
}

/// What the server's application has seen and says.
#[derive(Clone, Default)]
pub(crate) struct Application(Arc<State>);

#[derive(Default)]
struct State {
    users: Mutex<Vec<String>>,
    asked: Mutex<Vec<String>>,
}

impl Application {
    /// Who was logged in when messages came.
    pub(crate) fn users(&self) -> Vec<String> {
        self.0.users.lock().unwrap().clone()
    }

    /// What the hooks of AUTH were asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.0.asked.lock().unwrap().clone()
    }
}

impl Handler for Application {
    type Session = Self;

    fn session(&self, _: &SessionInfo) -> Self {
        self.clone()
    }
}

impl Session for Application {
    /// Takes the token `good`, certificates, and anonymous users.
    fn auth(
        &mut self,
        _: &SessionInfo,
        credentials: Credentials,
    ) -> impl Future<Output = Answer> + Send {
        let (proof, name) = (credentials.proof(), credentials.username());
        self.0
            .asked
            .lock()
            .unwrap()
            .push(format!("{proof:?} {name}"));
        let good = match proof {
            Proof::Password => credentials.password().same_as(b"hook's secret"),
            Proof::Token => credentials.password().same_as(b"good"),
            _ => true,
        };
        let refusal = Reply::new(535, "no").unwrap();
        ready(if good {
            Answer::Accept
        } else {
            Answer::Reply(refusal)
        })
    }

    /// Knows the password of `ann`, and nothing when asked for `fault`.
    fn look_up(
        &mut self,
        _: &SessionInfo,
        lookup: &Lookup,
    ) -> impl Future<Output = Result<Found, Reply>> + Send {
        let name = lookup.username();
        self.0.asked.lock().unwrap().push(format!("Lookup {name}"));
        ready(match name {
            "ann" => Ok(Found::Password("hook's secret".into())),
            "fault" => Err(Reply::new(454, "not now").unwrap()),
            _ => Ok(Found::Nobody),
        })
    }

    async fn message(&mut self, info: &SessionInfo, _: Envelope, _: &mut Body<'_>) -> Answers {
        let user = info.user().unwrap_or("(nobody)").to_owned();
        self.0.users.lock().unwrap().push(user);
        Answers::accept()
    }
}

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) port: u16,
    pub(crate) application: Application,
    pub(crate) pki: Pki,
    _stop: oneshot::Sender<()>,
}

/// A server with TLS, set up by `change`. Only those who have logged in may send.
pub(crate) fn serve(change: impl FnOnce(&mut Options)) -> Running {
    let pki = Pki::new();
    let mut options = Options::new();
    options.set_tls(pki.server_tls());
    options.set_auth_required(true);
    change(&mut options);
    let server = Server::bind(options).unwrap();
    let port = server.addresses()[0].port();
    let application = Application::default();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(server.serve_until(application.clone(), async move {
        let _ = stopped.await;
    }));
    Running {
        port,
        application,
        pki,
        _stop: stop,
    }
}

impl Running {
    /// Options of a client that trusts the server, over STARTTLS.
    pub(crate) fn client(&self) -> ClientOptions {
        let mut options = ClientOptions::new();
        options.set_server("localhost", Some(self.port)).unwrap();
        options.set_tls(TlsPolicy::Required);
        options.set_client_tls(self.pki.client_tls());
        options
    }
}

/// Logs in and sends a message.
pub(crate) async fn send(options: &ClientOptions) -> Result<(), Error> {
    let mut connection = Connection::open(options).await?;
    let envelope = Envelope::parse("a@b.example", ["c@d.example"]).unwrap();
    connection.send(envelope, Content::bytes(b"x\r\n")).await?;
    connection.quit().await;
    Ok(())
}

/// The status of a failed login and what is said of it.
pub(crate) async fn failure(options: &ClientOptions) -> (Status, String) {
    let error = send(options).await.unwrap_err();
    (error.status(), error.to_string())
}
