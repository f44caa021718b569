//! What a `mailwire_event` tells of its session: whose it is, what TLS it has, who has logged in.

use std::ffi::{c_char, c_void};

use mailwire::proto::TlsInfo;

use crate::call::look;
use crate::event::{Held, mailwire_event, pointer, text};
use crate::handle;
use crate::text::EMPTY;

/// The number of the session: no other session of the server has had it. NULL: 0.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_session_id(event: *const mailwire_event) -> u64 {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(event?.event.session().id()))
}

/// The client's address, as "127.0.0.1:1234"; "local socket" at a Unix socket, and "unknown" where XCLIENT tells none.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_peer(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.peer) }
}

/// What the client called itself in EHLO, HELO or LHLO, which nobody has verified; empty before that.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_hello_name(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.hello_name) }
}

/// The version of TLS, as "TLSv1.3"; empty in clear.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_tls_version(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.tls_version) }
}

/// The cipher suite of TLS, as "TLS_AES_256_GCM_SHA384"; empty in clear.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_tls_cipher(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.tls_cipher) }
}

/// The name that the client asked for in the TLS handshake (SNI, RFC 6066 section 3); empty in clear, and if it asked for none.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_tls_server_name(
    event: *const mailwire_event,
) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.tls_server_name) }
}

/// The client's certificate in DER, which was verified against the option "client_ca"; without one,
/// mailwire_event_tls_peer_certificate_length is 0.
///
/// It is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_tls_peer_certificate(
    event: *const mailwire_event,
) -> *const c_void {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(EMPTY.cast(), || {
        Ok(pointer(peer_certificate(event?.lend())))
    })
}

/// The number of octets of the client's certificate; 0 if it has shown none.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_tls_peer_certificate_length(
    event: *const mailwire_event,
) -> usize {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(peer_certificate(event?.lend()).len()))
}

/// The user who has logged in; empty if nobody has.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_user(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.user) }
}

fn peer_certificate(held: &Held) -> &[u8] {
    let tls = held.event.session().tls();
    tls.and_then(TlsInfo::peer_certificate).unwrap_or(&[])
}
