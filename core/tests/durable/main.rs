//! 250 means that the message is on the disk. Shown by what a listener in a process of its own does with the system (`trace`), by
//! faults in each of these calls (`faults`), and by killing it at any moment (`crash`).

#![cfg(feature = "io")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may panic, and tells figures"
)]

mod crash;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod faults;
mod listener;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod trace;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod tracer;
