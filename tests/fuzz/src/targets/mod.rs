//! The targets, each in the file of its name or with its kin. Calls from C are in tests/c/test_calls.c. The PROXY protocol is not
//! read by mailwire yet; its target comes with it.

mod client;
mod data;
mod parsers;
mod replies;
mod sasl;
mod segments;
mod session;

use crate::Target;

/// The targets by name: each is a function of its module.
macro_rules! targets {
    ($($module:ident :: $function:ident as $name:literal,)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target { name: $name, run: $module::$function }),*];
    };
}

targets! {
    parsers::command as "command",
    parsers::address as "address",
    parsers::parameters as "parameters",
    parsers::xtext as "xtext",
    parsers::xclient as "xclient",
    session::session as "session",
    segments::segments as "segments",
    data::decoder as "data_decoder",
    data::chunks as "chunks",
    data::dot_stuffing as "dot_stuffing",
    replies::reply as "reply",
    replies::ehlo as "ehlo",
    client::client as "client",
    sasl::server as "sasl_server",
    sasl::client as "sasl_client",
    sasl::base64 as "base64",
}
