//! What a client is told where a message could not be kept.

use std::io;

use rustix::io::Errno;

use crate::proto::Reply;
use crate::server::LOCAL_ERROR;

/// No room for the message (RFC 5321 section 4.2.3, RFC 3463 section 3.4).
pub(super) const NO_ROOM: Reply = Reply::fixed(
    452,
    Some((4, 3, 1)),
    "Insufficient system storage, try again later",
);

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

    #[test]
    fn the_reply_of_ours_is_well_formed() {
        let again = Reply::new(NO_ROOM.code(), NO_ROOM.text().to_owned()).unwrap();
        let again = again.with_enhanced(NO_ROOM.enhanced().unwrap()).unwrap();
        assert_eq!(again, NO_ROOM);
    }
}
