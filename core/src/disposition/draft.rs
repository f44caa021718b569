//! A message on its way into a file: nobody sees it before it is whole and on the disk, and nothing is left of it otherwise.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use memchr::memchr_iter;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::fault::{answers, failed, not_done};
use super::{leftovers, names};
use crate::error::Error;
use crate::message::Start;
use crate::proto::{BodyType, Envelope};
use crate::server::{Answers, Body, LOCAL_ERROR};

/// So much of a message, in octets or in pieces, is gathered before it is written. A message that is smaller, and does not keep us
/// waiting, goes to the other thread once, when it is whole.
const BATCH: usize = 64 * 1024;
const PIECES: usize = 64;

/// After so long without more of the message, what waits is written: a client that stalls holds no memory.
const STALLED: Duration = Duration::from_secs(1);

/// So often a name is looked for that nobody has. That even the first is taken is next to impossible.
const NAMES: usize = 8;

/// What tells apart one kind of place from another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// What it is called where something is wrong with it.
    pub(super) kind: &'static str,
    /// What stands before and behind the name of a draft.
    pub(super) draft: (&'static str, &'static str),
    /// What stands behind the name of a message.
    pub(super) suffix: &'static str,
    /// Whether lines end with LF alone.
    pub(super) bare_lf: bool,
}

/// Where drafts stand, and where whole messages do: on one file system.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) form: Form,
    pub(super) drafts: PathBuf,
    messages: PathBuf,
    /// Whether the recipients of the envelope stand in front.
    pub(super) delivered_to: bool,
    host: String,
}

/// A message of which not everything is written. Dropping it removes its file.
struct Draft {
    place: Arc<Place>,
    /// What waits to be written, and how many octets that are.
    pieces: Vec<Bytes>,
    octets: usize,
    bare_lf: bool,
    /// What is known of how the message begins behind our fields, until that is enough.
    start: Option<Start>,
    file: Option<DraftFile>,
}

/// Its file, once there is one.
struct DraftFile {
    file: File,
    path: PathBuf,
    name: String,
}

/// Writes a message into a file of `place`, and answers once the disk has it.
pub(super) async fn deliver(
    place: &Arc<Place>,
    envelope: &Envelope,
    body: &mut Body<'_>,
) -> Answers {
    let mut draft = Draft::new(Arc::clone(place), envelope);
    let mut stalled = false;
    loop {
        let waits = !draft.pieces.is_empty();
        // Who holds memory while waiting for memory would wait for others who do the same.
        if draft.is_full() || (waits && (stalled || !body.has_memory())) {
            draft = match aside(move || draft.write()).await {
                Ok(draft) => draft,
                Err(fault) => return answers(fault),
            };
        }
        let chunk = if draft.pieces.is_empty() {
            body.chunk().await
        } else if let Ok(chunk) = timeout(STALLED, body.chunk()).await {
            chunk
        } else {
            stalled = true;
            continue;
        };
        stalled = false;
        match chunk {
            Ok(Some(octets)) => draft.push(octets),
            Ok(None) => break,
            Err(_) => {
                if draft.file.is_some() {
                    let _ = aside(move || {
                        drop(draft);
                        Ok(())
                    })
                    .await;
                }
                // Why is said to the client by the server itself.
                return LOCAL_ERROR.into();
            }
        }
    }
    match aside(move || draft.finish()).await {
        Ok(()) => Answers::accept(),
        Err(fault) => answers(fault),
    }
}

/// What final delivery writes in front of a message: RFC 5321 section 4.4, RFC 9228.
fn head(place: &Place, envelope: &Envelope) -> String {
    let mut head = format!("Return-Path: <{}>\r\n", envelope.reverse_path());
    if place.delivered_to {
        for recipient in envelope.recipients() {
            let path = recipient.path();
            let ascii = path.to_ascii();
            // Writing to a string cannot fail. An address was parsed: no line end is in it.
            let _ = write!(head, "Delivered-To: {}\r\n", ascii.as_ref().unwrap_or(path));
        }
    }
    head
}

/// Does what may wait for the disk where no session waits for it.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(not_done)?
}

impl Draft {
    fn new(place: Arc<Place>, envelope: &Envelope) -> Self {
        let head = head(&place, envelope);
        let is_binary = envelope.parameters().body == Some(BodyType::BinaryMime);
        Self {
            bare_lf: place.form.bare_lf && !is_binary,
            place,
            octets: head.len(),
            pieces: vec![head.into()],
            start: Some(Start::default()),
            file: None,
        }
    }

    fn push(&mut self, octets: Bytes) {
        let Some(mut start) = self.start.take() else {
            self.add(octets);
            return;
        };
        match start.take(octets) {
            Some((b"", octets)) => self.add(octets),
            Some((in_front, octets)) => {
                self.add(Bytes::from_static(in_front));
                self.add(octets);
            }
            None => self.start = Some(start),
        }
    }

    fn add(&mut self, octets: Bytes) {
        self.octets += octets.len();
        self.pieces.push(octets);
    }

    fn is_full(&self) -> bool {
        self.octets >= BATCH || self.pieces.len() >= PIECES
    }

    /// Writes what waits. Where that fails nothing is left.
    fn write(mut self) -> Result<Self, Error> {
        self.write_out()?;
        Ok(self)
    }

    fn write_out(&mut self) -> Result<(), Error> {
        let mut octets = Vec::with_capacity(self.octets);
        for piece in self.pieces.drain(..) {
            if self.bare_lf {
                without_cr(&piece, &mut octets);
            } else {
                octets.extend_from_slice(&piece);
            }
        }
        self.octets = 0;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(self.place.open()?),
        };
        let written = file.file.write_all(&octets);
        written.map_err(|error| self.place.failed("write", &file.path, error))
    }

    /// Writes the rest and makes a message of it, which is on the disk when this returns.
    fn finish(mut self) -> Result<(), Error> {
        if let Some(start) = self.start.take() {
            self.add(start.finish());
        }
        self.write_out()?;
        // Before anybody sees the message: where no descriptor is left, it is not to be seen and taken back.
        let place = &self.place;
        let messages = File::open(&place.messages)
            .map_err(|error| place.failed("open", &place.messages, error))?;
        let Some(draft) = self.file.take() else {
            let error = io::ErrorKind::NotFound.into();
            return Err(place.failed("find a file in", &place.drafts, error));
        };
        let undo = Removal(&draft.path);
        let synced = draft.file.sync_all();
        synced.map_err(|error| place.failed("sync", &draft.path, error))?;
        let message = place.name_message(&draft)?;
        std::mem::forget(undo);
        messages.sync_all().map_err(|error| {
            remove(&message);
            place.failed("sync", &place.messages, error)
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(draft) = &self.file {
            remove(&draft.path);
        }
    }
}

/// Removes a file when dropped.
struct Removal<'a>(&'a Path);

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        remove(self.0);
    }
}

/// Where it cannot be removed there is nothing more to be done: what the client is told does not hang on it.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

impl Place {
    /// The place with these folders, which are there. What a crash has left among the drafts is removed.
    pub(super) fn new(form: Form, drafts: PathBuf, messages: PathBuf) -> Self {
        let place = Self {
            form,
            drafts,
            messages,
            delivered_to: false,
            host: names::host(),
        };
        leftovers::remove(&place);
        place
    }

    /// A new draft, which is nobody else's.
    fn open(&self) -> Result<DraftFile, Error> {
        let (before, behind) = self.form.draft;
        let opened = self.with_new_name(names::unique(&self.host), |name| {
            let path = self.drafts.join(format!("{before}{name}{behind}"));
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            let name = name.to_owned();
            Ok(DraftFile { file, path, name })
        });
        opened.map_err(|error| self.failed("make a file in", &self.drafts, error))
    }

    /// Makes a message of a draft, and gives its path.
    fn name_message(&self, draft: &DraftFile) -> Result<PathBuf, Error> {
        let named = self.with_new_name(draft.name.clone(), |name| {
            let path = self.messages.join(format!("{name}{}", self.form.suffix));
            rename_to_new(&draft.path, &path)?;
            Ok(path)
        });
        named.map_err(|error| self.failed("move a message into", &self.messages, error))
    }

    fn failed(&self, attempt: &str, path: &Path, error: io::Error) -> Error {
        failed(self.form.kind, attempt, path, error)
    }

    /// Tries again with another name where one is taken.
    fn with_new_name<T>(
        &self,
        mut name: String,
        attempt: impl Fn(&str) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut left = NAMES;
        loop {
            left -= 1;
            match attempt(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && left > 0 => {}
                result => return result,
            }
            name = names::unique(&self.host);
        }
    }
}

/// Renames a file to a name that no other has: `rename` alone would replace the other.
fn rename_to_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_to_new(from, to),
        result => Ok(result?),
    }
}

fn link_to_new(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    // Everybody sees it now. A draft that stays is no message; an error would have the client send the message again.
    remove(from);
    Ok(())
}

/// Appends `octets` without their CRs. In a message that is not binary, each belongs to a CRLF.
fn without_cr(octets: &[u8], to: &mut Vec<u8>) {
    let mut start = 0;
    for place in memchr_iter(b'\r', octets) {
        to.extend_from_slice(&octets[start..place]);
        start = place + 1;
    }
    to.extend_from_slice(&octets[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path) -> Place {
        let form = Form {
            kind: "folder",
            draft: (".", ".part"),
            suffix: ".eml",
            bare_lf: false,
        };
        Place::new(form, folder.to_owned(), folder.to_owned())
    }

    #[test]
    fn a_name_that_is_taken_is_left_alone_and_another_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        let draft = place.open().unwrap();
        let taken = folder.path().join(format!("{}.eml", draft.name));
        fs::write(&taken, "another's").unwrap();
        let message = place.name_message(&draft).unwrap();
        assert_ne!(message, taken);
        assert_eq!(fs::read_to_string(&taken).unwrap(), "another's");
        assert!(message.exists() && !draft.path.exists());
    }

    #[test]
    fn nothing_is_ever_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        for rename in [rename_to_new, link_to_new] {
            let error = rename(&from, &to).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&to).unwrap(), "old");
            let free = folder.path().join("free");
            rename(&from, &free).unwrap();
            assert!(!from.exists());
            fs::rename(free, &from).unwrap();
        }
    }

    #[test]
    fn crs_go_wherever_they_are_cut() {
        let text = b"a\r\nbc\r\n\r\n";
        for cut in 0..=text.len() {
            let mut lines = Vec::new();
            without_cr(&text[..cut], &mut lines);
            without_cr(&text[cut..], &mut lines);
            assert_eq!(lines, b"a\nbc\n\n");
        }
    }
}
