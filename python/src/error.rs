//! The engine's errors as the package's exceptions. Their classes are Python's: made at the first error, from smtplib's.

use mailwire::{Error, Status};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::{reply, result};

/// The module with the exceptions. It is not imported before something goes wrong: smtplib's costs tens of milliseconds.
const MODULE: &str = "mailwire._errors";

/// The exception that stands for `error`. `sender` is the reverse-path of the message it is about.
pub(crate) fn to_python(py: Python<'_>, error: &Error, sender: Option<&str>) -> PyErr {
    exception(py, error, sender).map_or_else(|error| error, PyErr::from_value)
}

/// The same as a value.
pub(crate) fn exception<'py>(
    py: Python<'py>,
    error: &Error,
    sender: Option<&str>,
) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    fields.set_item(intern!(py, "status"), error.status().number())?;
    fields.set_item(intern!(py, "temporary"), error.is_transient())?;
    fields.set_item(intern!(py, "phase"), error.phase().map(reply::phase_name))?;
    fields.set_item(intern!(py, "peer"), error.peer())?;
    fields.set_item(intern!(py, "reply"), reply::optional(py, error.reply())?)?;
    fields.set_item(
        intern!(py, "tls"),
        error
            .tls()
            .map(|tls| reply::tls_to_python(py, tls))
            .transpose()?,
    )?;
    let result = error
        .outcome()
        .map(|outcome| result::to_python(py, outcome, None))
        .transpose()?;
    fields.set_item(intern!(py, "result"), result)?;
    fields.set_item(intern!(py, "errno"), error.os_errno())?;
    fields.set_item(intern!(py, "sender"), sender)?;
    py.import(MODULE)?
        .call_method1(intern!(py, "from_native"), (error.to_string(), fields))
}

/// An argument is not acceptable; `text` begins with its name.
pub(crate) fn invalid(py: Python<'_>, text: impl Into<String>) -> PyErr {
    let exception = || {
        py.import(MODULE)?
            .getattr(intern!(py, "InvalidArgument"))?
            .call1((text.into(),))
    };
    exception().map_or_else(|error| error, PyErr::from_value)
}

/// What was made before a fork is used in the child.
pub(crate) fn forked(py: Python<'_>) -> PyErr {
    let exception = || {
        let text = "this was made before a fork and cannot be used in the child";
        let fields = PyDict::new(py);
        fields.set_item(intern!(py, "status"), Status::Forked.number())?;
        py.import(MODULE)?
            .getattr(intern!(py, "Misuse"))?
            .call((text,), Some(&fields))
    };
    exception().map_or_else(|error| error, PyErr::from_value)
}
