//! The pooled client as a Python object. After a fork it makes itself anew.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mailwire::blocking;
use mailwire::client::Options;
use mailwire::message::headers;
use mailwire::proto::Envelope;
use mailwire::{Error, Outcome};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::content::Message;
use crate::waiting::released;
use crate::{envelope, error, options, result};

/// One message as Python gives it: source, length, sender, recipients, mail options, rcpt options.
type Item<'py> = (
    Bound<'py, PyAny>,
    Option<u64>,
    Option<String>,
    Option<Vec<String>>,
    Vec<String>,
    Vec<String>,
);

/// A pooled client. Python's `mailwire.Client` is made of one.
#[pyclass(frozen, module = "mailwire._native")]
pub(crate) struct Client {
    options: Options,
    /// Only taken for as long as it takes to clone, with the interpreter held: no fork finds it locked.
    current: Mutex<(u32, Arc<blocking::Client>)>,
}

#[pymethods]
impl Client {
    #[new]
    #[pyo3(signature = (url, settings, credentials, certificate))]
    fn new(
        py: Python<'_>,
        url: &str,
        settings: Vec<(String, String)>,
        credentials: Option<(String, String)>,
        certificate: Option<(PathBuf, PathBuf)>,
    ) -> PyResult<Self> {
        let options = options::client(py, url, &settings, credentials, certificate)?;
        let client =
            blocking::Client::new(options.clone()).map_err(|e| error::to_python(py, &e, None))?;
        Ok(Self {
            options,
            current: Mutex::new((std::process::id(), Arc::new(client))),
        })
    }

    /// Sends one message. Gives a `SendResult`, or raises.
    fn send<'py>(&self, py: Python<'py>, item: Item<'py>) -> PyResult<Bound<'py, PyAny>> {
        let client = self.current(py)?;
        let mut prepared = Prepared::new(py, &item)?;
        let raised = Mutex::new(None);
        let (envelope, message) = (&prepared.envelope, &mut prepared.message);
        let outcome = released(py, |call| {
            client.send(envelope, message.content(&raised), call)
        })?;
        prepared
            .report(py, outcome, &raised)?
            .map_err(PyErr::from_value)
    }

    /// Sends many messages. Gives for each a `SendResult` or the exception.
    fn send_many<'py>(
        &self,
        py: Python<'py>,
        items: Vec<Item<'py>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let client = self.current(py)?;
        let results = PyList::empty(py);
        // A message that cannot be sent is no reason to keep the others.
        let mut prepared = Vec::new();
        let mut refused = Vec::new();
        for item in &items {
            match Prepared::new(py, item) {
                Ok(one) => {
                    prepared.push(one);
                    refused.push(None);
                }
                // Ctrl-C while a file is read ends the call.
                Err(error) if !error.is_instance_of::<PyException>(py) => return Err(error),
                Err(error) => refused.push(Some(error)),
            }
        }
        let raised: Vec<_> = prepared.iter().map(|_| Mutex::new(None)).collect();
        let mut outcomes: Vec<Option<Result<Outcome, Error>>> =
            prepared.iter().map(|_| None).collect();
        let whole = {
            let (raised, prepared, outcomes) = (&raised, &mut prepared, &mut outcomes);
            released(py, move |call| {
                let messages: Vec<_> = prepared
                    .iter_mut()
                    .zip(raised)
                    .map(|(one, raised)| (one.envelope.clone(), one.message.content(raised)))
                    .collect();
                client.send_many(messages, call, |index, outcome| {
                    if let Some(place) = outcomes.get_mut(index) {
                        *place = Some(outcome);
                    }
                })
            })?
        };
        let mut tried = prepared.iter().zip(&raised).zip(outcomes);
        for refusal in refused {
            let one = match (refusal, &whole) {
                (Some(error), _) => error.into_value(py).into_bound(py).into_any(),
                (None, whole) => {
                    let Some(((one, raised), outcome)) = tried.next() else {
                        break;
                    };
                    match (outcome, whole) {
                        (Some(outcome), _) => one
                            .report(py, outcome, raised)?
                            .unwrap_or_else(|exception| exception),
                        (None, Err(error)) => error::exception(py, error, Some(&one.sender))?,
                        (None, Ok(())) => continue,
                    }
                }
            };
            results.append(one)?;
        }
        Ok(results)
    }

    /// Says goodbye on idle connections. Later calls fail.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // In a child of a fork the connections are the parent's.
        let client = (current.0 == std::process::id()).then(|| Arc::clone(&current.1));
        drop(current);
        let closing = released(py, |call| {
            if let Some(client) = client {
                client.close_by(call);
            }
            Ok(())
        })?;
        closing.map_err(|e| error::to_python(py, &e, None))
    }
}

impl Drop for Client {
    /// The goodbyes of a client that nobody closed wait for its server, and no other thread of Python's should.
    fn drop(&mut self) {
        let current = self
            .current
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if current.0 == std::process::id() {
            let client = Arc::clone(&current.1);
            Python::try_attach(|py| py.detach(|| client.close()));
        }
    }
}

impl Client {
    /// The engine's client of this process.
    fn current(&self, py: Python<'_>) -> PyResult<Arc<blocking::Client>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != std::process::id() {
            let client = blocking::Client::new(self.options.clone())
                .map_err(|e| error::to_python(py, &e, None))?;
            *current = (std::process::id(), Arc::new(client));
        }
        Ok(Arc::clone(&current.1))
    }
}

/// A message that was checked and is ready to go.
struct Prepared<'a> {
    envelope: Envelope,
    sender: String,
    message: Message<'a>,
    message_id: Option<String>,
}

impl<'a> Prepared<'a> {
    fn new(py: Python<'_>, item: &'a Item<'_>) -> PyResult<Self> {
        let (source, length, sender, recipients, mail_options, rcpt_options) = item;
        let (message, header) = Message::new(source, *length)?;
        let envelope = envelope::from_python(
            py,
            &header,
            sender.as_deref(),
            recipients.as_deref(),
            mail_options,
            rcpt_options,
        )?;
        let sender = envelope.reverse_path().to_string();
        Ok(Self {
            envelope,
            sender,
            message,
            message_id: headers::message_id(&header),
        })
    }

    /// A `SendResult`, or the exception as a value. What Python raised while the message was read goes before what the
    /// engine made of it.
    fn report<'py>(
        &self,
        py: Python<'py>,
        outcome: Result<Outcome, Error>,
        raised: &Mutex<Option<PyErr>>,
    ) -> PyResult<Result<Bound<'py, PyAny>, Bound<'py, PyAny>>> {
        if let Some(error) = raised.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(Err(error.into_value(py).into_bound(py).into_any()));
        }
        match outcome {
            Ok(outcome) => result::to_python(py, &outcome, self.message_id.as_deref()).map(Ok),
            Err(error) => error::exception(py, &error, Some(&self.sender)).map(Err),
        }
    }
}
