//! Each call that a delivery makes, failing: the client is told 451 or 452, nothing is left of the message, and the next one is taken.

use crate::listener::{Talk, delivered, text};
use crate::tracer::Watched;

const NO_SPACE: i32 = 28;
const QUOTA: i32 = 122;
const IO: i32 = 5;
const INVALID: i32 = 22;

#[test]
fn a_fault_is_told_and_leaves_nothing() {
    for (errno, code) in [
        (IO, "451 4.3.0"),
        (NO_SPACE, "452 4.3.1"),
        (QUOTA, "452 4.3.1"),
    ] {
        for (call, part, told) in [
            ("create", "/tmp/", "make a file in"),
            ("write", "/tmp/", "write"),
            ("fsync", "/tmp/", "sync"),
            ("open", "/new", "open"),
            ("rename", "/tmp/", "move a message into"),
            ("fsync", "/new", "sync"),
        ] {
            for filling in [1, 20_000] {
                let fault = format!("{call}:{part}:{errno}");
                let watched = Watched::start("maildir", &fault);
                let folder = watched.folder();
                let mut talk = Talk::begin(watched.listener.address).unwrap();
                let text = text("message", filling);
                let reply = talk.message(&text).unwrap();
                assert!(reply.starts_with(code), "{fault}: {reply}");
                assert!(delivered(&folder).is_empty(), "{fault}");
                let drafts = std::fs::read_dir(folder.join("tmp")).unwrap();
                assert_eq!(drafts.count(), 0, "{fault}");
                let reply = talk.message(&text).unwrap();
                assert!(reply.starts_with("250 "), "{fault}: {reply}");
                assert_eq!(delivered(&folder), [text]);
                drop(talk);
                let (calls, faults) = watched.end();
                let [one] = faults.as_slice() else {
                    panic!("{fault}: {faults:?}");
                };
                let place = format!("maildir: cannot {told} {}/", folder.display());
                assert!(one.starts_with(&place), "{fault}: {one}");
                assert!(one.contains(&format!("(os error {errno}): ")), "{one}");
                let failed = calls.iter().filter(|call| call.returned < 0);
                let failed: Vec<_> = failed
                    .map(|one| (one.name.as_str(), one.returned))
                    .collect();
                assert_eq!(failed, [(call, i64::from(-errno))], "{fault}");
            }
        }
    }
}

/// Where a file system cannot rename without replacing, the message gets its name by a link, and counts from then on.
#[test]
fn a_draft_that_stays_behind_its_message_is_no_fault() {
    let fault = format!("rename:/tmp/:{INVALID},unlink:/tmp/:{IO}");
    let watched = Watched::start("maildir", &fault);
    let folder = watched.folder();
    let mut talk = Talk::begin(watched.listener.address).unwrap();
    let text = text("message", 1);
    assert!(talk.message(&text).unwrap().starts_with("250 "));
    assert_eq!(delivered(&folder), [text]);
    assert_eq!(std::fs::read_dir(folder.join("tmp")).unwrap().count(), 1);
    drop(talk);
    let calls = watched.calls();
    let failed = calls.iter().filter(|call| call.returned < 0);
    let failed: Vec<_> = failed.map(|call| call.name.as_str()).collect();
    assert_eq!(failed, ["rename", "unlink"]);
}
