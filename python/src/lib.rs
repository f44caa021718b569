//! The native half of the Python package `mailwire`: the blocking client and server, as Python objects.
//!
//! No logic of SMTP stands here, and nothing that Python says better: the public names, their checks and their words are
//! in the files of `mailwire/` beside this crate. What is here takes plain values from there, releases the interpreter
//! while the engine works, and gives plain values back.

#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments from Python are made into values of our own"
)]

mod body;
mod client;
mod content;
mod envelope;
mod error;
mod event;
mod mail;
mod options;
mod reply;
mod result;
mod self_signed;
mod server;
mod server_options;
mod stream;
mod waiting;

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// The module `mailwire._native`. It does not rely on the interpreter's lock.
#[pymodule(gil_used = false)]
mod _native {
    use super::{Bound, PyModule, PyModuleMethods, PyResult};

    #[pymodule_export]
    use super::client::Client;
    #[pymodule_export]
    use super::mail::build_mail;
    #[pymodule_export]
    use super::self_signed::self_signed;
    #[pymodule_export]
    use super::server::Server;
    #[pymodule_export]
    use super::server_options::{ServerOptions, ServerTls, scram_keys};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::one_interpreter(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// Fails in a second interpreter of the process: what is kept for all of it, such as classes, belongs to the first.
fn one_interpreter(py: Python<'_>) -> PyResult<()> {
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    // Each interpreter has a module sys of its own, for as long as it lives.
    let this = py.import("sys")?.as_ptr() as usize;
    match FIRST.compare_exchange(0, this, Ordering::SeqCst, Ordering::SeqCst) {
        Err(first) if first != this => Err(PyImportError::new_err(
            "mailwire runs in one interpreter of a process, the one that imported it first, and not in a subinterpreter beside it",
        )),
        _ => Ok(()),
    }
}
