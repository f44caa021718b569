//! Sends a message by lettre or mail-send, for the tests of interop. The arguments are those of Target.words in
//! tests/interop/senders/target.py, and `--library`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use lettre::address::Envelope;
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::{Credentials as LettreCredentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{SmtpTransport, Transport};
use mail_send::smtp::message::{Address, Message, Parameters};
use mail_send::{Credentials, SmtpClient, SmtpClientBuilder};
use mailwire_bench_peers::Arguments;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

const HOST: &str = "127.0.0.1";
const SECONDS: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::read();
    let mut message = std::fs::read(arguments.text("file", ""))?;
    // Both put a line end before the dot at the end, whether there is one or not.
    if message.ends_with(b"\r\n") {
        message.truncate(message.len() - 2);
    }
    match arguments.text("library", "") {
        "lettre" => by_lettre(&arguments, &message),
        "mail-send" => by_mail_send(&arguments, &message),
        other => Err(format!("--library: {other:?} is not one of lettre and mail-send").into()),
    }
}

fn port(arguments: &Arguments) -> Result<u16, Box<dyn Error>> {
    Ok(u16::try_from(arguments.number("port", 25)?)?)
}

fn by_lettre(arguments: &Arguments, message: &[u8]) -> Result<(), Box<dyn Error>> {
    let sender = arguments.text("sender", "").parse()?;
    let recipient = arguments.text("recipient", "").parse()?;
    let mut builder = SmtpTransport::builder_dangerous(HOST)
        .port(port(arguments)?)
        .hello_name(ClientId::Domain("lettre.test".to_owned()))
        .timeout(Some(SECONDS))
        // No connection is kept, so that each ends with QUIT.
        .pool_config(PoolConfig::new().max_size(0));
    let authority = arguments.text("authority", "");
    if !authority.is_empty() {
        let parameters = TlsParameters::builder(HOST.to_owned())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(&std::fs::read(authority)?)?)
            .build_rustls()?;
        builder = builder.tls(if arguments.flag("implicit") {
            Tls::Wrapper(parameters)
        } else {
            Tls::Required(parameters)
        });
    }
    let mechanism = match arguments.text("mechanism", "") {
        "" => None,
        "PLAIN" => Some(Mechanism::Plain),
        "LOGIN" => Some(Mechanism::Login),
        "XOAUTH2" => Some(Mechanism::Xoauth2),
        other => return Err(format!("lettre has no {other}").into()),
    };
    if let Some(mechanism) = mechanism {
        let (user, secret) = (arguments.text("user", ""), arguments.text("secret", ""));
        builder = builder
            .credentials(LettreCredentials::new(user.to_owned(), secret.to_owned()))
            .authentication(vec![mechanism]);
    }
    let envelope = Envelope::new(Some(sender), vec![recipient])?;
    builder.build().send_raw(&envelope, message)?;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn by_mail_send(arguments: &Arguments, message: &[u8]) -> Result<(), Box<dyn Error>> {
    let authority = arguments.text("authority", "");
    let mut roots = RootCertStore::empty();
    if !authority.is_empty() {
        roots.add(CertificateDer::from_pem_file(authority)?)?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let host = HOST.to_owned();
    let mut builder = SmtpClientBuilder::new_with_tls_connector(host, port(arguments)?, connector)
        .implicit_tls(arguments.flag("implicit"))
        .helo_host("mail-send.test")
        .timeout(SECONDS);
    let (user, secret) = (arguments.text("user", ""), arguments.text("secret", ""));
    // With a password it takes what is strongest of what the server offers.
    builder = match arguments.text("mechanism", "") {
        "" => builder,
        "PLAIN" | "LOGIN" | "CRAM-MD5" => {
            builder.credentials(Credentials::new(user.to_owned(), secret.to_owned()))
        }
        "XOAUTH2" => {
            builder.credentials(Credentials::new_xoauth2(user.to_owned(), secret.to_owned()))
        }
        // What it makes of a token by itself lacks the header of GS2 (RFC 5801 section 4).
        "OAUTHBEARER" => builder.credentials(Credentials::new_oauth(format!(
            "n,a={user},\x01auth=Bearer {secret}\x01\x01"
        ))),
        other => return Err(format!("mail-send has no {other}").into()),
    };
    if authority.is_empty() {
        hand_over(builder.connect_plain().await?, arguments, message).await?;
    } else {
        hand_over(builder.connect().await?, arguments, message).await?;
    }
    Ok(())
}

async fn hand_over<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: SmtpClient<S>,
    arguments: &Arguments,
    message: &[u8],
) -> mail_send::Result<()> {
    let mut parameters = Parameters::new();
    if !message.is_ascii() {
        parameters.add(("BODY", "8BITMIME"));
    }
    let sender = Address::new(arguments.text("sender", ""), parameters);
    let recipient = Address::from(arguments.text("recipient", ""));
    client
        .send(Message::new(sender, [recipient], message))
        .await?;
    client.quit().await
}
