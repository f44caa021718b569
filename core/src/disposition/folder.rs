//! Messages as files in a folder.

use std::path::Path;
use std::sync::Arc;

use super::draft::{Form, Place, deliver};
use super::{Disposition, folders};
use crate::error::Error;
use crate::proto::Envelope;
use crate::server::{Answers, Body, SessionInfo};

const FORM: Form = Form {
    kind: "folder",
    draft: (".", ".part"),
    suffix: ".eml",
    bare_lf: false,
};

/// Writes each message into a folder as a file of its own, whose name ends with `.eml`, and answers 250 once it is on the disk.
///
/// While a message arrives it is a hidden file, `.name.part`; it is synced to the disk and gets its name once it is whole, and then
/// the folder is synced. So a file that ends with `.eml` is a whole message; what a crash leaves is a `.part`, which is removed when the
/// folder is opened 36 hours later or after that: no more than 100,000 names of the folder are looked at, those of messages too. Line ends are CRLF. All else is as [`Maildir`](super::Maildir) has it: the names,
/// `Return-Path:`, the mode 0600, the replies to faults, and that the recipients of the envelope stand nowhere unless
/// [`set_delivered_to`](Self::set_delivered_to) has them written down.
#[derive(Debug, Clone)]
pub struct Folder(Arc<Place>);

impl Folder {
    /// The folder at `path`. It is made, with those above it, where it is not there. Fails where it cannot be.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = folders::make(FORM.kind, path.as_ref())?;
        Ok(Self(Arc::new(Place::new(FORM, path.clone(), path))))
    }

    /// Whether the recipients of the envelope stand in the file, which by default they do not:
    /// [`Maildir::set_delivered_to`](super::Maildir::set_delivered_to) says how, and where to set it.
    pub fn set_delivered_to(&mut self, on: bool) {
        Arc::make_mut(&mut self.0).delivered_to = on;
    }
}

impl Disposition for Folder {
    async fn take(&self, _: &SessionInfo, envelope: &Envelope, body: &mut Body<'_>) -> Answers {
        deliver(&self.0, envelope, body).await
    }
}
