//! The client's side: cases by group, and what their steps mean. A case is the server, and says what the client is told to do.
//!
//! What the client is told:
//!
//! - `open:` to connect, and to do all that comes before mail
//! - `from: address`, `mail: KEYWORD=value`, `rcpt: address`, `param: KEYWORD=value` of that recipient, `message: text`: what the
//!   next message is; `envid: text` and `submitter: text` are made into xtext; `subject: text`, `header: Name text`, `text: text`
//!   for a message that is built. What is not given is a message of one line, from `{sender}` to `{rcpt}`
//! - `send:` to send that message; `ask: noop`, `reset`, `verify text`, `expand text`, `help text`, `command VERB text`; `quit:`
//! - `cancel:` to leave what it does
//! - `result: pattern` what came of the call: see `expectation.rs`; with ` | ` in between, one of them
//! - `at-once:` the call took no time to speak of
//!
//! What the server does:
//!
//! - `S: text` it sends a line, `s: text` octets, `drip: text` octets one by one
//! - `C: pattern` the client's next line, see [`pattern`](crate::pattern); `c: text` octets that come next, just so
//! - `D: text` the message up to its end mark, without the dots that hide its own; `harmless:` nothing in it could be taken for an
//!   end by anybody; `longest: number` of octets in a line of it
//! - `to: place KEYWORDS` whatever leads there in the usual way, with these extensions, written as `SIZE=1000`: `hello`, up to
//!   the reply to EHLO; `ready`, when the client is content with it; `tls`, up to the reply to EHLO inside of TLS
//! - `tls: up` the handshake succeeds, `tls: fails`, each perhaps with the name of a certificate; `sni: name`, or `sni: none`
//! - `decoded: pattern` the last word of the last line, without its base64; `take: name x=` what stands in that behind `x=`
//! - `auth: user password` it authenticates the client, with our own server's side of the mechanism
//! - `goodbye:` the client says QUIT, and the server answers
//! - `close:` it closes; `close: tcp` without saying so inside of TLS
//! - `accept:` the client connects again, and is served there from then on; `accept: none`
//! - `wait: milliseconds`

mod certificates;
mod composition;
mod driver;
mod expectation;
mod faults;
mod memory;
mod peer;
mod session;
mod setting;
mod socket;
mod wire;

use crate::case::{self, Case};
pub use composition::Composition;
pub use driver::{Played, play};
pub use expectation::{Ending, Report};
pub use faults::{FAULTS, Fault, Faulty};
pub use memory::Memory;
pub use setting::Setting;
pub use socket::Own;
pub use wire::{Call, Target, Wire};

/// The groups, in the order of their rows: the file's name and its text.
const GROUPS: &[(&str, &str)] = &[
    (
        "injection",
        include_str!("../../cases/client/injection.case"),
    ),
    ("message", include_str!("../../cases/client/message.case")),
    ("replies", include_str!("../../cases/client/replies.case")),
    ("session", include_str!("../../cases/client/session.case")),
    (
        "recipients",
        include_str!("../../cases/client/recipients.case"),
    ),
    ("tls", include_str!("../../cases/client/tls.case")),
    (
        "certificates",
        include_str!("../../cases/client/certificates.case"),
    ),
    ("sasl", include_str!("../../cases/client/sasl.case")),
    (
        "extensions",
        include_str!("../../cases/client/extensions.case"),
    ),
    (
        "connection",
        include_str!("../../cases/client/connection.case"),
    ),
];

/// The names of the groups.
pub fn groups() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().map(|group| group.0)
}

/// Every case. The error says which line of which file cannot be read.
pub fn cases() -> Result<Vec<Case>, String> {
    case::read_all(GROUPS)
}
