//! `mailwire_server`: a server as a queue of events that the program pulls.

use std::ffi::c_char;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mailwire::blocking::{Call, Server};
use mailwire::server::{Options, Statistics};

use crate::argument::{Out, milliseconds};
use crate::call::{ErrorOut, call, look};
use crate::cancel::{CancelIn, mailwire_cancel};
use crate::error::mailwire_error;
use crate::event::{self, mailwire_event};
use crate::failure::Failure;
use crate::handle::{self, Handle, object};
use crate::server_options::mailwire_server_options;
use crate::status::mailwire_status;
use crate::text::{EMPTY, Text, Texts};

/// A server that runs, as a queue of events. Every function takes it const: any number of threads may pull events at the same
/// time, and answer them in any order.
///
/// Since 0.1.
pub struct mailwire_server(Handle<Running>);

object!(mailwire_server, Running, "server", bound_to_process = true);

/// What is behind a `mailwire_server`.
pub(crate) struct Running {
    server: Server,
    texts: Texts,
    addresses: Vec<Text>,
}

impl Running {
    pub(crate) fn statistics(&self) -> Statistics {
        self.server.statistics()
    }
}

/// Starts a server: it listens when the call returns, on threads of its own. The options are checked as a whole and copied.
///
/// server gets the new server, to be freed with mailwire_server_free, or NULL on failure.
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for options that do not fit together;
/// MAILWIRE_ERR_AUTH_INSECURE if passwords would travel in clear; MAILWIRE_ERR_IO if an address cannot be listened on;
/// MAILWIRE_ERR_TLS_CONFIGURATION; MAILWIRE_ERR_MISUSE if another call is changing the options; MAILWIRE_ERR_NOMEM;
/// MAILWIRE_ERR_INTERNAL.
/// Thread: any.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_start(
    options: *const mailwire_server_options,
    server: *mut *mut mailwire_server,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, server, options) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("server", server, std::ptr::null_mut()),
            handle::shared(options),
        )
    };
    call("mailwire_server_start", &err, || {
        let place = server.required()?;
        let options = options?;
        let server = match options.destination() {
            Some(destination) => Server::start_with(Options::clone(&options), destination)?,
            None => Server::start(Options::clone(&options))?,
        };
        let mut texts = Texts::new();
        let addresses: Result<Vec<_>, _> = server
            .addresses()
            .iter()
            .map(|address| texts.add(address))
            .collect();
        place.write(handle::to_c(Running {
            addresses: addresses?,
            server,
            texts,
        }));
        Ok(())
    })
}

/// Frees a server; one that was not shut down ends at once, without grace. NULL is allowed. In a forked child it closes the
/// child's descriptors and nothing else: the parent's server goes on.
///
/// Thread: any. Shut the server down before, so that no call is waiting in it: while one is, the server lives on.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_free(server: *mut mailwire_server) {
    // SAFETY: the pointer is NULL or a server, as the header asks.
    unsafe { handle::free(server) };
}

/// The number of addresses that the server listens on, but for Unix sockets. NULL: 0.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_address_count(server: *const mailwire_server) -> usize {
    // SAFETY: the pointer is NULL or a server, as the header asks.
    let server = unsafe { handle::shared(server) };
    look(0, || Ok(server?.addresses.len()))
}

/// An address that the server listens on, as "127.0.0.1:2525", with the port that the system chose if it was to choose one;
/// empty if there is no such address.
///
/// The text is never NULL, and lives as long as the server.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_address_at(
    server: *const mailwire_server,
    index: usize,
) -> *const c_char {
    // SAFETY: the pointer is NULL or a server, as the header asks.
    let server = unsafe { handle::shared(server) };
    look(EMPTY, || {
        let server = server?;
        let text = server.addresses.get(index).copied();
        Ok(server.texts.get(text.unwrap_or(Text::ABSENT)))
    })
}

/// The port of an address that the server listens on; 0 if there is no such address.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_port(server: *const mailwire_server, index: usize) -> u16 {
    // SAFETY: the pointer is NULL or a server, as the header asks.
    let server = unsafe { handle::shared(server) };
    look(0, || {
        let server = server?;
        let address = server.server.addresses().get(index);
        Ok(address.map_or(0, std::net::SocketAddr::port))
    })
}

/// Waits for the next event, at most for timeout_ms milliseconds: 0 only looks, MAILWIRE_NO_TIMEOUT waits without end. cancel
/// may be NULL; signalled, it ends the wait.
///
/// event gets the event, to be freed with mailwire_event_free, or NULL on failure.
/// Returns MAILWIRE_OK; MAILWIRE_END once the server was shut down, every event was told, and those that were pulled are answered or
/// freed, or too late for an answer; MAILWIRE_ERR_TIMEOUT if none came in that time; MAILWIRE_ERR_CANCELLED; MAILWIRE_ERR_IO if the system does not
/// let it wait, or if the server has ended by itself, for a socket that it listens on can accept nothing any more, as when somebody who
/// shares it has shut it down; MAILWIRE_ERR_INTERNAL if it has ended for a fault of the library; MAILWIRE_ERR_INVALID_ARGUMENT;
/// MAILWIRE_ERR_FORKED; MAILWIRE_ERR_NOMEM. Where the server has ended, each call says so again.
/// Thread: any number at the same time; each event goes to one of them. A second event of a session comes while an earlier one is
/// still open only if that was not answered within the option "answer_timeout", for the client then goes on.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_next_event(
    server: *const mailwire_server,
    cancel: *const mailwire_cancel,
    timeout_ms: i64,
    event: *mut *mut mailwire_event,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, event, server, cancel) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("event", event, std::ptr::null_mut()),
            handle::shared(server),
            CancelIn::new(cancel),
        )
    };
    call("mailwire_server_next_event", &err, || {
        let event = event.required()?;
        let timeout = milliseconds("timeout_ms", timeout_ms)?;
        let call = Call {
            cancel: cancel.get(),
            ..Call::default()
        };
        let next = server?.server.next_event(timeout, call)?;
        event.write(event::to_c(next.ok_or(Failure::NoEvent)?)?);
        Ok(())
    })
}

/// A descriptor that reads as ready while an event waits, and when the server has ended, for programs with an event loop of their own:
/// when it does, pull with a timeout of 0, until MAILWIRE_ERR_TIMEOUT says that none waits; there may be none the first time. At the end
/// MAILWIRE_END comes later if events were pulled that are not answered: the last answer has the descriptor read as ready, but that an event
/// is too late for its answer does not. Only wait on it; do not read, write or close it. -1 for NULL.
///
/// It lives as long as the server.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_fd(server: *const mailwire_server) -> i32 {
    // SAFETY: the pointer is NULL or a server, as the header asks.
    let server = unsafe { handle::shared(server) };
    look(-1, || Ok(server?.server.fd().as_raw_fd()))
}

/// Uses the certificates of options for all handshakes from now on, as after they were renewed. Nothing is read from files here: that
/// was done when "tls", "tls_sni" and "client_ca", or mailwire_server_options_set_certificate, were set, so that a failure there leaves
/// the server as it is. What is not among these does not count. Sessions that run keep what they have, and none is ended.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for options without a certificate; MAILWIRE_ERR_MISUSE if
/// the server was started without one, for TLS cannot be turned on while it runs, or if another call is changing the options;
/// MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any, while others pull events.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_reload_tls(
    server: *const mailwire_server,
    options: *const mailwire_server_options,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, server, options) = unsafe {
        (
            ErrorOut::of(err),
            handle::shared(server),
            handle::shared(options),
        )
    };
    call("mailwire_server_reload_tls", &err, || {
        let (server, options) = (server?, options?);
        let tls = options.tls().ok_or(Failure::Argument(
            "options",
            "have no certificate: set tls, or call mailwire_server_options_set_certificate",
        ))?;
        Ok(server.server.reload_tls(tls.clone())?)
    })
}

/// Begins to shut a server down as mailwire_server_shutdown does, and returns at once. For a program that pulls events on one thread: pull
/// and answer on until MAILWIRE_END comes. mailwire_server_free, called before, waits for what is left of the grace.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT, also for a time without end; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any. Not from a signal handler: signal a mailwire_cancel there, which ends the wait for an event.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_begin_shutdown(
    server: *const mailwire_server,
    grace_ms: i64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, server) = unsafe { (ErrorOut::of(err), handle::shared(server)) };
    call("mailwire_server_begin_shutdown", &err, || {
        let grace: Duration = crate::argument::limit("grace_ms", grace_ms)?;
        Ok(server?.server.begin_shutdown(grace)?)
    })
}

/// Shuts a server down: it stops listening, sends 421 to clients that are idle, gives transactions that are under way grace_ms
/// milliseconds to finish, and waits for that. Other threads must go on pulling and answering events meanwhile, or those transactions find
/// nobody who answers: a program that pulls on one thread alone calls mailwire_server_begin_shutdown. When it returns the server's threads
/// have ended; the events that are left can be pulled, and MAILWIRE_END comes when all that were pulled are answered or freed, or too
/// late to be answered.
///
/// Only the grace of the first call counts, and that of mailwire_server_begin_shutdown is one: any later call waits for the same end. The
/// option "grace" is not for this.
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT, also for a time without end; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any, while others pull events.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_shutdown(
    server: *const mailwire_server,
    grace_ms: i64,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, server) = unsafe { (ErrorOut::of(err), handle::shared(server)) };
    call("mailwire_server_shutdown", &err, || {
        let grace: Duration = crate::argument::limit("grace_ms", grace_ms)?;
        Ok(server?.server.shutdown(grace)?)
    })
}
