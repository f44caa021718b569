//! What these programs share with mailwire's own: their arguments, the message, what a listener counts, the report.

pub use contract::{Arguments, cpu_seconds, message, report, shares};
pub use tally::{Tally, Times, ended, listening};

#[path = "../../../src/contract.rs"]
mod contract;
#[path = "../../../src/tally.rs"]
mod tally;
