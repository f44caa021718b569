//! MAILWIRE_EVENT_LOOKUP: what is asked about a user, and how the program supplies it.

use std::ffi::{c_char, c_void};

use mailwire::blocking::EventKind;
use mailwire::sasl::{Credentials, Found, ScramKeys, Secret, Wanted};

use crate::argument::{BytesIn, TextIn};
use crate::call::{ErrorOut, call};
use crate::error::mailwire_error;
use crate::event::{Held, mailwire_event, text};
use crate::failure::Failure;
use crate::handle;
use crate::status::mailwire_status;

/// What a LOOKUP wants of the user that mailwire_event_auth_user names: the SCRAM mechanism whose keys are wanted, as
/// "SCRAM-SHA-256", for which the password will do too; or the empty text, if nothing but the password will do.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_wanted_keys(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.wanted_keys) }
}

/// Answers a LOOKUP with the user's password, which fits whatever is wanted. It is copied, and the copy overwritten after use.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL, and for a password that no client could send: an empty one, one
/// with CR, LF or NUL, and one that is too long; MAILWIRE_ERR_MISUSE if the event is no LOOKUP or was answered, or another call
/// is using it; MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED; MAILWIRE_ERR_INTERNAL.
/// Thread: any, one call at a time on an event.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_supply_password(
    event: *mut mailwire_event,
    secret: *const c_void,
    secret_length: usize,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, event, secret) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(event),
            BytesIn::new("secret", secret, secret_length),
        )
    };
    call("mailwire_event_supply_password", &err, || {
        let secret = Secret::new(secret.required()?);
        // What SASL could never carry would never match. The name plays no part in it.
        Credentials::new("user", secret.expose())
            .map_err(|error| Failure::invalid("secret", error))?;
        supply(&mut *event?, Found::Password(secret))
    })
}

/// Answers a LOOKUP with the keys that are kept of the user's password, as the text that mailwire_scram_keys_text gave. Keys of
/// another mechanism than the one that is wanted are as good as none: the login fails as with a wrong password. They should have
/// as many iterations and octets of salt as those of the server's own table, or, if that has none, 4096 and 16: the keys that are made up
/// for users who are not there do, and others would tell who is.
///
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT for NULL and for what is no such text; MAILWIRE_ERR_MISUSE if the event is
/// no LOOKUP or was answered, or another call is using it; MAILWIRE_ERR_CLOSED if nobody waits for it any more; MAILWIRE_ERR_FORKED;
/// MAILWIRE_ERR_INTERNAL.
/// Thread: any, one call at a time on an event.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_supply_keys(
    event: *mut mailwire_event,
    keys: *const c_char,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, event, keys) = unsafe {
        (
            ErrorOut::of(err),
            handle::exclusive(event),
            TextIn::new("keys", keys),
        )
    };
    call("mailwire_event_supply_keys", &err, || {
        let keys = ScramKeys::from_text(keys.required()?)
            .map_err(|error| Failure::invalid("keys", error))?;
        supply(&mut *event?, Found::Keys(keys))
    })
}

fn supply(held: &mut Held, found: Found) -> Result<(), Failure> {
    if !matches!(held.event.kind(), EventKind::Lookup(_)) {
        return Err(Failure::Misuse("the event is no MAILWIRE_EVENT_LOOKUP"));
    }
    Ok(held.event.supply(found)?)
}

/// The name of what is wanted, if it has one.
pub(crate) fn wanted_keys(wanted: Wanted) -> Option<&'static str> {
    match wanted {
        Wanted::Keys(hash) => Some(hash.name()),
        _ => None,
    }
}
