//! Messages as files in a folder.

use std::path::Path;
use std::sync::Arc;

use super::draft::{Place, deliver};
use super::{Disposition, folders, leftovers, names};
use crate::error::Error;
use crate::proto::Envelope;
use crate::server::{Answers, Body, SessionInfo};

/// Writes each message into a folder as a file of its own, whose name ends with `.eml`, and answers 250 once it is on the disk.
///
/// While a message arrives it is a hidden file, `.name.part`; it is synced to the disk and gets its name once it is whole, and then
/// the folder is synced. So a file that ends with `.eml` is a whole message; what a crash leaves is a `.part`, and removed when the
/// folder is opened 36 hours later. Line ends are CRLF. All else is as [`Maildir`](super::Maildir) has it: the names, `Return-Path:`, the mode 0600, the replies to faults, and that
/// the recipients of the envelope stand nowhere.
#[derive(Debug, Clone)]
pub struct Folder(Arc<Place>);

impl Folder {
    /// The folder at `path`. It is made, with those above it, where it is not there. Fails where it cannot be.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = folders::make("folder", path.as_ref())?;
        let place = Place {
            drafts: path.clone(),
            messages: path,
            draft_form: (".", ".part"),
            suffix: ".eml",
            bare_lf: false,
            host: names::host(),
        };
        leftovers::remove(&place);
        Ok(Self(Arc::new(place)))
    }
}

impl Disposition for Folder {
    async fn take(&self, _: &SessionInfo, envelope: &Envelope, body: &mut Body<'_>) -> Answers {
        deliver(&self.0, envelope, body).await
    }
}
