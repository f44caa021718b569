//! mailwire for C and C++: opaque handles over the blocking client and server. The doc comments of exported items become
//! `include/mailwire.h`, in the order of the modules below, so they speak to C programmers.
//!
//! Every function runs inside [`guard`], takes its handles through [`handle`], which notices misuse, and its other
//! arguments through [`argument`], which takes NULL. Nothing here knows SMTP.
#![allow(non_camel_case_types, reason = "these are C's names")]

pub mod status;
pub mod version;

pub mod error;
pub mod tls_reason;

pub mod cancel;
pub mod report;

pub mod message;

pub mod client_limits;
pub mod client_options;

pub mod client;
pub mod send;

pub mod scram_keys;
pub mod server_disposition;
pub mod server_limits;
pub mod server_options;

pub mod server;
pub mod statistics;

pub mod event;
pub mod event_session;

pub mod event_content;
pub mod event_credentials;

pub mod event_answer;
pub mod event_fault;
pub mod event_lookup;

mod argument;
mod call;
mod failure;
mod guard;
mod handle;
mod names;
mod text;

/// Where a time in milliseconds is asked for: no limit.
pub const MAILWIRE_NO_TIMEOUT: i64 = -1;
