//! Sends the message on standard input, and prints what became of it for each recipient.

use std::io::Read;

use mailwire::client::{Connection, Content, Options};
use mailwire::proto::Envelope;
use mailwire::sasl::Credentials;

use super::Failure;

/// Prints a line for each recipient: recipient, delivery and reply, with TABs between. An error begins with the name of its status.
pub(crate) async fn send(
    login: &str,
    url: &str,
    sender: &str,
    recipients: &[&str],
) -> Result<(), Failure> {
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;
    let mut options = Options::from_url(url)?;
    if let Some(credentials) = credentials(login)? {
        options.set_credentials(credentials);
    }
    let envelope = Envelope::parse(sender, recipients)?;
    deliver(&options, envelope, &message)
        .await
        .map_err(|error| format!("{:?}: {error}", error.status()).into())
}

async fn deliver(
    options: &Options,
    envelope: Envelope,
    message: &[u8],
) -> Result<(), mailwire::Error> {
    let mut connection = Connection::open(options).await?;
    let result = connection.send(envelope, Content::bytes(message)).await;
    let outcome = result.as_ref().map_or_else(|error| error.outcome(), Some);
    for recipient in outcome.iter().flat_map(|outcome| outcome.recipients()) {
        let reply = recipient.reply().map(ToString::to_string);
        let (address, delivery) = (recipient.recipient(), recipient.delivery());
        println!("{address}\t{delivery:?}\t{}", reply.unwrap_or_default());
    }
    result?;
    connection.quit().await;
    Ok(())
}

/// What to log in with, unless it is in the URL.
fn credentials(login: &str) -> Result<Option<Credentials>, Failure> {
    let (kind, rest) = login.split_once(':').unwrap_or((login, ""));
    Ok(match kind {
        "url" => None,
        "token" => {
            let (user, token) = rest.split_once(':').ok_or("the form is token:USER:TOKEN")?;
            Some(Credentials::with_token(user, token)?)
        }
        "certificate" => Some(Credentials::with_certificate()),
        "anonymous" => Some(Credentials::anonymous(rest)?),
        _ => return Err(format!("there is no login by {kind:?}").into()),
    })
}
