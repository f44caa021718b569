//! What both programs share with mailwire's own: their arguments, the message, the report.

pub use contract::{Arguments, cpu_seconds, message, report, shares};

#[path = "../../../src/contract.rs"]
mod contract;
