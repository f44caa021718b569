//! The async server: SMTP and LMTP on the caller's tokio runtime.
//!
//! [`Server::bind`] opens the sockets, [`Server::serve_until`] serves. A [`Handler`] makes a [`Session`] for each connection, whose
//! hooks answer what the client says; a message arrives as a [`Body`], read from the socket only as fast as it is asked for.

mod alarm;
mod answers;
mod aside;
mod attempts;
mod auth;
mod body;
mod buffer;
mod channel;
mod guarded;
mod handler;
mod homes;
mod hooks;
mod info;
mod limits;
mod listen;
mod memory;
mod network;
mod options;
mod pending;
mod rate;
mod recycled;
mod relay;
mod serve;
mod session;
mod settings;
mod statistics;
mod tally;
#[cfg(test)]
pub(crate) mod tests;
mod trace;
mod users;

pub(crate) use alarm::poll_alarm;
pub use answers::Answers;
pub(crate) use answers::LOCAL_ERROR;
pub use auth::scram_keys;
pub use body::Body;
pub(crate) use handler::{AUTH_FAULT, BAD_CREDENTIALS, NODE_NOT_ALLOWED, NOT_IMPLEMENTED, UNKNOWN};
pub use handler::{Handler, Session};
pub use hooks::Hooks;
pub use info::SessionInfo;
pub(crate) use memory::{Held, NO_ROOM, PIECE, Room};
pub use network::{InvalidNetwork, Network};
pub use options::Options;
pub use serve::{Control, Server};
pub(crate) use serve::{Shared, serve};
pub use statistics::Statistics;

pub use crate::proto::server::{Answer, Extensions};
