//! What became of a message, as Python's `SendResult`.

use mailwire::Outcome;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use crate::reply;

static SEND_RESULT: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// A `mailwire.SendResult`.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    outcome: &Outcome,
    message_id: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let recipients = outcome
        .recipients()
        .iter()
        .map(|recipient| {
            let reply = reply::optional(py, recipient.reply())?;
            let phase = recipient.phase().map(reply::phase_name);
            (
                recipient.recipient().as_str(),
                recipient.delivery().name(),
                reply,
                phase,
            )
                .into_pyobject(py)
        })
        .collect::<PyResult<Vec<_>>>()?;
    let reply = reply::optional(py, outcome.reply())?;
    let tls = outcome.tls().map(|tls| reply::tls_to_python(py, tls));
    let class = SEND_RESULT.import(py, "mailwire._results", "SendResult")?;
    class.call1((
        PyTuple::new(py, recipients)?,
        reply,
        outcome.queue_id(),
        message_id,
        tls.transpose()?,
    ))
}
