//! `mailwire_scram_keys`: what a server should keep of a password instead of the password.

use std::ffi::{c_char, c_void};

use mailwire::sasl::{ScramHash, Secret};
use mailwire::server::scram_keys;

use crate::argument::{BytesIn, Out, TextIn};
use crate::call::{ErrorOut, call, look};
use crate::error::mailwire_error;
use crate::failure::Failure;
use crate::handle::{self, Handle, object};
use crate::status::mailwire_status;
use crate::text::EMPTY;

/// What a server should keep of a password instead of the password: keys for SCRAM, as text.
///
/// Since 0.1.
pub struct mailwire_scram_keys(Handle<Secret>);

object!(mailwire_scram_keys, Secret, "keys");

/// Makes the keys of a password, with a random salt. mechanism is "SCRAM-SHA-256" or "SCRAM-SHA-1", or NULL for the first.
/// iterations is how often the password is salted: 4096 at least, so that clients take it; each login costs the client as many. It
/// takes as long as they do.
///
/// keys gets the keys, to be freed with mailwire_scram_keys_free, or NULL on failure.
/// Returns MAILWIRE_OK; MAILWIRE_ERR_INVALID_ARGUMENT, also for a password that SASLprep (RFC 4013) forbids;
/// MAILWIRE_ERR_INTERNAL.
/// Thread: any.
/// Since 0.1.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_scram_keys_new(
    mechanism: *const c_char,
    secret: *const c_void,
    secret_length: usize,
    iterations: u32,
    keys: *mut *mut mailwire_scram_keys,
    err: *mut *mut mailwire_error,
) -> mailwire_status {
    // SAFETY: the pointers are NULL or as the header asks.
    let (err, keys, mechanism, secret) = unsafe {
        (
            ErrorOut::of(err),
            Out::new("keys", keys, std::ptr::null_mut()),
            TextIn::new("mechanism", mechanism),
            BytesIn::new("secret", secret, secret_length),
        )
    };
    call("mailwire_scram_keys_new", &err, || {
        let place = keys.required()?;
        let hash = match mechanism.optional()? {
            None => ScramHash::Sha256,
            Some(name) => ScramHash::from_name(name).ok_or(Failure::Argument(
                "mechanism",
                "is neither SCRAM-SHA-256 nor SCRAM-SHA-1",
            ))?,
        };
        let made = scram_keys(hash, &Secret::new(secret.required()?), iterations)?;
        place.write(handle::to_c(terminated(&made.to_text())));
        Ok(())
    })
}

/// The keys as text to be stored, as "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey" (RFC 5803), for
/// mailwire_server_options_add_user_keys. Keep it as you would keep the password: who has it can pass for the server, and can try
/// passwords at leisure. NULL: the empty text.
///
/// The text is never NULL, and lives as long as the keys.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_scram_keys_text(
    keys: *const mailwire_scram_keys,
) -> *const c_char {
    // SAFETY: the pointer is NULL or keys, as the header asks.
    let keys = unsafe { handle::shared(keys) };
    look(EMPTY, || Ok(keys?.expose().as_ptr().cast()))
}

/// Frees keys; their memory is overwritten. NULL is allowed.
///
/// Thread: any, while nobody else uses these keys.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_scram_keys_free(keys: *mut mailwire_scram_keys) {
    // SAFETY: the pointer is NULL or keys, as the header asks.
    unsafe { handle::free(keys) };
}

/// The same with a NUL behind it, as C reads texts. Taken in one piece, since a vector that grows leaves a copy behind.
fn terminated(text: &Secret) -> Secret {
    let mut octets = Vec::with_capacity(text.expose().len() + 1);
    octets.extend_from_slice(text.expose());
    octets.push(0);
    Secret::new(octets)
}
