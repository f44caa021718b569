//! What a client is told where a message could not be kept.

use std::io;

use rustix::io::Errno;

use crate::proto::Reply;
use crate::server::{LOCAL_ERROR, NO_ROOM};

/// The refusal for a fault of the file system: nothing about it is the client's business but whether there is room. Either way it
/// may try again.
pub(super) fn refusal(error: &io::Error) -> Reply {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => NO_ROOM,
        _ => LOCAL_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_and_nothing_else_is() {
        for (errno, code) in [
            (Errno::NOSPC, 452),
            (Errno::DQUOT, 452),
            (Errno::IO, 451),
            (Errno::ROFS, 451),
            (Errno::NOENT, 451),
        ] {
            assert_eq!(refusal(&errno.into()).code(), code, "{errno}");
        }
        assert_eq!(refusal(&io::ErrorKind::Other.into()), LOCAL_ERROR);
    }
}
