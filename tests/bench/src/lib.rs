//! What mailwire's own benchmark programs share.

use std::error::Error;
use std::time::Duration;

use mailwire::client::Options;
use mailwire::server::{self, Hooks};
use mailwire::tls::{ClientTls, Pem, Roots, ServerTls, TlsPolicy};

pub use contract::{Arguments, cpu_seconds, message, report, shares};
pub use tally::{Tally, Times, ended, listening};

mod contract;
mod tally;

/// The options of mailwire's client that the arguments ask for: `--port P`, `--seconds S`, `--connections C`, `--fresh` for a
/// connection a message, and `--tls FILE` for STARTTLS with the certificate in a file as the only root.
pub fn client_options(arguments: &Arguments) -> Result<Options, Box<dyn Error>> {
    let mut options = Options::new();
    let port = u16::try_from(arguments.number("port", 25)?)?;
    options.set_server("127.0.0.1", Some(port))?;
    options.set_deadline(Some(Duration::from_secs(arguments.number("seconds", 60)?)))?;
    options.set_max_connections(usize::try_from(arguments.number("connections", 1)?)?)?;
    options.set_max_messages(if arguments.flag("fresh") { 1 } else { u32::MAX })?;
    match arguments.text("tls", "") {
        "" => options.set_tls(TlsPolicy::None),
        root => {
            options.set_tls(TlsPolicy::Required);
            let roots = Roots::Only(vec![Pem::file(root)]);
            options.set_client_tls(ClientTls::new().with_roots(&roots)?);
        }
    }
    Ok(options)
}

/// The options of mailwire's listeners that the arguments ask for: `--port P` on 127.0.0.1, and `--certificate FILE` with
/// `--key FILE` for STARTTLS. Of the hooks there is only the one that tells when a session ends, and no client comes too often or holds too much.
pub fn server_options(arguments: &Arguments) -> Result<server::Options, Box<dyn Error>> {
    const CONNECTIONS: usize = 20_000;
    let mut options = server::Options::new();
    options.listen(&format!("127.0.0.1:{}", arguments.number("port", 0)?))?;
    options.set_hooks(Hooks::DISCONNECT);
    options.set_max_connections(CONNECTIONS)?;
    options.set_connections_per_address(CONNECTIONS)?;
    options.set_body_memory_per_address(u64::MAX)?;
    options.set_grace(Duration::ZERO);
    match arguments.text("certificate", "") {
        "" => {}
        certificate => {
            let key = arguments.text("key", "");
            options.set_tls(ServerTls::from_pem_files(certificate, key)?);
        }
    }
    Ok(options)
}
