//! A client's options from Python's values. What they mean, and what is wrong with them, is the engine's to say.

use std::path::PathBuf;

use mailwire::client::Options;
use mailwire::sasl::Credentials;
use mailwire::tls::Pem;
use pyo3::prelude::*;

use crate::error::{self, invalid};

/// Options for the server at `url`. The settings are applied in their order, on top of what the URL says.
pub(crate) fn client(
    py: Python<'_>,
    url: &str,
    settings: &[(String, String)],
    credentials: Option<(String, String)>,
    certificate: Option<(PathBuf, PathBuf)>,
) -> PyResult<Options> {
    let fail = |error: mailwire::Error| error::to_python(py, &error, None);
    let mut options = Options::from_url(url).map_err(fail)?;
    for (name, value) in settings {
        options.set(name, value).map_err(fail)?;
    }
    if let Some((username, password)) = credentials {
        let credentials = Credentials::new(username, password)
            .map_err(|e| invalid(py, format!("username or password: {e}")))?;
        options.set_credentials(credentials);
    }
    if let Some((certificate, key)) = certificate {
        let tls = options.client_tls().clone();
        let tls = tls
            .with_certificate(&Pem::file(certificate), &Pem::file(key))
            .map_err(fail)?;
        options.set_client_tls(tls);
    }
    Ok(options)
}
