//! `trace.c`, built once, and what it has written down.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::listener::Listener;

/// A call of the listener's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) returned: i64,
    /// The path that it was about, below the folder; the octets of one that sends.
    pub(crate) about: String,
}

/// A listener that is watched, and the folder that it delivers into.
pub(crate) struct Watched {
    base: TempDir,
    pub(crate) listener: Listener,
}

impl Watched {
    /// One with a Maildir (`maildir`) or a folder (`folder`), and with a fault or `none`.
    pub(crate) fn start(kind: &str, fault: &str) -> Self {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("mail");
        let disposition = format!("{kind}:{}", folder.display());
        // What is there already is not synced: every call that is seen is about a message.
        drop(mailwire::disposition::Destination::open(&disposition).unwrap());
        let words = [
            program().to_owned(),
            base.path().join("log"),
            folder,
            fault.into(),
        ];
        let listener = Listener::start(&disposition, &words);
        Self { base, listener }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.base.path().join("mail")
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
            let (returned, about) = rest.split_once(' ')?;
            Some(Call {
                name: name.to_owned(),
                returned: returned.parse().ok()?,
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
