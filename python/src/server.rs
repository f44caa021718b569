//! The listener as a Python object: a queue of events.

use std::sync::Arc;
use std::time::Duration;

use mailwire::blocking::{self, Call};
use mailwire::{Error, Status};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::{self, invalid};
use crate::event::Event;
use crate::server_options::{ServerOptions, ServerTls};
use crate::stream::Streams;
use crate::waiting::released;

/// A listener that runs. Python's `mailwire.Server` holds one between start and stop.
#[pyclass(frozen, module = "mailwire._native")]
pub(crate) struct Server {
    server: blocking::Server,
    /// Where hooks read messages piece by piece.
    streams: Option<Arc<Streams>>,
}

impl Server {
    /// The next event for a handler's thread: at once, or when there is one.
    fn next_to_handle(&self, waits: bool) -> Result<Option<Event>, Error> {
        let timeout = if waits { None } else { Some(Duration::ZERO) };
        let take = || self.server.next_event(timeout, Call::default());
        match &self.streams {
            Some(streams) => streams.next(waits, take),
            None => Ok(take()?.map(Event::new)),
        }
    }
}

#[pymethods]
impl Server {
    /// With what is in the options it listens on `listen`, descriptors that the options must not keep open.
    #[new]
    fn new(
        py: Python<'_>,
        options: &Bound<'_, ServerOptions>,
        listen: Vec<String>,
    ) -> PyResult<Self> {
        let options = options.get();
        let mut starting = options.options.clone();
        listen
            .iter()
            .try_for_each(|one| starting.listen(one))
            .map_err(|error| error::to_python(py, &error, None))?;
        let server = py
            .detach(|| match &options.destination {
                Some(destination) => blocking::Server::start_with(starting, destination),
                None => blocking::Server::start(starting),
            })
            .map_err(|error| error::to_python(py, &error, None))?;
        let streams = options.streams.then(Arc::default);
        Ok(Self { server, streams })
    }

    /// The next event, for a thread that serves until the end of the queue, which is None. It gets no signals.
    ///
    /// One at a time, since the next one may belong to a client that should not wait for this one's hook; as long as there
    /// are more, the interpreter is not given back in between.
    fn serve(&self, py: Python<'_>) -> PyResult<Option<Event>> {
        let mut next = self.next_to_handle(false);
        if matches!(next, Ok(None)) {
            next = py.detach(|| self.next_to_handle(true));
        }
        given(py, next)
    }

    /// The next event; None after `timeout` seconds without one, or at the end of the queue. Signals are looked at.
    #[pyo3(signature = (timeout))]
    fn next_event(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Event>> {
        let timeout = timeout
            .map(|timeout| seconds(py, "timeout", timeout))
            .transpose()?;
        let next = released(py, |call| self.server.next_event(timeout, call))?;
        given(py, next.map(|event| event.map(Event::new)))
    }

    /// The hosts and ports that it listens on, but for Unix sockets.
    fn addresses(&self) -> Vec<(String, u16)> {
        self.server
            .addresses()
            .iter()
            .map(|address| (address.ip().to_string(), address.port()))
            .collect()
    }

    /// Ends it: transactions under way have `grace` seconds.
    fn shutdown(&self, py: Python<'_>, grace: f64) -> PyResult<()> {
        let grace = seconds(py, "grace", grace)?;
        py.detach(|| self.server.shutdown(grace))
            .map_err(|error| error::to_python(py, &error, None))
    }

    fn reload_tls(&self, py: Python<'_>, tls: &Bound<'_, ServerTls>) -> PyResult<()> {
        let tls = tls.get();
        self.server
            .reload_tls(tls.tls.clone())
            .map_err(|error| error::to_python(py, &error, None))
    }

    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = PyDict::new(py);
        for (name, value) in self.server.statistics().values() {
            counters.set_item(name, value)?;
        }
        Ok(counters)
    }

    fn metrics(&self) -> String {
        self.server.statistics().to_prometheus()
    }
}

/// An event as Python's; the end of the queue is None.
fn given(py: Python<'_>, event: Result<Option<Event>, Error>) -> PyResult<Option<Event>> {
    match event {
        Ok(event) => Ok(event),
        Err(error) if error.status() == Status::End => Ok(None),
        Err(error) => Err(error::to_python(py, &error, None)),
    }
}

fn seconds(py: Python<'_>, name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| invalid(py, format!("{name}: {value} is no number of seconds")))
}
