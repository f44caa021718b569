//! Drafts that a crash has left.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::time::{Duration, SystemTime};

use super::draft::Place;
use super::names;

/// What was not touched for so long nobody is writing any more: the convention of Maildirs.
const ABANDONED: Duration = Duration::from_secs(36 * 60 * 60);

/// So many names of a folder are looked at, which takes less than a second: messages may stand beside the drafts.
const LOOKED_AT: usize = 100_000;

/// So many drafts are removed: more than a crash leaves by default, one for each connection.
const REMOVED: usize = 2000;

/// Removes the abandoned drafts of `place`: only files with names that this library makes. What cannot be looked at or removed stays,
/// since nothing hangs on it.
pub(super) fn remove(place: &Place) {
    let Ok(files) = fs::read_dir(&place.drafts) else {
        return;
    };
    let Some(before) = SystemTime::now().checked_sub(ABANDONED) else {
        return;
    };
    let abandoned = files.take(LOOKED_AT).flatten().filter(|file| {
        is_draft(place, &file.file_name())
            && file.metadata().is_ok_and(|data| is_older(&data, before))
    });
    for file in abandoned.take(REMOVED) {
        let _ = fs::remove_file(file.path());
    }
}

fn is_draft(place: &Place, name: &OsStr) -> bool {
    let (before, behind) = place.form.draft;
    let name = name.to_str().and_then(|name| name.strip_prefix(before));
    let name = name.and_then(|name| name.strip_suffix(behind));
    name.is_some_and(names::is_unique)
}

/// Whether it is a file that was neither written nor read since. File systems that keep no time of reading have an old one there.
fn is_older(data: &Metadata, before: SystemTime) -> bool {
    let is_old = |time: std::io::Result<SystemTime>| time.is_ok_and(|time| time < before);
    data.is_file() && is_old(data.modified()) && is_old(data.accessed())
}

#[cfg(test)]
mod tests {
    use std::fs::{File, FileTimes};
    use std::path::Path;

    use super::super::{Folder, Maildir};
    use super::*;

    /// A file that was not touched for so many hours.
    fn leave(folder: &Path, name: &str, hours: u64) {
        let file = File::create(folder.join(name)).unwrap();
        let then = SystemTime::now() - Duration::from_secs(hours * 60 * 60);
        let times = FileTimes::new().set_modified(then).set_accessed(then);
        file.set_times(times).unwrap();
    }

    fn left(folder: &Path) -> Vec<String> {
        let files = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn drafts_of_ours_that_are_older_than_36_hours_are_removed_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let (maildir, folder) = (base.path().join("maildir"), base.path().join("folder"));
        Maildir::create(&maildir).unwrap();
        Folder::create(&folder).unwrap();
        let [old, young] = [names::unique("h"), names::unique("h.example")];
        // What else stands there: messages, and the drafts of others.
        let mut others = vec![
            format!("{old}.eml"),
            format!(".{old}"),
            format!("{old}.part"),
            ".notes.part".to_owned(),
            "1.M2P3Q4.h".to_owned(),
        ];
        let drafts = maildir.join("tmp");
        for (folder, form) in [(&drafts, ["", ""]), (&folder, [".", ".part"])] {
            let [before, behind] = form;
            leave(folder, &format!("{before}{old}{behind}"), 37);
            leave(folder, &format!("{before}{young}{behind}"), 35);
        }
        for name in &others {
            leave(&folder, name, 100);
        }
        leave(&maildir.join("new"), &old, 100);
        leave(&drafts, "1.M2P3Q4.h", 100);
        fs::create_dir(folder.join(format!(".{}.part", names::unique("folder")))).unwrap();

        Maildir::create(&maildir).unwrap();
        Folder::create(&folder).unwrap();
        assert_eq!(left(&maildir.join("new")), [old.as_str()]);
        assert_eq!(left(&drafts), ["1.M2P3Q4.h", young.as_str()]);
        others.push(format!(".{young}.part"));
        let mut files = left(&folder);
        files.retain(|name| folder.join(name).is_file());
        others.sort();
        assert_eq!(files, others);
        assert_eq!(left(&folder).len(), others.len() + 1);
    }
}
