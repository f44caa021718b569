//! What becomes of the messages of a server that does not give them to the program: a disposition beside its options.

use std::ffi::c_char;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use mailwire::disposition::Destination;
use mailwire::server::Options;

use crate::argument::TextIn;
use crate::call::{ErrorOut, call};
use crate::error::mailwire_error;
use crate::failure::Failure;
use crate::handle;
use crate::server_options::mailwire_server_options;
use crate::status::mailwire_status;

/// The one option that is not among those of [`Options`], which do not know what becomes of messages.
pub(crate) const DISPOSITION: &str = "disposition";

/// What is behind a `mailwire_server_options`.
pub(crate) struct ServerOptions {
    options: Options,
    destination: Option<Arc<Destination>>,
}

impl ServerOptions {
    pub(crate) fn new() -> Self {
        Self {
            options: Options::new(),
            destination: None,
        }
    }

    /// Sets any option by its name.
    pub(crate) fn set_any(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        if name == DISPOSITION {
            self.destination = Some(Arc::new(Destination::open(value)?));
            Ok(())
        } else if Options::names().contains(&name) {
            Ok(self.options.set(name, value)?)
        } else {
            let known = Options::names().join(", ");
            Err(Failure::invalid(
                "name",
                format_args!("{name:?} is no option of a server; there are {known}, {DISPOSITION}"),
            ))
        }
    }

    /// Where messages go, if not to the program.
    pub(crate) fn destination(&self) -> Option<&Destination> {
        self.destination.as_deref()
    }
}

impl Deref for ServerOptions {
    type Target = Options;

    fn deref(&self) -> &Options {
        &self.options
    }
}

impl DerefMut for ServerOptions {
    fn deref_mut(&mut self) -> &mut Options {
        &mut self.options
    }
}

/// Where messages go instead of the queue of events: "maildir:/path" or "folder:/path", which write files and answer 250 once these
/// are on the disk; "discard"; or "relay:" and a URL, as "relay:smtp://mail.example.org:25", which hands on to another server and
/// passes its answer back. Nothing is connected before there is a message. In front of what a relay hands on always stands a Received
/// field (RFC 5321 section 4.4).
///
/// Folders that are not there are made at once, and what a crash left of a message 36 hours ago or earlier is removed. With
/// "?delivered_to=true" behind its path each file has a Delivered-To field for each recipient of the envelope (RFC 9228): whoever may
/// read it learns of blind copies too.
///
/// Then no event of MAILWIRE_EVENT_MESSAGE or MAILWIRE_EVENT_BODY comes. What is set by mailwire_server_options_set_hooks is still
/// asked; without it the queue may be left alone, which then tells nothing but that the server has ended by itself. Where a message
/// cannot be taken the client is told 451 or 452 and nothing of the reason: that comes as an event of MAILWIRE_EVENT_FAULT, one for each message while it lasts, if MAILWIRE_HOOK_FAULT is set. While
/// 4,096 events wait none is added; the number "faults" of mailwire_statistics counts them all.
///
/// With a relay mailwire_server_start fails with MAILWIRE_ERR_INVALID_ARGUMENT unless domains, trusted networks or required authentication keep strangers from relaying.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT; MAILWIRE_ERR_IO for a folder that cannot be used; as
/// mailwire_client_options_from_url for a URL; MAILWIRE_ERR_MISUSE if another call is using the options;
/// MAILWIRE_ERR_INTERNAL. After a failure the options are as before.
/// Thread: any, one call at a time on these options.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_server_options_set_disposition(
    options: *mut mailwire_server_options,
    disposition: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, options, disposition) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(options),
            TextIn::new("disposition", disposition),
        )
    };
    call("mailwire_server_options_set_disposition", &err, || {
        options?.set_any(DISPOSITION, disposition.required()?)?;
        Ok(())
    })
}
