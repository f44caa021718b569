//! The server's side: cases by group, and what their steps mean.
//!
//! - `C: text` the client sends a line, `c: text` octets without an end of line; those in a row leave in one write
//! - `cut:` what is behind leaves in a write of its own
//! - `S: pattern` the next reply, see [`pattern`](crate::pattern)
//! - `to: words` whatever leads there in the usual way, one of `greeting`, `hello`, `helo`, `mail`, `rcpt`, `data`; `tls` and
//!   `auth` on the way. A foreign server that does not go there leaves the case inconclusive
//! - `whole: pattern` the same, and all of it comes in one piece
//! - `take: name x=` from the base64 of the last reply, what stands between `x=` and the next comma; `{name}` then stands for it
//! - `prove: first last` `{proof}` then stands for what SCRAM-SHA-256 has in `p=`: right for `{password}`, the first message without its
//!   flag, the last reply, and the last message without its proof, whatever they say
//! - `same: a b`, `differ: a b` the two names stand for the same or not; `least: name number`
//! - `auth: mechanism user password` the client authenticates so; `S:` then takes the last reply
//! - `tls: up` the client does its handshake, which succeeds; `tls: fails`; `tls: maybe`, which ends the conversation if it fails
//! - `clear: text` octets below TLS
//! - `finish:` the client sends no more; `finish: tls` and `finish: tcp` on that layer alone
//! - `cut-off:` the client is gone, and comes anew; `another:` another client comes while this one stays
//! - `wait: seconds`
//! - `D: text` the next message that the application has taken; `D: none` there is no other
//! - `seen: text` something that the application was told, or `seen-not: text`
//!
//! What only the application knows cannot be looked at on a foreign server: there `D:` and `seen:` leave a case inconclusive,
//! while `D?:` and `seen?:` are passed over.

mod application;
mod client;
mod driver;
mod faults;
mod foreign;
mod memory;
mod own;
mod proof;
mod setting;
mod socket;
mod tls;
mod wire;

use crate::case::{self, Case};
pub use driver::{Outcome, play};
pub use faults::{FAULTS, Fault, Faulty};
pub use foreign::{Foreign, Offer};
pub use memory::{Memory, Pieces};
pub use own::Own;
pub use setting::Setting;
pub use tls::TlsSetting;
pub use wire::{Finish, Journal, Note, Said, Target, Unable, Wire};

/// The groups, in the order of their rows: the file's name and its text.
const GROUPS: &[(&str, &str)] = &[
    ("lines", include_str!("../../cases/server/lines.case")),
    ("greeting", include_str!("../../cases/server/greeting.case")),
    ("hello", include_str!("../../cases/server/hello.case")),
    ("mail", include_str!("../../cases/server/mail.case")),
    ("rcpt", include_str!("../../cases/server/rcpt.case")),
    ("data", include_str!("../../cases/server/data.case")),
    ("session", include_str!("../../cases/server/session.case")),
    ("tls", include_str!("../../cases/server/tls.case")),
    ("auth", include_str!("../../cases/server/auth.case")),
    ("sasl", include_str!("../../cases/server/sasl.case")),
    ("size", include_str!("../../cases/server/size.case")),
    (
        "pipelining",
        include_str!("../../cases/server/pipelining.case"),
    ),
    ("bdat", include_str!("../../cases/server/bdat.case")),
    ("utf8", include_str!("../../cases/server/utf8.case")),
    ("dsn", include_str!("../../cases/server/dsn.case")),
    (
        "extensions",
        include_str!("../../cases/server/extensions.case"),
    ),
    ("enhanced", include_str!("../../cases/server/enhanced.case")),
    ("lmtp", include_str!("../../cases/server/lmtp.case")),
    (
        "submission",
        include_str!("../../cases/server/submission.case"),
    ),
    ("proxy", include_str!("../../cases/server/proxy.case")),
    ("limits", include_str!("../../cases/server/limits.case")),
];

/// The names of the groups.
pub fn groups() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().map(|group| group.0)
}

/// Every case. The error says which line of which file cannot be read.
pub fn cases() -> Result<Vec<Case>, String> {
    case::read_all(GROUPS)
}
