//! `mailwire_event`: something that happened in a server. Here is what kinds there are, and what is behind one. What it tells of its session
//! is in `event_session`, of what was sent in `event_content`, of a login in `event_credentials`; `event_answer` has how it is answered.

use std::ffi::{c_char, c_void};

use mailwire::blocking::{Event, EventKind};
use mailwire::proto::{Recipient, ReversePath, TlsInfo};

use crate::call::look;
use crate::error::mailwire_error;
use crate::event_lookup::wanted_keys;
use crate::failure::Failure;
use crate::handle::{self, Handle, object};
use crate::text::{EMPTY, Text, Texts, Words};

/// Something that happened in a server, and may want an answer. Freed without one, the client is told 451; at AUTH and LOOKUP 454, which
/// counts as a login that nobody could judge, and at CONNECT 421, which ends the session.
///
/// An event has all that it tells in itself: it may be used and is to be freed also after its server.
/// Accessors take NULL, and return the same for it as for what an event of its kind does not have.
///
/// Since 0.1.
pub struct mailwire_event(Handle<Held>);

object!(mailwire_event, Held, "event", bound_to_process = true);

/// What an event is about: one of MAILWIRE_EVENT_... Expect values that you do not know, and free such events.
pub type mailwire_kind = i32;

/// There is no event.
pub const MAILWIRE_EVENT_NONE: mailwire_kind = 0;
/// A client has connected (MAILWIRE_HOOK_CONNECT). It comes again, with the same number of the session, where a host of "xclient" goes on with
/// another client in the same connection: what the program keeps of the session is not that client's.
pub const MAILWIRE_EVENT_CONNECT: mailwire_kind = 1;
/// EHLO, HELO or LHLO (MAILWIRE_HOOK_HELLO).
pub const MAILWIRE_EVENT_HELLO: mailwire_kind = 2;
/// AUTH, with user name and password (MAILWIRE_HOOK_AUTH).
pub const MAILWIRE_EVENT_AUTH: mailwire_kind = 3;
/// MAIL, with the sender (MAILWIRE_HOOK_MAIL).
pub const MAILWIRE_EVENT_MAIL: mailwire_kind = 4;
/// RCPT, with one recipient or several that came in one go; each is owed an answer (MAILWIRE_HOOK_RCPT). The sender is not told again: a
/// program that wants it asks for MAIL, and keeps it by the number of the session.
pub const MAILWIRE_EVENT_RECIPIENTS: mailwire_kind = 5;
/// A whole message with its envelope. Accepting it makes you responsible for it. With LMTP each recipient is owed an answer.
pub const MAILWIRE_EVENT_MESSAGE: mailwire_kind = 6;
/// A message begins, with its envelope; only with mailwire_server_options_set_stream. It is owed an answer, before which no octet of the
/// message is read: freed without one, the message is refused by 451.
pub const MAILWIRE_EVENT_BODY: mailwire_kind = 7;
/// A piece of a message; informs. Free it to have more read: pieces of up to 256 KiB of a message may be held at a time. Where so many are
/// held for longer than "answer_timeout", the message is refused by 451, and MAILWIRE_EVENT_DISCARDED comes. It owes no answer, but may be
/// refused: that refuses the message.
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

/// Frees an event. NULL is allowed. Answers that it still owes become 451, 454 or 421, as mailwire_event says.
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

/// What is behind a `mailwire_event`: the event, and its texts as C reads them.
pub(crate) struct Held {
    pub(crate) event: Event,
    texts: Texts,
    parameters: Words,
    pub(crate) recipients: Vec<RecipientTexts>,
    pub(crate) peer: Text,
    pub(crate) hello_name: Text,
    pub(crate) tls_version: Text,
    pub(crate) tls_cipher: Text,
    pub(crate) tls_server_name: Text,
    pub(crate) user: Text,
    pub(crate) queue_id: Text,
    pub(crate) sender: Text,
    pub(crate) auth_user: Text,
    pub(crate) auth_identity: Text,
    pub(crate) wanted_keys: Text,
    pub(crate) verb: Text,
    pub(crate) argument: Text,
    pub(crate) fault: Option<Box<mailwire_error>>,
}

/// A recipient, and the parameters of its RCPT.
pub(crate) struct RecipientTexts {
    pub(crate) path: Text,
    parameters: Words,
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
        parameters: Words::NONE,
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
    /// The parameters of MAIL, or those of RCPT for the recipient of that index.
    pub(crate) fn parameters(&self, recipient: Option<usize>) -> Words {
        match recipient {
            None => self.parameters,
            Some(index) => self
                .recipients
                .get(index)
                .map_or(Words::NONE, |recipient| recipient.parameters),
        }
    }

    /// One of them.
    pub(crate) fn parameter(&self, recipient: Option<usize>, index: usize) -> Text {
        self.texts.word(self.parameters(recipient), index)
    }

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
            EventKind::Mail {
                reverse_path,
                parameters,
            } => {
                self.sender = sender(texts, reverse_path)?;
                self.parameters = texts.add_parameters(parameters)?;
            }
            EventKind::Recipients(recipients) => {
                self.recipients = all_recipients(texts, recipients)?;
            }
            EventKind::Message { envelope, .. }
            | EventKind::Body { envelope }
            | EventKind::EndOfData { envelope, .. } => {
                self.sender = sender(texts, envelope.reverse_path())?;
                self.parameters = texts.add_parameters(envelope.parameters())?;
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

/// A pointer that is never NULL, nor the dangling one of an empty slice.
pub(crate) fn pointer(octets: &[u8]) -> *const c_void {
    if octets.is_empty() {
        EMPTY.cast()
    } else {
        octets.as_ptr().cast()
    }
}

fn sender(texts: &mut Texts, path: &ReversePath) -> Result<Text, Failure> {
    Ok(texts.add_some(path.mailbox())?)
}

fn all_recipients(
    texts: &mut Texts,
    recipients: &[Recipient],
) -> Result<Vec<RecipientTexts>, Failure> {
    let mut all = Vec::new();
    all.try_reserve_exact(recipients.len())
        .map_err(|_| Failure::NoMemory)?;
    for recipient in recipients {
        all.push(RecipientTexts {
            path: texts.add(recipient.path())?,
            parameters: texts.add_parameters(recipient.parameters())?,
        });
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
