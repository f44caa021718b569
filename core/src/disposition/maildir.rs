//! Delivery into a Maildir.

use std::path::Path;
use std::sync::Arc;

use super::draft::{Form, Place, deliver};
use super::{Disposition, folders};
use crate::error::Error;
use crate::proto::Envelope;
use crate::server::{Answers, Body, SessionInfo};

const FORM: Form = Form {
    kind: "maildir",
    draft: ("", ""),
    suffix: "",
    bare_lf: true,
};

/// Delivers into a Maildir (qmail's `maildir(5)`), and answers 250 once the message is on the disk.
///
/// A message is written into `tmp` while it arrives, synced to the disk, renamed into `new`, and `new` is synced, in this order;
/// only then comes the 250. What does not come whole is removed; a crash may leave it in `tmp`. What was not touched there for 36 hours is
/// removed when the Maildir is opened, as readers of Maildirs do it too, but only files with names that this library makes, and of no more than
/// 100,000 names that stand there.
///
/// Files are for the owner alone (mode 0600), their names are made of the time, 128 bits that no other has, and the host, and no file is ever
/// written over. One message is one file, however many recipients it has; with LMTP all of them get the same answer.
///
/// In front stands `Return-Path:` with the reverse-path, as final delivery has it (RFC 5321 section 4.4). Lines end with LF, as
/// software for Maildirs expects, but for a message of BODY=BINARYMIME, which stays as it is. A message that begins with white space
/// would continue that field: an empty line goes in front of it. A first line that begins with `From` and white space, as mailbox files
/// have it, would end the header: `Mailbox-Line: ` goes in front of it.
///
/// The file does not tell the recipients of the envelope, which may be others than those of the header, as with a blind copy. Where
/// they matter, [`set_delivered_to`](Self::set_delivered_to) writes them down, or a [`Session`](crate::server::Session) of one's own,
/// which knows them, picks a Maildir by them.
///
/// A disk that is full or a quota that is used up is 452 4.3.1, any other fault of the file system 451 4.3.0, and nothing is left
/// of the message. What was attempted, on which path, and what the system said to it, is
/// [told to whoever runs the server](crate::disposition#when-a-message-cannot-be-taken). Files are written on tokio's threads for blocking work. Where the server gives up waiting at the end of its
/// grace, a message whose last step has begun may still be delivered, although nobody was told so.
#[derive(Debug, Clone)]
pub struct Maildir(Arc<Place>);

impl Maildir {
    /// The Maildir at `path`. It is made, with its folders `tmp`, `new` and `cur` and the folders above it, where it is not there.
    /// Fails where it cannot be.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = folders::make(FORM.kind, path.as_ref())?;
        let [drafts, messages, _] =
            ["tmp", "new", "cur"].map(|name| folders::make(FORM.kind, &path.join(name)));
        Ok(Self(Arc::new(Place::new(FORM, drafts?, messages?))))
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

impl Disposition for Maildir {
    async fn take(&self, _: &SessionInfo, envelope: &Envelope, body: &mut Body<'_>) -> Answers {
        deliver(&self.0, envelope, body).await
    }
}
