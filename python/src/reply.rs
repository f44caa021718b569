//! Replies, TLS and phases as Python values.

use mailwire::Phase;
use mailwire::proto::{EnhancedStatus, Reply, TlsInfo};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyType};

use crate::error::invalid;

static REPLY: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static TLS_INFO: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// A `mailwire.Reply`.
pub(crate) fn to_python<'py>(py: Python<'py>, reply: &Reply) -> PyResult<Bound<'py, PyAny>> {
    let class = REPLY.import(py, "mailwire._results", "Reply")?;
    let enhanced = reply.enhanced().map(|status| status.to_string());
    let lines = PyTuple::new(py, reply.lines().collect::<Vec<_>>())?;
    class.call1((reply.code(), reply.text(), enhanced, lines))
}

/// A `mailwire.Reply`, or None.
pub(crate) fn optional<'py>(
    py: Python<'py>,
    reply: Option<&Reply>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    reply.map(|reply| to_python(py, reply)).transpose()
}

/// A reply from what Python gives: the code, the enhanced status code, and the lines of text. All are checked.
pub(crate) fn from_python(
    py: Python<'_>,
    code: u16,
    enhanced: Option<&str>,
    lines: &[String],
) -> PyResult<Reply> {
    let reply =
        Reply::multiline(code, lines).map_err(|error| invalid(py, format!("reply: {error}")))?;
    let Some(enhanced) = enhanced else {
        return Ok(reply);
    };
    let status = EnhancedStatus::parse(enhanced).ok_or_else(|| {
        invalid(
            py,
            format!("reply: {enhanced:?} is no enhanced status code such as 5.7.1"),
        )
    })?;
    reply
        .with_enhanced(status)
        .map_err(|error| invalid(py, format!("reply: {error}")))
}

/// A `mailwire.TLSInfo`.
pub(crate) fn tls_to_python<'py>(py: Python<'py>, tls: &TlsInfo) -> PyResult<Bound<'py, PyAny>> {
    let class = TLS_INFO.import(py, "mailwire._results", "TLSInfo")?;
    let certificate = tls.peer_certificate().map(|der| PyBytes::new(py, der));
    class.call1((
        tls.version().name(),
        tls.cipher(),
        tls.server_name(),
        certificate,
    ))
}

/// The word that a phase has in Python.
pub(crate) fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Pool => "pool",
        Phase::Resolve => "resolve",
        Phase::Connect => "connect",
        Phase::Tls => "tls",
        Phase::Greeting => "greeting",
        Phase::Hello => "hello",
        Phase::StartTls => "starttls",
        Phase::Auth => "auth",
        Phase::Mail => "mail",
        Phase::Rcpt => "rcpt",
        Phase::Data => "data",
        Phase::Body => "body",
        Phase::EndOfData => "end_of_data",
        Phase::Quit => "quit",
        Phase::Idle => "idle",
        Phase::Answer => "answer",
        _ => "command",
    }
}
