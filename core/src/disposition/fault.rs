//! What is told where a message could not be kept: the client hears whether there is room, and whoever runs the server all that is
//! known.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use tokio::task::JoinError;

use crate::error::{Error, Status};
use crate::proto::Reply;
use crate::server::{Answers, LOCAL_ERROR, NO_ROOM};

/// What comes of a fault of the file system.
pub(super) fn answers(fault: Error) -> Answers {
    Answers::from(refusal(errno(&fault))).with_fault(fault)
}

/// The file system has failed at what was attempted. The error begins with `name`, what the path belongs to.
pub(super) fn failed(name: &str, attempt: &str, path: &Path, error: io::Error) -> Error {
    let errno = Errno::from_io_error(&error);
    let (passes, advice) = advice(errno);
    let path = path.display();
    let text = format!("{name}: cannot {attempt} {path}: {error}: {advice}");
    let fault = Error::new(Status::Io, text).with_source(error);
    if passes { fault } else { fault.lasting() }
}

/// The work was not done where sessions do not wait for it: it has panicked, or the runtime ends.
pub(super) fn not_done(error: JoinError) -> Error {
    let text = format!("the thread that was to write a message has not: {error}");
    Error::new(Status::Internal, text).with_source(error)
}

fn errno(fault: &Error) -> Option<Errno> {
    fault.os_errno().map(Errno::from_raw_os_error)
}

/// The refusal: nothing about the fault is the client's business but whether there is room. Either way it may try again.
fn refusal(errno: Option<Errno>) -> Reply {
    match errno {
        Some(Errno::NOSPC | Errno::DQUOT) => NO_ROOM,
        _ => LOCAL_ERROR,
    }
}

/// Whether a fault may pass by itself, and what to try.
fn advice(errno: Option<Errno>) -> (bool, &'static str) {
    match errno {
        Some(Errno::NOENT) => (
            false,
            "put the folder back, or start the server anew, which makes it",
        ),
        Some(Errno::NOTDIR) => (
            false,
            "move away what stands in the place of the folder, and start the server anew, which makes it",
        ),
        Some(Errno::ACCESS | Errno::PERM) => (
            false,
            "let the user that the server runs as read and write there",
        ),
        Some(Errno::ROFS) => (false, "mount the file system for writing"),
        Some(Errno::NOSPC) => (true, "make room on the disk"),
        Some(Errno::DQUOT) => (true, "make room, or raise the quota"),
        Some(Errno::MFILE | Errno::NFILE) => (true, "raise the limit of open files"),
        Some(Errno::IO) => (
            true,
            "see in the log of the system whether the disk is failing",
        ),
        _ => (true, "see whether the folder can be written to"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(errno: Errno) -> Error {
        failed("maildir", "write", Path::new("/a\u{1b}[2J"), errno.into())
    }

    #[test]
    fn a_full_disk_is_told_and_nothing_else_is() {
        for (errno, code) in [
            (Errno::NOSPC, 452),
            (Errno::DQUOT, 452),
            (Errno::IO, 451),
            (Errno::ROFS, 451),
            (Errno::NOENT, 451),
        ] {
            let answers = answers(fault(errno));
            let reply = answers.refusal_of_all().unwrap();
            assert_eq!(reply.code(), code, "{errno}");
            assert!([NO_ROOM, LOCAL_ERROR].contains(reply));
        }
        assert_eq!(refusal(None), LOCAL_ERROR);
    }

    #[test]
    fn whoever_runs_the_server_is_told_what_failed_where_and_why() {
        let fault = fault(Errno::NOENT);
        let text = fault.to_string();
        assert!(
            text.starts_with("maildir: cannot write /a\\u{1b}[2J: No such file"),
            "{text}"
        );
        assert_eq!(fault.os_errno(), Some(Errno::NOENT.raw_os_error()));
        assert!(!fault.is_transient() && self::fault(Errno::NOSPC).is_transient());
    }
}
