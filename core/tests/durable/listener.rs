//! The listener that is watched and killed: this program again, as a process of its own.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use mailwire::disposition::{Deliver, Destination};
use mailwire::server::{Options, Server};

/// Set for the process that listens: what becomes of its messages.
const DISPOSITION: &str = "MAILWIRE_TEST_DISPOSITION";

/// In front of its address, on its standard output.
const LISTENS: &str = "listens at ";

/// In front of what it tells of a fault, there too.
const FAULT: &str = "fault: ";

/// A ready-made end for messages that keeps them in files, and where below its folder they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Maildir,
    Folder,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Maildir, Self::Folder];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Maildir => "maildir",
            Self::Folder => "folder",
        }
    }

    /// The text by which it is opened.
    pub(crate) fn at(self, folder: &Path) -> String {
        format!("{}:{}", self.name(), folder.display())
    }

    /// Where drafts are, and where messages are.
    pub(crate) fn places(self) -> [&'static str; 2] {
        match self {
            Self::Maildir => ["/tmp", "/new"],
            Self::Folder => ["", ""],
        }
    }

    fn is_message(self, name: &str) -> bool {
        self == Self::Maildir
            || name
                .strip_suffix(".eml")
                .is_some_and(|name| !name.starts_with('.'))
    }

    fn is_draft(self, name: &str) -> bool {
        self == Self::Maildir
            || name
                .strip_suffix(".part")
                .is_some_and(|name| name.starts_with('.'))
    }

    /// The messages that a reader would see, by the path of their file, without what delivery has put in front.
    pub(crate) fn delivered(self, folder: &Path) -> HashMap<PathBuf, String> {
        let files = self.files(folder, self.places()[1], Self::is_message);
        let read = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).unwrap();
            let line_end = match self {
                Self::Maildir => "\n",
                Self::Folder => "\r\n",
            };
            let (front, text) = text.split_once(line_end).expect("a message is empty");
            assert_eq!(front, "Return-Path: <a@b.example>");
            let text = match self {
                Self::Maildir => text.replace('\n', "\r\n"),
                Self::Folder => text.to_owned(),
            };
            (path, text)
        };
        files.into_iter().map(read).collect()
    }

    /// The files of what is no message yet.
    pub(crate) fn drafts(self, folder: &Path) -> Vec<PathBuf> {
        self.files(folder, self.places()[0], Self::is_draft)
    }

    /// The files there of which that is true. There are no others than messages and drafts.
    fn files(self, folder: &Path, place: &str, is_one: fn(Self, &str) -> bool) -> Vec<PathBuf> {
        let files = std::fs::read_dir(format!("{}{place}", folder.display())).unwrap();
        let files = files.map(|file| file.unwrap()).filter(|file| {
            let name = file.file_name().into_string().unwrap();
            assert!(self.is_message(&name) || self.is_draft(&name), "{name}");
            is_one(self, &name)
        });
        files.map(|file| file.path()).collect()
    }
}

/// A process that listens until it is killed, or dropped.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Listener {
    /// Starts it, behind a program that watches where one is given.
    pub(crate) fn start(disposition: &str, watched_by: &[PathBuf]) -> Self {
        let mut words = watched_by.to_vec();
        words.push(env::current_exe().unwrap());
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .args(["--exact", "listener::listens", "--nocapture"])
            .env(DISPOSITION, disposition)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = output
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once(LISTENS)?.1.parse().unwrap()));
        Self {
            address: address.expect("the listener has not begun"),
            child,
            output,
        }
    }

    /// Ends it as SIGKILL does, in the middle of whatever it does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets it come to its end, as it does when nobody holds its standard input. Gives what it has told of faults.
    pub(crate) fn end(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let lines = self.output.by_ref().lines().map_while(Result::ok);
        let faults = lines.filter_map(|line| Some(line.split_once(FAULT)?.1.to_owned()));
        let faults = faults.collect();
        self.child.wait().unwrap();
        faults
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What the other process does; nothing in this one.
#[test]
fn listens() {
    let Ok(disposition) = env::var(DISPOSITION) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut options = Options::new();
    options.set_hostname("mx.example.org").unwrap();
    options.set_grace(Duration::ZERO);
    runtime.block_on(async {
        let server = Server::bind(options).unwrap();
        println!("{LISTENS}{}", server.addresses()[0]);
        std::io::stdout().flush().unwrap();
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = ended.send(());
        });
        let destination = Destination::open(&disposition).unwrap();
        let handler = Deliver::with_on_fault(destination, |_, fault| println!("{FAULT}{fault}"));
        let end = async { end.await.unwrap_or_default() };
        server.serve_until(handler, end).await.unwrap();
    });
}

/// A client of it.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    /// `None` if nobody is there any more.
    pub(crate) fn begin(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).ok()?;
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).ok()?;
        stream.set_write_timeout(patience).ok()?;
        let mut talk = Self(BufReader::new(stream));
        talk.reply()?;
        talk.ask("HELO client.example")?;
        Some(talk)
    }

    /// Sends a message, and gives the reply to its end.
    pub(crate) fn message(&mut self, text: &str) -> Option<String> {
        self.ask("MAIL FROM:<a@b.example>")?;
        self.ask("RCPT TO:<c@d.example>")?;
        self.ask("DATA")?;
        self.0.get_mut().write_all(text.as_bytes()).ok()?;
        self.ask(".")
    }

    fn ask(&mut self, command: &str) -> Option<String> {
        let line = format!("{command}\r\n");
        self.0.get_mut().write_all(line.as_bytes()).ok()?;
        self.reply()
    }

    fn reply(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(octets) if octets > 0 && line.ends_with('\n') => Some(line),
            _ => None,
        }
    }
}

/// The text of a message that says who it is, from its first line to its last, with lines of filling between.
pub(crate) fn text(name: &str, filling: usize) -> String {
    let line = format!("{name} is whole up to here\r\n");
    format!(
        "Subject: {name}\r\n\r\n{}end of {name}\r\n",
        line.repeat(filling)
    )
}
