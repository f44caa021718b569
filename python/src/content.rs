//! A message on its way out: bytes of Python's, or what a file or an iterator gives while it is sent.

use std::borrow::Cow;
use std::io::{self, Cursor, Read};
use std::sync::Mutex;

use mailwire::client::Content;
use mailwire::message::headers;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};

use crate::error::invalid;
use crate::waiting::keep;

/// A header longer than this is no header: what is read before a message begins to be sent has a bound.
const LONGEST_HEADER: usize = 1 << 20;

/// What is asked of a file at a time, in octets.
const PIECE: usize = 64 * 1024;

/// A message whose header was looked at: its fields that nobody may see are gone.
pub(crate) struct Message<'a> {
    /// All of it, or its beginning with at least the whole header.
    beginning: Cow<'a, [u8]>,
    rest: Option<Rest>,
    /// The octets in all, if they are known.
    length: Option<u64>,
}

/// What follows the beginning.
struct Rest {
    source: Source,
    /// Read and not yet handed on.
    pending: Vec<u8>,
}

enum Source {
    File(Py<PyAny>),
    Iterator(Py<PyAny>),
}

impl<'a> Message<'a> {
    /// From `source`: bytes, an object with `read`, or an iterator over bytes. `length` is what Python knows of its size.
    /// The second part is the header, or more, as it was given: with the fields that are not sent.
    pub(crate) fn new(
        source: &'a Bound<'_, PyAny>,
        length: Option<u64>,
    ) -> PyResult<(Self, Cow<'a, [u8]>)> {
        if let Ok(bytes) = source.cast::<PyBytes>() {
            let whole = bytes.as_bytes();
            let message = Self {
                beginning: headers::without_bcc(whole),
                rest: None,
                length: None,
            };
            return Ok((message, Cow::Borrowed(whole)));
        }
        let py = source.py();
        let is_file = source.hasattr(intern!(py, "read"))?;
        let object = source.clone().unbind();
        let rest = Rest {
            source: if is_file {
                Source::File(object)
            } else {
                Source::Iterator(object)
            },
            pending: Vec::new(),
        };
        let mut header = Vec::new();
        let mut seen = 0;
        loop {
            let piece = rest.source.next(py, PIECE)?;
            if piece.is_empty() {
                break;
            }
            header.extend_from_slice(&piece);
            // An end of line may have been cut in two.
            if has_empty_line(&header[seen..]) || header.len() > LONGEST_HEADER {
                break;
            }
            seen = header.len().saturating_sub(3);
        }
        if header.len() > LONGEST_HEADER && !has_empty_line(&header) {
            return Err(invalid(
                py,
                format!("message: its header has more than {LONGEST_HEADER} octets"),
            ));
        }
        let beginning = headers::without_bcc(&header).into_owned();
        let removed = u64::try_from(header.len() - beginning.len()).unwrap_or(0);
        let length = length.map(|length| length.saturating_sub(removed));
        Ok((
            Self {
                beginning: Cow::Owned(beginning),
                rest: Some(rest),
                length,
            },
            Cow::Owned(header),
        ))
    }

    /// As the engine takes it. What goes wrong in Python while it is read is left in `raised`.
    pub(crate) fn content<'c>(&'c mut self, raised: &'c Mutex<Option<PyErr>>) -> Content<'c> {
        match &mut self.rest {
            None => Content::bytes(&self.beginning),
            Some(rest) => {
                let reader = Cursor::new(&*self.beginning).chain(Reader { rest, raised });
                Content::reader(reader, self.length)
            }
        }
    }
}

/// Whether a line without text is in it, or may begin with it: the header's end.
fn has_empty_line(text: &[u8]) -> bool {
    text.windows(2)
        .any(|pair| pair == b"\n\n" || pair == b"\r\r" || pair == b"\n\r")
}

impl Source {
    /// The next octets; none at the end.
    fn next(&self, py: Python<'_>, most: usize) -> PyResult<Vec<u8>> {
        match self {
            Self::File(file) => {
                let piece = file.bind(py).call_method1(intern!(py, "read"), (most,))?;
                // A file that cannot wait has nothing now and may have more later: sending half of it would be wrong.
                if piece.is_none() {
                    return Err(invalid(py, "message: the file is in non-blocking mode"));
                }
                octets(&piece, "the file gives text; open it in binary mode")
            }
            Self::Iterator(iterator) => loop {
                let next = intern!(py, "__next__");
                let piece = match iterator.bind(py).call_method0(next) {
                    Ok(piece) => octets(&piece, "the iterator gives something else than bytes")?,
                    Err(end) if end.is_instance_of::<pyo3::exceptions::PyStopIteration>(py) => {
                        return Ok(Vec::new());
                    }
                    Err(error) => return Err(error),
                };
                // An empty piece in the middle is not the end.
                if !piece.is_empty() {
                    return Ok(piece);
                }
            },
        }
    }
}

/// A file or iterator as the engine reads it: without the interpreter, which each piece takes back for a moment.
struct Reader<'c> {
    rest: &'c mut Rest,
    raised: &'c Mutex<Option<PyErr>>,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.pending.is_empty() {
            let source = &self.rest.source;
            let most = buffer.len();
            let piece = Python::try_attach(|py| source.next(py, most))
                .ok_or_else(|| io::Error::other("Python has ended"))?;
            self.rest.pending = piece.map_err(|error| {
                let text = format!("{error}");
                keep(self.raised, error);
                io::Error::other(text)
            })?;
        }
        let count = buffer.len().min(self.rest.pending.len());
        buffer[..count].copy_from_slice(&self.rest.pending[..count]);
        self.rest.pending.drain(..count);
        Ok(count)
    }
}

fn octets(piece: &Bound<'_, PyAny>, otherwise: &str) -> PyResult<Vec<u8>> {
    if let Ok(bytes) = piece.cast::<PyBytes>() {
        Ok(bytes.as_bytes().to_vec())
    } else if let Ok(bytes) = piece.cast::<PyByteArray>() {
        Ok(bytes.to_vec())
    } else {
        Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "message: {otherwise}"
        )))
    }
}
