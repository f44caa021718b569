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
/// the folder is synced. So a file that ends with `.eml` is a whole message; what a crash leaves is a `.part`, which is removed when the
/// folder is opened 36 hours later or after that: no more than 100,000 names of the folder are looked at, those of messages too. Line ends are CRLF. All else is as [`Maildir`](super::Maildir) has it: the names,
/// `Return-Path:`, the mode 0600, the replies to faults, and that the recipients of the envelope stand nowhere unless
/// [`set_delivered_to`](Self::set_delivered_to) has them written down.
#[derive(Debug, Clone)]
pub struct Folder(Arc<Place>);

impl Folder {
    /// The folder at `path`. It is made, with those above it, where it is not there. Fails where it cannot be.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = folders::make("folder", path.as_ref())?;
        let place = Place {
            kind: "folder",
            drafts: path.clone(),
            messages: path,
            draft_form: (".", ".part"),
            suffix: ".eml",
            bare_lf: false,
            delivered_to: false,
            host: names::host(),
        };
        leftovers::remove(&place);
        Ok(Self(Arc::new(place)))
    }

    /// Whether a `Delivered-To:` field for each recipient of the envelope stands below `Return-Path:` (RFC 9228), so that the file tells who
    /// was to get the message, those of a blind copy too. By default it does not. One message is one file: whoever may read it learns of all
    /// its recipients. Set it where the files are for one reader, as for an archive, and not where several recipients read them. Domains are
    /// written in A-labels, but for a local part outside ASCII. A message may bring such fields of its own: only those above the first field of
    /// another name are ours.
    pub fn set_delivered_to(&mut self, on: bool) {
        Arc::make_mut(&mut self.0).delivered_to = on;
    }
}

impl Disposition for Folder {
    async fn take(&self, _: &SessionInfo, envelope: &Envelope, body: &mut Body<'_>) -> Answers {
        deliver(&self.0, envelope, body).await
    }
}
