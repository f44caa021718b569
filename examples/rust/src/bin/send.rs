//! Sends the message on standard input: `send URL SENDER RECIPIENT...`, as
//! `send 'smtp://user:secret@mail.example.org?ca=ca.pem' me@example.org you@example.net < message`.

use std::io::Read;
use std::process::ExitCode;

use mailwire::client::{Connection, Content, Options};
use mailwire::proto::Envelope;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match send().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("send: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn send() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, sender, recipients @ ..] = arguments.as_slice() else {
        return Err("usage: send URL SENDER RECIPIENT... < message".into());
    };
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message)?;

    let mut connection = Connection::open(&Options::from_url(url)?).await?;
    let envelope = Envelope::parse(sender, recipients)?;
    let result = connection.send(envelope, Content::bytes(&message)).await;
    // The results of single recipients are there on success and on failure.
    if let Some(outcome) = result.as_ref().map_or_else(|error| error.outcome(), Some) {
        for recipient in outcome.recipients() {
            let reply = recipient
                .reply()
                .map_or("no reply".to_owned(), ToString::to_string);
            println!("{}: {reply}", recipient.recipient());
        }
    }
    result?;
    connection.quit().await;
    Ok(())
}
