//! A server behind a slow link, which answers all it has got only once nothing more comes: what it hears in one turn left without
//! waiting for it. It understands enough of SMTP to take messages either way, and refuses what a test tells it to.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

/// After this long without an octet the turn of the client is over, if it waits.
const QUIET: Duration = Duration::from_millis(60);

/// What a server heard on its one connection.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Turns of the client after its EHLO, QUIT not counted.
    pub(crate) turns: usize,
    /// The verbs of each turn.
    pub(crate) verbs: Vec<String>,
    /// The messages that were accepted, without stuffed dots.
    pub(crate) messages: Vec<Vec<u8>>,
    /// The size of the longest chunk.
    pub(crate) longest_chunk: usize,
}

/// What is refused: called with the verb (`.` is the end of data, `LAST` a last chunk), and how many MAIL commands came so far.
pub(crate) type Refuse = fn(&str, usize) -> Option<&'static str>;

/// The client is to be called on the thread that makes its link.
pub(crate) struct Link {
    address: SocketAddr,
    thread: JoinHandle<Heard>,
}

impl Link {
    pub(crate) fn new(extensions: &'static [&'static str], refuse: Refuse) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = fs::canonicalize("/proc/thread-self").unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(QUIET)).unwrap();
            Talk::new(stream, refuse, client).run(extensions)
        });
        Self { address, thread }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn join(self) -> Heard {
        self.thread.join().unwrap()
    }
}

struct Talk {
    stream: TcpStream,
    /// The thread of the client.
    client: PathBuf,
    refuse: Refuse,
    heard: Heard,
    input: Vec<u8>,
    replies: String,
    mails: usize,
    /// Recipients of the transaction that were taken; `None` outside one.
    recipients: Option<usize>,
    message: Vec<u8>,
    /// A chunk of this transaction was refused.
    broken: bool,
    in_data: bool,
    /// Octets of a chunk to come, and whether it is the last.
    chunk: Option<(usize, bool)>,
}

impl Talk {
    fn new(stream: TcpStream, refuse: Refuse, client: PathBuf) -> Self {
        Self {
            stream,
            client,
            refuse,
            heard: Heard::default(),
            input: Vec::new(),
            replies: String::new(),
            mails: 0,
            recipients: None,
            message: Vec::new(),
            broken: false,
            in_data: false,
            chunk: None,
        }
    }

    fn run(mut self, extensions: &[&str]) -> Heard {
        self.stream.write_all(b"220 link\r\n").unwrap();
        self.hear();
        let mut hello = "250-link\r\n".to_owned();
        for extension in extensions {
            hello.extend(["250-", extension, "\r\n"]);
        }
        hello += "250 HELP\r\n";
        self.stream.write_all(hello.as_bytes()).unwrap();
        self.input.clear();
        while self.hear() {
            let before = self.heard.verbs.len();
            while self.take() {}
            let quit = self.heard.verbs[before..].iter().any(|verb| verb == "QUIT");
            self.heard.turns += usize::from(!quit);
            let replies = std::mem::take(&mut self.replies);
            self.stream.write_all(replies.as_bytes()).unwrap();
            if quit {
                break;
            }
            self.heard.verbs.push("|".to_owned());
        }
        self.heard
    }

    /// Reads until nothing comes any more. Gives whether anything came.
    fn hear(&mut self) -> bool {
        let (mut any, mut waits) = (false, false);
        let mut space = vec![0; 64 * 1024];
        loop {
            match self.stream.read(&mut space) {
                Ok(0) => return any,
                Ok(n) => {
                    self.input.extend_from_slice(&space[..n]);
                    (any, waits) = (true, false);
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if any && waits {
                        return true;
                    }
                    // What it said before it began to wait is here at the next look.
                    waits = self.client_waits();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Whether the client waits for something. It does not where a busy machine has it wait for its turn.
    fn client_waits(&self) -> bool {
        let told = fs::read_to_string(self.client.join("stat")).unwrap_or_default();
        // Behind the number and the name, which stands in brackets.
        told.rsplit(')')
            .next()
            .is_some_and(|rest| rest.starts_with(" S"))
    }

    /// Takes one thing from the input.
    fn take(&mut self) -> bool {
        if let Some((octets, last)) = self.chunk {
            if self.input.len() < octets {
                return false;
            }
            let chunk: Vec<u8> = self.input.drain(..octets).collect();
            self.message.extend(chunk);
            self.chunk = None;
            self.take_chunk(last);
            return true;
        }
        if self.in_data {
            self.message.extend(std::mem::take(&mut self.input));
            let mark = b"\r\n.\r\n";
            let Some(at) = self.message.windows(5).position(|window| window == mark) else {
                return false;
            };
            self.input = self.message.split_off(at + mark.len());
            self.message.truncate(at + 2);
            let text = String::from_utf8(std::mem::take(&mut self.message)).unwrap();
            self.message = text.replace("\r\n..", "\r\n.").into_bytes();
            self.in_data = false;
            self.heard.verbs.push(".".to_owned());
            self.finish(".");
            return true;
        }
        let Some(end) = self.input.iter().position(|&octet| octet == b'\n') else {
            return false;
        };
        let line: Vec<u8> = self.input.drain(..=end).collect();
        let line = String::from_utf8(line).unwrap();
        self.command(line.trim_end());
        true
    }

    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split([' ', ':']).collect();
        let verb = words[0].to_owned();
        self.heard.verbs.push(verb.clone());
        if verb == "BDAT" {
            let octets = words[1].parse().unwrap();
            self.heard.longest_chunk = self.heard.longest_chunk.max(octets);
            self.chunk = Some((octets, words.get(2) == Some(&"LAST")));
            return;
        }
        self.mails += usize::from(verb == "MAIL");
        let refusal = (self.refuse)(&verb, self.mails);
        let reply = match (verb.as_str(), refusal, self.recipients) {
            ("QUIT", ..) => "221 bye",
            ("RSET", ..) => {
                self.recipients = None;
                self.message.clear();
                self.broken = false;
                "250 reset"
            }
            ("MAIL", _, Some(_)) => "503 nested MAIL",
            ("RCPT" | "DATA", _, None) => "503 no MAIL",
            ("DATA", None, Some(0)) => "503 no RCPT",
            (_, Some(refusal), _) => refusal,
            ("MAIL", ..) => {
                self.recipients = Some(0);
                "250 ok"
            }
            ("RCPT", ..) => {
                self.recipients = self.recipients.map(|count| count + 1);
                "250 ok"
            }
            ("DATA", ..) => {
                self.in_data = true;
                "354 go"
            }
            _ => "500 what?",
        };
        self.say(reply);
    }

    fn take_chunk(&mut self, last: bool) {
        if self.recipients.unwrap_or(0) == 0 || self.broken {
            self.say("503 no recipients");
        } else if last {
            self.finish("LAST");
        } else if let Some(refusal) = (self.refuse)("BDAT", self.mails) {
            self.broken = true;
            self.say(refusal);
        } else {
            self.say("250 taken");
        }
    }

    fn finish(&mut self, verb: &str) {
        if let Some(refusal) = (self.refuse)(verb, self.mails) {
            // RFC 3030 section 2: only a RSET gets out of it.
            self.broken = verb == "LAST";
            if verb == "." {
                self.recipients = None;
            }
            self.message.clear();
            self.say(refusal);
        } else {
            self.recipients = None;
            let number = self.mails;
            self.heard.messages.push(std::mem::take(&mut self.message));
            self.say(&format!("250 message {number}"));
        }
    }

    fn say(&mut self, reply: &str) {
        self.replies += reply;
        self.replies += "\r\n";
    }
}
