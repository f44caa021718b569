//! What becomes of messages: paths that are made.

use std::path::PathBuf;

use mailwire::Error;
use mailwire::disposition::{Destination, Folder, Maildir};

use super::row::{Row, refused, told};

pub(crate) fn rows() -> Vec<Row> {
    vec![
        refused(
            "disposition Destination::open",
            "text",
            "relay:smtp://h{}.example",
            "disposition",
            |text| told(Destination::open(text)),
        ),
        refused(
            "disposition Folder::create",
            "path",
            "fol{}der",
            "control character",
            |text| within(text, |path| Folder::create(path).map(drop)),
        ),
        refused(
            "disposition Maildir::create",
            "path",
            "mail{}dir",
            "control character",
            |text| within(text, |path| Maildir::create(path).map(drop)),
        ),
    ]
}

/// Makes something of that name in a folder of its own.
fn within(name: &str, make: fn(PathBuf) -> Result<(), Error>) -> Result<String, String> {
    let base = tempfile::tempdir().unwrap();
    told(make(base.path().join(name)))
}
