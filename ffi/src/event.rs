//! `mailwire_event`: something that happened in a server. Here is what it tells; `event_answer` has how it is answered.

use std::ffi::{c_char, c_void};

use mailwire::blocking::{Event, EventKind};
use mailwire::proto::{Recipient, ReversePath, TlsInfo};
use mailwire::sasl::Proof;

use crate::call::look;
use crate::error::mailwire_error;
use crate::event_lookup::wanted_keys;
use crate::failure::Failure;
use crate::handle::{self, Handle, object};
use crate::text::{EMPTY, Text, Texts};

/// Something that happened in a server, and may want an answer. Freed without one, the client is told 451.
///
/// Accessors take NULL, and return the same for it as for what an event of its kind does not have.
///
/// Since 0.1.
pub struct mailwire_event(Handle<Held>);

object!(mailwire_event, Held, "event", bound_to_process = true);

/// What an event is about: one of MAILWIRE_EVENT_... Expect values that you do not know, and free such events.
pub type mailwire_kind = i32;

/// There is no event.
pub const MAILWIRE_EVENT_NONE: mailwire_kind = 0;
/// A client has connected (MAILWIRE_HOOK_CONNECT).
pub const MAILWIRE_EVENT_CONNECT: mailwire_kind = 1;
/// EHLO, HELO or LHLO (MAILWIRE_HOOK_HELLO).
pub const MAILWIRE_EVENT_HELLO: mailwire_kind = 2;
/// AUTH, with user name and password (MAILWIRE_HOOK_AUTH).
pub const MAILWIRE_EVENT_AUTH: mailwire_kind = 3;
/// MAIL, with the sender (MAILWIRE_HOOK_MAIL).
pub const MAILWIRE_EVENT_MAIL: mailwire_kind = 4;
/// RCPT, with one recipient or several that came in one go; each is owed an answer (MAILWIRE_HOOK_RCPT).
pub const MAILWIRE_EVENT_RECIPIENTS: mailwire_kind = 5;
/// A whole message with its envelope. Accepting it makes you responsible for it. With LMTP each recipient is owed an answer.
pub const MAILWIRE_EVENT_MESSAGE: mailwire_kind = 6;
/// A message begins, with its envelope; only with mailwire_server_options_set_stream.
pub const MAILWIRE_EVENT_BODY: mailwire_kind = 7;
/// A piece of a message; informs. Free it to have more read. It owes no answer, but may be refused: that refuses the message.
pub const MAILWIRE_EVENT_CHUNK: mailwire_kind = 8;
/// The end of a message that came in pieces. Accepting it makes you responsible for it. With LMTP each recipient is owed an
/// answer.
pub const MAILWIRE_EVENT_END_OF_DATA: mailwire_kind = 9;
/// A transaction was given up, by RSET or another EHLO; informs, and the session goes on once the event was freed
/// (MAILWIRE_HOOK_RESET). RSET where there is none, as behind a message that was answered, is not told.
pub const MAILWIRE_EVENT_RESET: mailwire_kind = 10;
/// VRFY (MAILWIRE_HOOK_VERIFY).
pub const MAILWIRE_EVENT_VERIFY: mailwire_kind = 11;
/// EXPN (MAILWIRE_HOOK_EXPAND).
pub const MAILWIRE_EVENT_EXPAND: mailwire_kind = 12;
/// HELP (MAILWIRE_HOOK_HELP).
pub const MAILWIRE_EVENT_HELP: mailwire_kind = 13;
/// A command that is not known (MAILWIRE_HOOK_UNKNOWN). mailwire_event_accept answers it 250: it is carried out. Whoever does not know it
/// either calls mailwire_event_reject, or mailwire_event_reply with 500.
pub const MAILWIRE_EVENT_UNKNOWN: mailwire_kind = 14;
/// QUIT; informs, and the session goes on once the event was freed (MAILWIRE_HOOK_QUIT).
pub const MAILWIRE_EVENT_QUIT: mailwire_kind = 15;
/// The connection is gone; informs (MAILWIRE_HOOK_DISCONNECT).
pub const MAILWIRE_EVENT_DISCONNECT: mailwire_kind = 16;
/// A message that came in pieces will not come whole, or was refused at one of them: drop what came of it; informs.
pub const MAILWIRE_EVENT_DISCARDED: mailwire_kind = 17;
/// ETRN; its argument is the node whose queue is to be started (MAILWIRE_HOOK_ETRN).
pub const MAILWIRE_EVENT_ETRN: mailwire_kind = 18;
/// A login by SCRAM or CRAM-MD5 of a user who is not in the server's own table: mailwire_event_supply_password or
/// mailwire_event_supply_keys answers with what you keep of mailwire_event_auth_user. Accepting it without says that there is no
/// such user, which the client is told no sooner than that a password was wrong (MAILWIRE_HOOK_LOOKUP).
pub const MAILWIRE_EVENT_LOOKUP: mailwire_kind = 19;
/// A disposition could not take a message: mailwire_event_fault says why; informs (MAILWIRE_HOOK_FAULT).
pub const MAILWIRE_EVENT_FAULT: mailwire_kind = 20;

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

/// Frees an event. NULL is allowed. Answers that it still owes become 451.
///
/// Thread: any, while nobody else uses this event.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_free(event: *mut mailwire_event) {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { handle::free(event) };
}

/// What the event is about. NULL: MAILWIRE_EVENT_NONE.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_kind(event: *const mailwire_event) -> mailwire_kind {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(MAILWIRE_EVENT_NONE, || Ok(number(event?.event.kind())))
}

/// The number of answers that the event still owes; 0 for one that only informs.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_owed(event: *const mailwire_event) -> usize {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(event?.event.owed()))
}

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

/// The client's address, as "127.0.0.1:1234".
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

/// The sender (reverse-path), of MAIL and of what has an envelope; empty for the null reverse-path.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_sender(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.sender) }
}

/// The number of recipients: those that RCPT asks about, or those of the envelope, which were accepted.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_recipient_count(event: *const mailwire_event) -> usize {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(event?.recipients.len()))
}

/// A recipient (forward-path); empty if there is no such one.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_recipient_at(
    event: *const mailwire_event,
    index: usize,
) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe {
        text(event, |held| {
            held.recipients.get(index).copied().unwrap_or(Text::ABSENT)
        })
    }
}

/// The id of the message that MESSAGE, BODY, CHUNK, END_OF_DATA or DISCARDED is about, as it stands in its Received field and in the
/// usual reply, "queued as", which mailwire_report_queue_id reads on the client's side: 32 hexadecimal digits. Empty unless the option
/// "received" is set.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_queue_id(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.queue_id) }
}

/// The content of MESSAGE and CHUNK, as it came, with CRLF as line end and without the dots that SMTP adds. It may hold NUL, and
/// no NUL ends it: mailwire_event_content_length says how long it is. The first call makes one piece of a large message,
/// a copy that does not count towards "body_memory"; the option "stream" gives such messages as CHUNK, without a copy.
///
/// It is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_content(event: *const mailwire_event) -> *const c_void {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(EMPTY.cast(), || Ok(pointer(content(event?.lend()))))
}

/// The number of octets of the content.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_content_length(event: *const mailwire_event) -> usize {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || Ok(content(event?.lend()).len()))
}

/// The size in octets: of MAIL what the client declared with SIZE, of MESSAGE and CHUNK that of the content, of END_OF_DATA that
/// of all pieces. 0 if none is known.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_size(event: *const mailwire_event) -> u64 {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    let event = unsafe { handle::shared(event) };
    look(0, || {
        let event = event?;
        Ok(match event.event.kind() {
            EventKind::Mail { parameters, .. } => parameters.size.unwrap_or(0),
            EventKind::EndOfData { size, .. } => *size,
            _ => content(event.lend()).len() as u64,
        })
    })
}

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

/// The verb of a command that is not known.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_verb(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.verb) }
}

/// The argument of VRFY, EXPN, HELP or ETRN, or of a command that is not known.
///
/// The text is never NULL, and lives as long as the event.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_event_argument(event: *const mailwire_event) -> *const c_char {
    // SAFETY: the pointer is NULL or an event, as the header asks.
    unsafe { text(event, |held| held.argument) }
}

/// What is behind a `mailwire_event`: the event, and its texts as C reads them.
pub(crate) struct Held {
    pub(crate) event: Event,
    texts: Texts,
    recipients: Vec<Text>,
    peer: Text,
    hello_name: Text,
    tls_version: Text,
    tls_cipher: Text,
    tls_server_name: Text,
    user: Text,
    queue_id: Text,
    sender: Text,
    auth_user: Text,
    auth_identity: Text,
    pub(crate) wanted_keys: Text,
    verb: Text,
    argument: Text,
    pub(crate) fault: Option<Box<mailwire_error>>,
}

/// An event for C. One for which there is no memory is answered 451.
pub(crate) fn to_c(event: Event) -> Result<*mut mailwire_event, Failure> {
    let session = event.session();
    let mut texts = Texts::new();
    let mut held = Held {
        peer: texts.add(session.peer())?,
        hello_name: texts.add_some(session.hello_name())?,
        tls_version: texts.add_some(session.tls().map(TlsInfo::version))?,
        tls_cipher: texts.add_some(session.tls().map(TlsInfo::cipher))?,
        tls_server_name: texts.add_some(session.tls().and_then(TlsInfo::server_name))?,
        user: texts.add_some(session.user())?,
        queue_id: texts.add_some(event.id())?,
        texts,
        recipients: Vec::new(),
        sender: Text::ABSENT,
        auth_user: Text::ABSENT,
        auth_identity: Text::ABSENT,
        wanted_keys: Text::ABSENT,
        verb: Text::ABSENT,
        argument: Text::ABSENT,
        fault: None,
        event,
    };
    held.describe()?;
    Ok(handle::to_c(held))
}

impl Held {
    /// Writes down what is particular to the kind.
    fn describe(&mut self) -> Result<(), Failure> {
        let texts = &mut self.texts;
        match self.event.kind() {
            EventKind::Hello { name } => self.hello_name = texts.add(name)?,
            EventKind::Auth(credentials) => {
                self.auth_user = texts.add(credentials.username())?;
                self.auth_identity = texts.add_some(credentials.authorization_identity())?;
            }
            EventKind::Lookup(lookup) => {
                self.auth_user = texts.add(lookup.username())?;
                self.auth_identity = texts.add_some(lookup.authorization_identity())?;
                self.wanted_keys = texts.add_some(wanted_keys(lookup.wanted()))?;
            }
            EventKind::Mail { reverse_path, .. } => self.sender = sender(texts, reverse_path)?,
            EventKind::Recipients(recipients) => {
                self.recipients = all_recipients(texts, recipients)?;
            }
            EventKind::Message { envelope, .. }
            | EventKind::Body { envelope }
            | EventKind::EndOfData { envelope, .. } => {
                self.sender = sender(texts, envelope.reverse_path())?;
                self.recipients = all_recipients(texts, envelope.recipients())?;
            }
            EventKind::Verify(argument)
            | EventKind::Expand(argument)
            | EventKind::Help(argument)
            | EventKind::Etrn(argument) => {
                self.argument = texts.add(argument)?;
            }
            EventKind::Unknown { verb, argument } => {
                self.verb = texts.add(verb)?;
                self.argument = texts.add(argument)?;
            }
            EventKind::Fault(fault) => self.fault = Some(mailwire_error::lent(fault)?),
            _ => {}
        }
        Ok(())
    }
}

fn number(kind: &EventKind) -> mailwire_kind {
    match kind {
        EventKind::Connect => MAILWIRE_EVENT_CONNECT,
        EventKind::Hello { .. } => MAILWIRE_EVENT_HELLO,
        EventKind::Auth(_) => MAILWIRE_EVENT_AUTH,
        EventKind::Mail { .. } => MAILWIRE_EVENT_MAIL,
        EventKind::Recipients(_) => MAILWIRE_EVENT_RECIPIENTS,
        EventKind::Message { .. } => MAILWIRE_EVENT_MESSAGE,
        EventKind::Body { .. } => MAILWIRE_EVENT_BODY,
        EventKind::Chunk(_) => MAILWIRE_EVENT_CHUNK,
        EventKind::EndOfData { .. } => MAILWIRE_EVENT_END_OF_DATA,
        EventKind::Reset => MAILWIRE_EVENT_RESET,
        EventKind::Verify(_) => MAILWIRE_EVENT_VERIFY,
        EventKind::Expand(_) => MAILWIRE_EVENT_EXPAND,
        EventKind::Help(_) => MAILWIRE_EVENT_HELP,
        EventKind::Unknown { .. } => MAILWIRE_EVENT_UNKNOWN,
        EventKind::Quit => MAILWIRE_EVENT_QUIT,
        EventKind::Disconnect => MAILWIRE_EVENT_DISCONNECT,
        EventKind::Discarded => MAILWIRE_EVENT_DISCARDED,
        EventKind::Etrn(_) => MAILWIRE_EVENT_ETRN,
        EventKind::Lookup(_) => MAILWIRE_EVENT_LOOKUP,
        EventKind::Fault(_) => MAILWIRE_EVENT_FAULT,
        _ => MAILWIRE_EVENT_NONE,
    }
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

fn peer_certificate(held: &Held) -> &[u8] {
    let tls = held.event.session().tls();
    tls.and_then(TlsInfo::peer_certificate).unwrap_or(&[])
}

fn content(held: &Held) -> &[u8] {
    match held.event.kind() {
        EventKind::Message { content, .. } => content,
        EventKind::Chunk(content) => content,
        _ => &[],
    }
}

fn secret(held: &Held) -> &[u8] {
    match held.event.kind() {
        EventKind::Auth(credentials) => credentials.password().expose(),
        _ => &[],
    }
}

/// A pointer that is never NULL, nor the dangling one of an empty slice.
fn pointer(octets: &[u8]) -> *const c_void {
    if octets.is_empty() {
        EMPTY.cast()
    } else {
        octets.as_ptr().cast()
    }
}

fn sender(texts: &mut Texts, path: &ReversePath) -> Result<Text, Failure> {
    Ok(texts.add_some(path.mailbox())?)
}

fn all_recipients(texts: &mut Texts, recipients: &[Recipient]) -> Result<Vec<Text>, Failure> {
    let mut all = Vec::new();
    all.try_reserve_exact(recipients.len())
        .map_err(|_| Failure::NoMemory)?;
    for recipient in recipients {
        all.push(texts.add(recipient.path())?);
    }
    Ok(all)
}

/// # Safety
/// `event` is NULL or an event.
pub(crate) unsafe fn text(
    event: *const mailwire_event,
    which: impl FnOnce(&Held) -> Text,
) -> *const c_char {
    // SAFETY: as the caller promises.
    let event = unsafe { handle::shared(event) };
    look(EMPTY, || {
        let held = event?;
        Ok(held.texts.get(which(&held)))
    })
}
