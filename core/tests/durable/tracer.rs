//! `trace.c`, built once, and what it has written down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::listener::{Kind, Listener};

/// A call of the listener's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// What it returned; the descriptor of one that sends or has received.
    pub(crate) returned: i64,
    pub(crate) thread: u32,
    /// The path that it was about, below the folder; the first octets of one that sends or has received.
    pub(crate) about: String,
}

/// A listener that is watched, and the folder that it delivers into.
pub(crate) struct Watched {
    base: TempDir,
    kind: Kind,
    pub(crate) listener: Listener,
}

impl Watched {
    /// One with a fault, or `none`.
    pub(crate) fn start(kind: Kind, fault: &str) -> Self {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("mail");
        let disposition = kind.at(&folder);
        // What is there already is not synced: every call that is seen is about a message.
        drop(mailwire::disposition::Destination::open(&disposition).unwrap());
        let words = [
            program().to_owned(),
            base.path().join("log"),
            folder,
            fault.into(),
        ];
        let listener = Listener::start(&disposition, &words);
        Self {
            base,
            kind,
            listener,
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.base.path().join("mail")
    }

    /// The messages that a reader would see.
    pub(crate) fn delivered(&self) -> Vec<String> {
        self.kind.delivered(&self.folder()).into_values().collect()
    }

    /// How many drafts there are.
    pub(crate) fn drafts(&self) -> usize {
        self.kind.drafts(&self.folder()).len()
    }

    /// Ends it, and gives what it has done.
    pub(crate) fn calls(self) -> Vec<Call> {
        self.end().0
    }

    /// The same, and what it has told of faults.
    pub(crate) fn end(self) -> (Vec<Call>, Vec<String>) {
        let faults = self.listener.end();
        let log = fs::read_to_string(self.base.path().join("log")).unwrap();
        let folder = self.base.path().join("mail").display().to_string();
        let read = |line: &str| {
            let (name, rest) = line.split_once(' ')?;
            let (returned, rest) = rest.split_once(' ')?;
            let (thread, about) = rest.split_once(' ')?;
            Some(Call {
                name: name.to_owned(),
                returned: returned.parse().ok()?,
                thread: thread.parse().ok()?,
                about: about.replace(&folder, ""),
            })
        };
        let calls = log.lines().map(|line| read(line).expect(line)).collect();
        (calls, faults)
    }
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trace-calls");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/durable/trace.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let made = Command::new(compiler)
            .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-o"])
            .args([&program, &source])
            .status();
        assert!(made.unwrap().success(), "trace.c cannot be built");
        program
    })
}
