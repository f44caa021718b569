//! SMTP without I/O: types, codecs and the machines of both sides. No socket, clock, randomness or thread is known here.
//!
//! The driver lends bytes to a machine and gets events that borrow them; it sends what the machine has to transmit and
//! owns the clock. Message bytes do not pass through a client machine: [`data`] turns them into slices to send.

mod address;
mod capability;
pub mod chunk;
pub mod client;
mod command;
pub mod data;
mod date_time;
mod envelope;
mod extension;
pub mod limits;
mod line;
mod mask;
mod params;
mod progress;
mod protocol;
mod reply;
pub mod server;
mod tls_info;
mod violation;
mod xclient;
mod xtext;

pub use address::{Domain, ForwardPath, InvalidAddress, Mailbox, Postmaster, ReversePath};
pub use capability::{Capabilities, FutureRelease, SessionLimits};
pub use command::{Command, CommandError, InitialResponse};
pub use date_time::{DateTime, InvalidDateTime};
pub use envelope::{Envelope, InvalidEnvelope, Recipient};
pub use extension::Extension;
pub use line::{Found, LineFinder};
pub use params::{
    BodyType, ByMode, DeliverBy, EnvelopeId, Hold, HoldFor, InvalidOriginalRecipient,
    InvalidParameter, MailParameters, Notify, OriginalRecipient, Parameter, Priority,
    RcptParameters, Ret, Submitter,
};
pub use progress::{Need, Progress};
pub use protocol::Protocol;
pub use reply::{EnhancedStatus, InvalidReply, Reply, ReplyGatherer};
pub use tls_info::{TlsInfo, TlsVersion};
pub use violation::Violation;
pub use xclient::{Attribute, ClientAttributes, ClientText, InvalidAttributes};
pub use xtext::{InvalidXtext, Xtext};
