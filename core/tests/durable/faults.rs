//! Each call that a delivery makes, failing: the client is told 451 or 452, nothing is left of the message, and the next one is taken.

use crate::listener::{Kind, Talk, text};
use crate::tracer::Watched;

const NO_SPACE: i32 = 28;
const QUOTA: i32 = 122;
const IO: i32 = 5;
const INVALID: i32 = 22;

/// What stands in the path of a draft, and what is of the folder of messages alone.
fn parts(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Maildir => ["/tmp/", "/new"],
        Kind::Folder => [".part", "."],
    }
}

#[test]
fn a_fault_is_told_and_leaves_nothing() {
    for kind in Kind::ALL {
        let [draft, messages] = parts(kind);
        let [drafts_at, messages_at] = kind.places();
        for (errno, code) in [
            (IO, "451 4.3.0"),
            (NO_SPACE, "452 4.3.1"),
            (QUOTA, "452 4.3.1"),
        ] {
            for (call, part, told, at) in [
                ("create", draft, "make a file in", drafts_at),
                ("write", draft, "write", drafts_at),
                ("fsync", draft, "sync", drafts_at),
                ("open", messages, "open", messages_at),
                ("rename", draft, "move a message into", messages_at),
                ("fsync", messages, "sync", messages_at),
            ] {
                for filling in [1, 20_000] {
                    let told = format!("cannot {told} MAIL{at}");
                    fails(kind, (call, part, errno), filling, code, &told);
                }
            }
        }
    }
}

/// One message for which this call fails by this number: what its client is told, and what who runs the server is, where `MAIL` is the
/// folder.
fn fails(
    kind: Kind,
    (call, part, errno): (&str, &str, i32),
    filling: usize,
    code: &str,
    told: &str,
) {
    let fault = format!("{call}:{part}:{errno}");
    let watched = Watched::start(kind, &fault);
    let folder = watched.folder();
    let fault = format!("{}: {fault}", kind.name());
    let mut talk = Talk::begin(watched.listener.address).unwrap();
    let text = text("message", filling);
    let reply = talk.message(&text).unwrap();
    assert!(reply.starts_with(code), "{fault}: {reply}");
    assert!(watched.delivered().is_empty(), "{fault}");
    assert_eq!(watched.drafts(), 0, "{fault}");
    let reply = talk.message(&text).unwrap();
    assert!(reply.starts_with("250 "), "{fault}: {reply}");
    assert_eq!(watched.delivered(), [text]);
    assert_eq!(watched.drafts(), 0, "{fault}");
    drop(talk);
    let (calls, faults) = watched.end();
    let [one] = faults.as_slice() else {
        panic!("{fault}: {faults:?}");
    };
    let told = told.replace("MAIL", &folder.display().to_string());
    let place = format!("{}: {told}", kind.name());
    assert!(one.starts_with(&place), "{fault}: {one}");
    assert!(one.contains(&format!("(os error {errno}): ")), "{one}");
    let failed = calls.iter().filter(|call| call.returned < 0);
    let failed: Vec<_> = failed
        .map(|one| (one.name.as_str(), one.returned))
        .collect();
    assert_eq!(failed, [(call, i64::from(-errno))], "{fault}");
}

/// Where a file system cannot rename without replacing, the message gets its name by a link, and counts from then on.
#[test]
fn a_draft_that_stays_behind_its_message_is_no_fault() {
    for kind in Kind::ALL {
        let [draft, _] = parts(kind);
        let fault = format!("rename:{draft}:{INVALID},unlink:{draft}:{IO}");
        let watched = Watched::start(kind, &fault);
        let mut talk = Talk::begin(watched.listener.address).unwrap();
        let text = text("message", 1);
        assert!(talk.message(&text).unwrap().starts_with("250 "));
        assert_eq!(watched.delivered(), [text]);
        assert_eq!(watched.drafts(), 1);
        drop(talk);
        let calls = watched.calls();
        let failed = calls.iter().filter(|call| call.returned < 0);
        let failed: Vec<_> = failed.map(|call| call.name.as_str()).collect();
        assert_eq!(failed, ["rename", "unlink"]);
    }
}
