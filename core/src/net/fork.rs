//! Noticing that a `fork` has happened: what was made before it must not be used in the child.

use crate::error::{Error, Status};

/// Remembers which process made an object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForkGuard {
    process: u32,
}

impl ForkGuard {
    pub(crate) fn new() -> Self {
        Self {
            process: std::process::id(),
        }
    }

    /// Whether this is a child of the process that made the object. Its runtime and sockets must then be left alone:
    /// they are shared with the parent, and dropping them would take them out of its event loop.
    pub(crate) fn is_child(self) -> bool {
        std::process::id() != self.process
    }

    /// Fails in a child.
    pub(crate) fn check(self) -> Result<(), Error> {
        if self.is_child() {
            return Err(Error::new(
                Status::Forked,
                "this was made before a fork and cannot be used in the child: make a new one there",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
impl ForkGuard {
    /// As if another process had made the object.
    pub(crate) fn of_another_process() -> Self {
        Self { process: 0 }
    }
}
