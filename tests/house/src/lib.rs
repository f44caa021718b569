//! Checks on the house itself: the arrows between its rooms, the licences of what it is built from, and tidiness.
//!
//! The rules are data at the top of [`arrows`], of [`tidy`] and in `deny.toml`; the tests beside this crate apply them to
//! the repository, and try each rule on a small offence first, so that a checker which sees nothing cannot pass.

pub mod arrows;
pub mod collect;
pub mod files;
pub mod licences;
pub mod resolve;
pub mod surface;
pub mod tidy;
