//! A message that arrived: in the engine's buffers until Python asks for it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The octets of a message. They become Python's at the first use, by one copy; the engine's memory is then given back.
#[pyclass(frozen, module = "mailwire._native")]
pub(crate) struct Body {
    length: usize,
    state: Mutex<State>,
}

enum State {
    Engine(Vec<Bytes>),
    Python(Py<PyBytes>),
}

impl Body {
    pub(crate) fn new(pieces: Vec<Bytes>) -> Self {
        Self {
            length: pieces.iter().map(Bytes::len).sum(),
            state: Mutex::new(State::Engine(pieces)),
        }
    }
}

#[pymethods]
impl Body {
    fn __len__(&self) -> usize {
        self.length
    }

    /// All of it, the same object each time.
    fn bytes(&self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let pieces = match &*state {
            State::Python(bytes) => return Ok(bytes.clone_ref(py)),
            State::Engine(pieces) => pieces,
        };
        let bytes = PyBytes::new_with(py, self.length, |room| {
            let mut at = 0;
            for piece in pieces {
                room[at..at + piece.len()].copy_from_slice(piece);
                at += piece.len();
            }
            Ok(())
        })?;
        let bytes = bytes.unbind();
        *state = State::Python(bytes.clone_ref(py));
        Ok(bytes)
    }
}
