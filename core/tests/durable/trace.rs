//! For each message: write, fsync of the file, rename, fsync of the folder that was opened before, and only then the 250.

use std::collections::HashMap;
use std::thread;

use crate::listener::{Kind, Talk, text};
use crate::tracer::{Call, Watched};

#[test]
fn s136_the_250_is_sent_when_file_name_and_folder_are_on_the_disk() {
    for kind in Kind::ALL {
        let [_, folder] = kind.places();
        let watched = Watched::start(kind, "none");
        let mut talk = Talk::begin(watched.listener.address).unwrap();
        let sizes = [0, 1, 100, 20_000];
        for filling in sizes {
            let reply = talk.message(&text("message", filling)).unwrap();
            assert!(reply.starts_with("250 "), "{reply}");
        }
        drop(talk);
        let mut calls = watched.calls();
        calls.retain(|call| call.name != "receive");
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
    for kind in Kind::ALL {
        let watched = Watched::start(kind, "none");
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
        let folder = watched.folder();
        let files = kind.delivered(&folder).into_iter().map(|(path, text)| {
            let path = path.display().to_string();
            let first = text.lines().next().unwrap().to_owned();
            (path.replace(&folder.display().to_string(), ""), first)
        });
        let files: HashMap<_, _> = files.collect();
        assert_eq!(files.len(), 100);
        assert_eq!(acknowledged(kind, &files, &watched.calls()), 100);
    }
}

/// Follows each message from its first line, which is received behind the 354, to the 250 on the same connection, and its file from the
/// fsync under the name of the draft over the rename to the fsync of the folder, all on one thread. When the 250 comes, its own file
/// has come all this way. `files` tells the first line of each file. Gives how many messages there were.
fn acknowledged(kind: Kind, files: &HashMap<String, String>, calls: &[Call]) -> usize {
    let [_, messages] = kind.places();
    // By connection, the message that it brings; by thread, the file that has its name and not yet the folder's word for it.
    let (mut brings, mut named) = (HashMap::new(), HashMap::new());
    let (mut synced, mut lasting) = (HashMap::new(), Vec::new());
    let mut said = 0;
    for call in calls {
        match call.name.as_str() {
            "fsync" if call.about == messages => lasting.extend(named.remove(&call.thread)),
            "fsync" => drop(synced.insert(call.about.as_str(), call.thread)),
            "rename" => {
                let (draft, file) = call.about.split_once(' ').unwrap();
                let by = synced.remove(draft);
                assert_eq!(by, Some(call.thread), "{file} was not synced");
                let first_line = files[file].as_str();
                assert_eq!(named.insert(call.thread, first_line), None);
            }
            "send" if call.about.starts_with("354 ") => {
                brings.insert(call.returned, None);
            }
            "receive" => {
                if let Some(none @ None) = brings.get_mut(&call.returned) {
                    *none = call.about.split("..").next();
                }
            }
            "send" if call.about.starts_with("250 2.0.0") => {
                let first_line = brings.remove(&call.returned).flatten().unwrap();
                assert!(
                    lasting.contains(&first_line),
                    "250 for {first_line:?}, which is not on the disk"
                );
                said += 1;
            }
            _ => {}
        }
        assert!(call.returned >= 0, "{call:?}");
    }
    said
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
