//! What became of a message, as Python's `SendResult`.

use mailwire::{Delivery, Outcome};
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
                delivery_name(recipient.delivery()),
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

/// The word that a result has in Python.
fn delivery_name(delivery: Delivery) -> &'static str {
    match delivery {
        Delivery::Accepted => "accepted",
        Delivery::Refused => "refused",
        Delivery::Deferred => "deferred",
        Delivery::Unknown => "unknown",
        _ => "not_tried",
    }
}
