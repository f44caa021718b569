//! What mailwire's own benchmark programs share.

use std::error::Error;
use std::time::Duration;

use mailwire::client::Options;
use mailwire::tls::{ClientTls, Pem, Roots, TlsPolicy};

pub use contract::{Arguments, cpu_seconds, message, report, shares};

mod contract;

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
