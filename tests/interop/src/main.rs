//! Both sides of mailwire for the interop tests, with what only Rust can reach so far: logins by token, by certificate and without
//! a proof, and listeners that offer one mechanism each.
//!
//! `mailwire-interop send LOGIN URL SENDER RECIPIENT... < message`, where LOGIN is `url` (the URL's password), `token:USER:TOKEN`,
//! `certificate` or `anonymous:TRACE`. `mailwire-interop listen FOLDER CERTIFICATE KEY AUTHORITY USER PASSWORD TOKEN`.

use std::process::ExitCode;

mod listen;
mod send;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["send", login, url, sender, recipients @ ..] => {
            send::send(login, url, sender, recipients).await
        }
        [
            "listen",
            folder,
            certificate,
            key,
            authority,
            user,
            password,
            token,
        ] => match listen::Known::new(user, password, token) {
            Ok(known) => listen::listen(folder, [certificate, key, authority], known).await,
            Err(error) => Err(error),
        },
        _ => Err("usage: mailwire-interop send|listen …; its source says more".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
