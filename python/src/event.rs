//! An event of the listener's queue as a Python object, which takes the answers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mailwire::blocking::{self, EventKind};
use mailwire::proto::{MailParameters, Parameter, Recipient, ReversePath};
use mailwire::sasl::{Found, Proof, ScramKeys, Secret};
use mailwire::server;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::body::Body;
use crate::error::invalid;
use crate::stream::Reading;
use crate::{error, reply};

/// Something that happened in a session, and the answers that it owes. Dropped unanswered it is answered 451.
#[pyclass(frozen, module = "mailwire._native")]
pub(crate) struct Event {
    event: Mutex<blocking::Event>,
    /// Of one that begins a message: where its pieces come.
    reading: Option<Reading>,
}

/// An address, and the options of its command.
type Addressed<'py> = (String, Bound<'py, PyDict>);

/// Sender, recipients, and the content of a whole message.
type Message<'py> = (Addressed<'py>, Vec<Addressed<'py>>, Option<Body>);

/// User name, password, what stands behind the name, and whom to act as.
type Credentials<'py> = (String, Bound<'py, PyBytes>, &'static str, Option<String>);

impl Event {
    pub(crate) fn new(event: blocking::Event) -> Self {
        Self {
            event: Mutex::new(event),
            reading: None,
        }
    }

    /// One that begins a message, whose pieces come there.
    pub(crate) fn beginning(event: blocking::Event, reading: Reading) -> Self {
        Self {
            event: Mutex::new(event),
            reading: Some(reading),
        }
    }

    fn lock(&self) -> MutexGuard<'_, blocking::Event> {
        self.event.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Event {
    /// What happened, in one word.
    #[getter]
    fn kind(&self) -> &'static str {
        match self.lock().kind() {
            EventKind::Connect => "connect",
            EventKind::Hello { .. } => "hello",
            EventKind::Auth(_) => "auth",
            EventKind::Lookup(_) => "lookup",
            EventKind::Mail { .. } => "mail",
            EventKind::Recipients(_) => "recipients",
            EventKind::Message { .. } => "message",
            EventKind::Body { .. } => "body",
            EventKind::Chunk(_) => "chunk",
            EventKind::EndOfData { .. } => "end_of_data",
            EventKind::Discarded => "discarded",
            EventKind::Reset => "reset",
            EventKind::Verify(_) => "verify",
            EventKind::Expand(_) => "expand",
            EventKind::Help(_) => "help",
            EventKind::Etrn(_) => "etrn",
            EventKind::Unknown { .. } => "unknown",
            EventKind::Quit => "quit",
            EventKind::Disconnect => "disconnect",
            EventKind::Fault(_) => "fault",
            _ => "other",
        }
    }

    #[getter]
    fn session(&self) -> SessionInfo {
        SessionInfo(self.lock().session().clone())
    }

    /// The id of the message that this is about, if its `Received` field is written.
    #[getter]
    fn queue_id(&self) -> Option<String> {
        self.lock().id().map(ToOwned::to_owned)
    }

    /// Answers still owed.
    #[getter]
    fn owed(&self) -> usize {
        self.lock().owed()
    }

    /// The usual reply that refuses it.
    #[getter]
    fn refusal<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let refusal = self.lock().kind().refusal();
        reply::optional(py, refusal.as_ref())
    }

    /// Whether it is a question whose answer nobody waits for any more.
    #[getter]
    fn is_late(&self) -> bool {
        let event = self.lock();
        event.owed() > 0 && event.is_too_late()
    }

    /// The argument of EHLO, VRFY, EXPN, HELP or ETRN, or of a command that is not known.
    #[getter]
    fn argument(&self) -> Option<String> {
        match self.lock().kind() {
            EventKind::Hello { name: argument }
            | EventKind::Verify(argument)
            | EventKind::Expand(argument)
            | EventKind::Help(argument)
            | EventKind::Etrn(argument)
            | EventKind::Unknown { argument, .. } => Some(argument.clone()),
            _ => None,
        }
    }

    /// The verb of a command that is not known.
    #[getter]
    fn verb(&self) -> Option<String> {
        match self.lock().kind() {
            EventKind::Unknown { verb, .. } => Some(verb.clone()),
            _ => None,
        }
    }

    /// What AUTH brought.
    #[getter]
    fn credentials<'py>(&self, py: Python<'py>) -> Option<Credentials<'py>> {
        match self.lock().kind() {
            EventKind::Auth(credentials) => {
                let password = PyBytes::new(py, credentials.password().expose());
                let identity = credentials.authorization_identity();
                Some((
                    credentials.username().to_owned(),
                    password,
                    proof_name(credentials.proof()),
                    identity.map(ToOwned::to_owned),
                ))
            }
            _ => None,
        }
    }

    /// The user who is looked up.
    #[getter]
    fn username(&self) -> Option<String> {
        match self.lock().kind() {
            EventKind::Lookup(lookup) => Some(lookup.username().to_owned()),
            _ => None,
        }
    }

    /// Sender and options of MAIL.
    #[getter]
    fn mail<'py>(&self, py: Python<'py>) -> PyResult<Option<Addressed<'py>>> {
        match self.lock().kind() {
            EventKind::Mail {
                reverse_path,
                parameters,
            } => sender(py, reverse_path, parameters).map(Some),
            _ => Ok(None),
        }
    }

    /// Recipient and options of each RCPT.
    #[getter]
    fn recipients<'py>(&self, py: Python<'py>) -> PyResult<Vec<Addressed<'py>>> {
        match self.lock().kind() {
            EventKind::Recipients(recipients) => each(py, recipients),
            _ => Ok(Vec::new()),
        }
    }

    /// Sender and recipients, with their options, of a message that is whole, with its content, or that begins.
    #[getter]
    fn message<'py>(&self, py: Python<'py>) -> PyResult<Option<Message<'py>>> {
        let event = self.lock();
        let (envelope, content) = match event.kind() {
            EventKind::Message { envelope, content } => (envelope, Some(content)),
            EventKind::Body { envelope } => (envelope, None),
            _ => return Ok(None),
        };
        Ok(Some((
            sender(py, envelope.reverse_path(), envelope.parameters())?,
            each(py, envelope.recipients())?,
            content.map(|content| Body::new(content.pieces().to_vec())),
        )))
    }

    /// Where the pieces of the message come that begins here.
    #[getter]
    fn reading(&self) -> Option<Reading> {
        self.reading.clone()
    }

    /// Why a disposition could not take a message, as an exception that nobody has raised.
    #[getter]
    fn fault<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.lock().kind() {
            EventKind::Fault(fault) => error::exception(py, fault, None).map(Some),
            _ => Ok(None),
        }
    }

    /// The octets of a piece of a message.
    #[getter]
    fn octets<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        match self.lock().kind() {
            EventKind::Chunk(octets) => Some(PyBytes::new(py, octets)),
            _ => None,
        }
    }

    /// Accepts all that is owed.
    fn accept(&self, py: Python<'_>) -> PyResult<()> {
        self.lock()
            .accept()
            .map_err(|error| error::to_python(py, &error, None))
    }

    /// Answers the question for what is kept of a user: the text of SCRAM keys, or a password. What begins as keys do is never
    /// taken for a password.
    fn supply(&self, py: Python<'_>, kept: String) -> PyResult<()> {
        let kept = Secret::new(kept);
        let found = if kept.expose().starts_with(b"SCRAM-SHA-") {
            let text = String::from_utf8_lossy(kept.expose());
            Found::Keys(
                ScramKeys::from_text(&text)
                    .map_err(|error| invalid(py, format!("lookup: {error}")))?,
            )
        } else {
            Found::Password(kept)
        };
        self.lock()
            .supply(found)
            .map_err(|error| error::to_python(py, &error, None))
    }

    /// Accepts one of several.
    fn accept_at(&self, py: Python<'_>, place: usize) -> PyResult<()> {
        self.lock()
            .reply_at(place, None)
            .map_err(|error| error::to_python(py, &error, None))
    }

    /// Answers all that is owed.
    fn reply(
        &self,
        py: Python<'_>,
        code: u16,
        enhanced: Option<&str>,
        lines: Vec<String>,
    ) -> PyResult<()> {
        let reply = reply::from_python(py, code, enhanced, &lines)?;
        self.lock()
            .reply(reply)
            .map_err(|error| error::to_python(py, &error, None))
    }

    /// Answers one of several.
    fn reply_at(
        &self,
        py: Python<'_>,
        place: usize,
        code: u16,
        enhanced: Option<&str>,
        lines: Vec<String>,
    ) -> PyResult<()> {
        let reply = reply::from_python(py, code, enhanced, &lines)?;
        self.lock()
            .reply_at(place, Some(reply))
            .map_err(|error| error::to_python(py, &error, None))
    }
}

/// What is known about a session at the time of an event.
#[pyclass(frozen, module = "mailwire._native")]
pub(crate) struct SessionInfo(server::SessionInfo);

#[pymethods]
impl SessionInfo {
    #[getter]
    fn id(&self) -> u64 {
        self.0.id()
    }

    #[getter]
    fn peer(&self) -> &str {
        self.0.peer()
    }

    #[getter]
    fn helo(&self) -> Option<&str> {
        self.0.hello_name()
    }

    #[getter]
    fn tls<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.0
            .tls()
            .map(|tls| reply::tls_to_python(py, tls))
            .transpose()
    }

    #[getter]
    fn user(&self) -> Option<&str> {
        self.0.user()
    }
}

/// The word that a proof has in Python.
fn proof_name(proof: Proof) -> &'static str {
    match proof {
        Proof::Password => "password",
        Proof::Token => "token",
        Proof::Certificate => "certificate",
        _ => "nothing",
    }
}

fn sender<'py>(
    py: Python<'py>,
    path: &ReversePath,
    parameters: &MailParameters,
) -> PyResult<Addressed<'py>> {
    Ok((path.to_string(), options(py, &parameters.to_parameters())?))
}

fn each<'py>(py: Python<'py>, recipients: &[Recipient]) -> PyResult<Vec<Addressed<'py>>> {
    let one = |recipient: &Recipient| {
        let options = options(py, &recipient.parameters().to_parameters())?;
        Ok((recipient.path().to_string(), options))
    };
    recipients.iter().map(one).collect()
}

/// The options of a command, by keyword in capitals.
fn options<'py>(py: Python<'py>, parameters: &[Parameter]) -> PyResult<Bound<'py, PyDict>> {
    let options = PyDict::new(py);
    for parameter in parameters {
        options.set_item(parameter.keyword().to_ascii_uppercase(), parameter.value())?;
    }
    Ok(options)
}
