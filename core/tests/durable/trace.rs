//! For each message: write, fsync of the file, rename, fsync of the folder that was opened before, and only then the 250.

use std::thread;

use crate::listener::{Talk, text};
use crate::tracer::{Call, Watched};

#[test]
fn s136_the_250_is_sent_when_file_name_and_folder_are_on_the_disk() {
    for (kind, folder) in [("maildir", "/new"), ("folder", "")] {
        let watched = Watched::start(kind, "none");
        let mut talk = Talk::begin(watched.listener.address).unwrap();
        let sizes = [0, 1, 100, 20_000];
        for filling in sizes {
            let reply = talk.message(&text("message", filling)).unwrap();
            assert!(reply.starts_with("250 "), "{reply}");
        }
        drop(talk);
        let calls = watched.calls();
        let mut messages = 0;
        let mut rest = calls.as_slice();
        while let Some(data) = rest.iter().position(|call| is_sent(call, "354 ")) {
            rest = &rest[data + 1..];
            let end = rest.iter().position(|call| call.name == "send").unwrap();
            assert!(is_sent(&rest[end], "250 "), "{calls:#?}");
            assert_in_order(&rest[..end], folder);
            messages += 1;
        }
        assert_eq!(messages, sizes.len(), "{calls:#?}");
    }
}

#[test]
fn of_many_at_once_no_250_comes_before_its_message_is_on_the_disk() {
    let watched = Watched::start("maildir", "none");
    let address = watched.listener.address;
    thread::scope(|scope| {
        for number in 0..20 {
            scope.spawn(move || {
                let mut talk = Talk::begin(address).unwrap();
                for message in 0..5 {
                    let text = text(&format!("{number}-{message}"), message * 500);
                    assert!(talk.message(&text).unwrap().starts_with("250 "));
                }
            });
        }
    });
    let calls = watched.calls();
    // The reply to the end of a message is the one send that follows no command of an envelope: 250 2.0.0.
    let (mut synced, mut renamed, mut lasting, mut said) = (0, 0, 0, 0);
    for call in &calls {
        match call.name.as_str() {
            "fsync" if call.about.starts_with("/tmp/") => synced += 1,
            "fsync" if call.about == "/new" => lasting += 1,
            "rename" => renamed += 1,
            "send" if call.about.starts_with("250 2.0.0") => said += 1,
            _ => {}
        }
        assert!(said <= lasting && lasting <= renamed && renamed <= synced);
        assert!(call.returned >= 0, "{call:?}");
    }
    assert_eq!((synced, renamed, lasting, said), (100, 100, 100, 100));
}

/// What was done for one message.
fn assert_in_order(calls: &[Call], folder: &str) {
    // The folder is opened first: where no descriptor is left for it, nobody is to see the message and lose it again.
    let Some(open) = calls.iter().position(|call| call.name == "open") else {
        panic!("{calls:#?}")
    };
    let mut others = calls.to_vec();
    assert_eq!(others.remove(open).about, folder);
    let rename = others.iter().position(|call| call.name == "rename");
    assert!(rename.is_some_and(|rename| open <= rename), "{calls:#?}");
    let [create, writes @ .., sync, rename, sync_folder] = others.as_slice() else {
        panic!("{calls:#?}")
    };
    assert_eq!(create.name, "create", "{calls:#?}");
    let draft = &create.about;
    assert!(!writes.is_empty());
    for write in writes {
        assert_eq!((write.name.as_str(), &write.about), ("write", draft));
    }
    assert_eq!((sync.name.as_str(), &sync.about), ("fsync", draft));
    let (from, to) = rename.about.split_once(' ').unwrap();
    assert_eq!((rename.name.as_str(), from), ("rename", draft.as_str()));
    assert_eq!(to.rsplit_once('/').unwrap().0, folder);
    assert_eq!(sync_folder.name, "fsync");
    assert_eq!(sync_folder.about, folder);
    assert!(calls.iter().all(|call| call.returned >= 0), "{calls:#?}");
}

fn is_sent(call: &Call, start: &str) -> bool {
    call.name == "send" && call.about.starts_with(start)
}
