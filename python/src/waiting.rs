//! Waiting for the engine: without the interpreter, and never for longer than a signal may wait.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mailwire::Error;
use mailwire::blocking::Call;
use pyo3::prelude::*;

/// The engine asks this often whether to stop. What is over sooner never needs the interpreter in between.
const TICK: Duration = Duration::from_millis(40);

/// Runs `work` with the interpreter released. Signals are looked at meanwhile, so that Ctrl-C ends the call; what their
/// handlers raise is the outer error.
pub(crate) fn released<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(Call<'_>) -> Result<T, Error> + Send,
) -> PyResult<Result<T, Error>> {
    let raised = Mutex::new(None);
    let result = py.detach(|| {
        let asked = Cell::new(Instant::now());
        let interrupted = || {
            if asked.get().elapsed() < TICK {
                return false;
            }
            asked.set(Instant::now());
            // Off the main thread Python finds nothing to do here. Without an interpreter there is nobody left to wait.
            Python::try_attach(|py| match py.check_signals() {
                Ok(()) => false,
                Err(error) => {
                    keep(&raised, error);
                    true
                }
            })
            .unwrap_or(true)
        };
        work(Call {
            interrupted: Some(&interrupted),
            ..Call::default()
        })
    });
    match raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(result),
    }
}

/// Keeps the first of several exceptions.
pub(crate) fn keep(place: &Mutex<Option<PyErr>>, error: PyErr) {
    place
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert(error);
}
