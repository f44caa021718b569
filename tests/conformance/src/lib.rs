//! Conformance: the requirements of the RFCs as cases, each bearing the number of its row, and drivers that hold mailwire and any
//! other server to them.
//!
//! - [`requirements`]: the project's lists, and which rows are left out for what reason
//! - [`case`](mod@case), [`template`], [`reply`], [`pattern`]: the language that cases are written in, for either side of the wire
//! - [`verdict`], [`report`]: what became of a case, and the table of it
//! - [`runner`]: many cases at a time, for the tests
//! - [`server`]: the cases of a server's rows, their driver, and its transports
//! - [`client`]: the same for a client's rows

pub mod case;
pub mod client;
mod condition;
pub mod pattern;
pub mod reply;
pub mod report;
pub mod requirements;
pub mod runner;
pub mod server;
pub mod template;
pub mod verdict;
