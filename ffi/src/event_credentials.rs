//! What a `mailwire_event` tells of a login: the user, and what is to prove who that is.

use std::ffi::{c_char, c_void};

use mailwire::blocking::EventKind;
use mailwire::sasl::Proof;

use crate::call::look;
use crate::event::{Held, mailwire_event, pointer, text};
use crate::handle;
use crate::text::EMPTY;

/// What proves that a user who logs in is that user: one of MAILWIRE_PROOF_... Expect values that you do not know, and refuse such
/// logins.
pub type mailwire_proof = i32;

/// There is no login.
pub const MAILWIRE_PROOF_NONE: mailwire_proof = 0;
/// A password, in mailwire_event_auth_secret.
pub const MAILWIRE_PROOF_PASSWORD: mailwire_proof = 1;
/// A bearer token of OAuth 2.0, in mailwire_event_auth_secret. It may have come without a user name.
pub const MAILWIRE_PROOF_TOKEN: mailwire_proof = 2;
/// The certificate of the TLS handshake, which was verified against the option "client_ca". The user name is its fingerprint,
/// "sha256:" and 64 lower-case digits.
pub const MAILWIRE_PROOF_CERTIFICATE: mailwire_proof = 3;
/// Nothing: an anonymous user, with a word on who it may be as user name.
pub const MAILWIRE_PROOF_NOTHING: mailwire_proof = 4;

/// The user name of AUTH and LOOKUP.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_auth_user(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.auth_user) }
}

/// Whom the user of AUTH or LOOKUP asks to act as (RFC 4422 section 3.4.1); empty if it did not ask. Of AUTH, refuse one that differs
/// from the user name unless the user may act as it. Of LOOKUP it is always that name.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_auth_identity(
    event: *const mailwire_event,
) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.auth_identity) }
}

/// What is offered as proof of the user in AUTH: MAILWIRE_PROOF_PASSWORD unless mechanisms were named that take something else.
/// MAILWIRE_PROOF_NONE for other events.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_auth_proof(event: *const mailwire_event) -> mailwire_proof {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(MAILWIRE_PROOF_NONE, || Ok(proof(event?.event.kind())))
}

/// The password or token of AUTH. No NUL is in it, and none ends it: mailwire_event_auth_secret_length says how long it is. Compare it
/// in a time that does not tell where it differs.
///
/// It is never NULL; it lives as long as the event, and is overwritten then.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_auth_secret(event: *const mailwire_event) -> *const c_void {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(EMPTY.cast(), || Ok(pointer(secret(event?.lend()))))
}

/// The number of octets of the password or token of AUTH; 0 where there is neither.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_auth_secret_length(event: *const mailwire_event) -> usize {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(secret(event?.lend()).len()))
}

fn proof(kind: &EventKind) -> mailwire_proof {
    let EventKind::Auth(credentials) = kind else {
        return MAILWIRE_PROOF_NONE;
    };
    match credentials.proof() {
        Proof::Password => MAILWIRE_PROOF_PASSWORD,
        Proof::Token => MAILWIRE_PROOF_TOKEN,
        Proof::Certificate => MAILWIRE_PROOF_CERTIFICATE,
        Proof::Nothing => MAILWIRE_PROOF_NOTHING,
        _ => MAILWIRE_PROOF_NONE,
    }
}

fn secret(held: &Held) -> &[u8] {
    match held.event.kind() {
        EventKind::Auth(credentials) => credentials.password().expose(),
        _ => &[],
    }
}
