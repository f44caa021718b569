//! A server's options and its certificate from Python's values. What is wrong with them is the engine's to say.

use std::path::PathBuf;

use mailwire::Status;
use mailwire::disposition::Destination;
use mailwire::proto::Domain;
use mailwire::sasl::{ScramHash, ScramKeys, Secret};
use mailwire::server::{Hooks, Options};
use mailwire::tls::{Pem, ServerTls as Tls};
use pyo3::prelude::*;

use crate::error::{self, invalid};

/// The keys of a password as text, for a server to keep instead of it.
#[pyfunction]
pub(crate) fn scram_keys(
    py: Python<'_>,
    password: String,
    mechanism: &str,
    iterations: u32,
) -> PyResult<String> {
    let hash = ScramHash::from_name(mechanism)
        .ok_or_else(|| invalid(py, "mechanism: it is neither SCRAM-SHA-256 nor SCRAM-SHA-1"))?;
    let password = Secret::new(password);
    let keys = py
        .detach(|| mailwire::server::scram_keys(hash, &password, iterations))
        .map_err(|error| error::to_python(py, &error, None))?;
    Ok(String::from_utf8_lossy(keys.to_text().expose()).into_owned())
}

/// The options of a server, checked. Python's `mailwire.Server` is made of one.
#[pyclass(frozen, module = "mailwire._native")]
pub(crate) struct ServerOptions {
    pub(crate) options: Options,
    /// Where messages go, if not to Python.
    pub(crate) destination: Option<Destination>,
    /// Whether a message comes piece by piece.
    pub(crate) streams: bool,
}

#[pymethods]
impl ServerOptions {
    #[new]
    #[pyo3(signature = (settings, domains, users, user_keys, tls, hooks))]
    fn new(
        py: Python<'_>,
        settings: Vec<(String, String)>,
        domains: Option<Vec<String>>,
        users: Vec<(String, String)>,
        user_keys: Vec<(String, String)>,
        tls: Option<&Bound<'_, ServerTls>>,
        hooks: Vec<String>,
    ) -> PyResult<Self> {
        let fail = |error: mailwire::Error| error::to_python(py, &error, None);
        let mut options = Options::new();
        let mut destination = None;
        for (name, password) in users {
            options
                .add_user(&name, Secret::new(password))
                .map_err(fail)?;
        }
        for (name, keys) in user_keys {
            let keys = ScramKeys::from_text(&keys)
                .map_err(|error| invalid(py, format!("user_keys: {error}")))?;
            options
                .add_user_keys(&name, keys)
                .map_err(|error| invalid(py, format!("user_keys: {}", error.message())))?;
        }
        if let Some(tls) = tls {
            options.set_tls(tls.get().tls.clone());
        }
        if let Some(names) = domains {
            options.set_domains(Some(parse_domains(py, &names)?));
        }
        // Last, as whoever gives one of these in two places means the one that is more particular.
        for (name, value) in &settings {
            // The options of a server do not know what becomes of messages.
            if name == "disposition" {
                destination = Some(Destination::open(value).map_err(fail)?);
            } else {
                options.set(name, value).map_err(fail)?;
            }
        }
        options.set_hooks(hooks_of(py, &hooks)?);
        let streams = hooks.iter().any(|name| name == "stream");
        options.set_stream(streams);
        Ok(Self {
            options,
            destination,
            streams,
        })
    }
}

/// A server's certificates and keys. Python's `mailwire.TLS` holds one.
#[pyclass(frozen, module = "mailwire._native")]
pub(crate) struct ServerTls {
    pub(crate) tls: Tls,
}

#[pymethods]
impl ServerTls {
    #[new]
    #[pyo3(signature = (certificate, key, client_roots, named))]
    fn new(
        py: Python<'_>,
        certificate: Text,
        key: Text,
        client_roots: Option<Text>,
        named: Vec<(String, Text, Text)>,
    ) -> PyResult<Self> {
        let (certificate, key) = (certificate.pem(), key.pem());
        let tls = match client_roots {
            Some(roots) => Tls::with_client_roots(&certificate, &key, &[roots.pem()]),
            None => Tls::new(&certificate, &key),
        };
        let tls = tls.map_err(|error| error::to_python(py, &error, None))?;
        for (name, certificate, key) in named {
            tls.add_certificate(&name, &certificate.pem(), &key.pem())
                .map_err(|error| match error.status() {
                    Status::InvalidArgument => invalid(py, format!("sni: {}", error.message())),
                    _ => error::to_python(py, &error, None),
                })?;
        }
        Ok(Self { tls })
    }
}

/// PEM text, or the path of a file with it.
#[derive(FromPyObject)]
enum Text {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Text {
    fn pem(self) -> Pem {
        match self {
            Self::Bytes(text) => Pem::bytes(text),
            Self::File(path) => Pem::file(path),
        }
    }
}

fn parse_domains(py: Python<'_>, names: &[String]) -> PyResult<Vec<Domain>> {
    let parse = |name: &String| {
        name.parse()
            .map_err(|error| invalid(py, format!("domains: {name:?}: {error}")))
    };
    names.iter().map(parse).collect()
}

/// The engine's questions that Python's hooks answer.
fn hooks_of(py: Python<'_>, names: &[String]) -> PyResult<Hooks> {
    names.iter().try_fold(Hooks::NONE, |hooks, name| {
        let more = match name.as_str() {
            "connect" => Hooks::CONNECT,
            "helo" => Hooks::HELLO,
            "auth" => Hooks::AUTH,
            "lookup" => Hooks::LOOKUP,
            "mail" => Hooks::MAIL,
            "rcpt" => Hooks::RCPT,
            "reset" => Hooks::RESET,
            "quit" => Hooks::QUIT,
            "verify" => Hooks::VERIFY,
            "expand" => Hooks::EXPAND,
            "help" => Hooks::HELP,
            "etrn" => Hooks::ETRN,
            "unknown" => Hooks::UNKNOWN,
            "disconnect" => Hooks::DISCONNECT,
            // No hook of Python's: it goes to `error` and to the log.
            "fault" => Hooks::FAULT,
            // A message is always asked about, and `error` is Python's own.
            "data" | "stream" | "error" => Hooks::NONE,
            _ => return Err(invalid(py, format!("handler: there is no hook {name:?}"))),
        };
        Ok(hooks.with(more))
    })
}
