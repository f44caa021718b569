//! A receiver as lax as any has been: a line ends with any LF, and the data at the first `LF.LF`, `LF.CRLF` or `CR.CR`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What it takes for the end of data. `CRLF.CRLF` ends with the second.
const MARKS: [&[u8]; 3] = [b"\n.\n", b"\n.\r\n", b"\r.\r"];

/// Runs until the process ends.
pub(crate) struct Sink {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What came in, over all connections.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Command lines, without EHLO and QUIT.
    pub(crate) commands: Vec<String>,
    /// Messages as they were on the wire, without what was taken for the end mark.
    pub(crate) messages: Vec<Vec<u8>>,
}

/// One connection.
struct Talk {
    stream: TcpStream,
    seen: Arc<Mutex<Seen>>,
    input: Vec<u8>,
    extensions: &'static [&'static str],
}

impl Sink {
    /// A receiver that offers these extensions.
    pub(crate) fn new(extensions: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                stream.set_nodelay(true).unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                let mut talk = Talk {
                    stream,
                    seen: Arc::clone(&shared),
                    input: Vec::new(),
                    extensions,
                };
                std::thread::spawn(move || talk.run());
            }
        });
        Self { port, seen }
    }

    /// What has come since the last time.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Talk {
    /// Until the client is gone.
    fn run(&mut self) -> Option<()> {
        self.say("220 sink.example ESMTP\r\n");
        let mut chunks = Vec::new();
        loop {
            let line = self.line()?;
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            if verb == "EHLO" {
                let extensions = self.extensions.iter();
                let lines: String = extensions
                    .map(|one| ["250-", one, "\r\n"].concat())
                    .collect();
                self.say(&format!("250-sink.example\r\n{lines}250 SIZE\r\n"));
                continue;
            }
            if verb == "QUIT" {
                self.say("221 bye\r\n");
                return None;
            }
            self.seen.lock().unwrap().commands.push(line.clone());
            match verb.as_str() {
                "DATA" => {
                    self.say("354 go on\r\n");
                    let message = self.data()?;
                    self.seen.lock().unwrap().messages.push(message);
                    self.say("250 ok\r\n");
                }
                "BDAT" => {
                    let words: Vec<_> = line.split_ascii_whitespace().collect();
                    let octets = words[1].parse().unwrap();
                    while self.input.len() < octets {
                        self.read()?;
                    }
                    chunks.extend(self.input.drain(..octets));
                    if words.len() > 2 {
                        let message = std::mem::take(&mut chunks);
                        self.seen.lock().unwrap().messages.push(message);
                    }
                    self.say("250 ok\r\n");
                }
                "RSET" => {
                    chunks.clear();
                    self.say("250 ok\r\n");
                }
                _ => self.say("250 ok\r\n"),
            }
        }
    }

    fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes());
    }

    fn read(&mut self) -> Option<()> {
        let mut buffer = vec![0; 64 * 1024];
        let n = self.stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        self.input.extend_from_slice(&buffer[..n]);
        Some(())
    }

    /// A line, whatever ends it.
    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.input.iter().position(|octet| *octet == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.read()?;
        }
    }

    /// The data, up to the first of the marks. The CRLF of the command counts as a line end in front of it.
    fn data(&mut self) -> Option<Vec<u8>> {
        let mut from = 0;
        let mut data = b"\r\n".to_vec();
        loop {
            data.append(&mut self.input);
            let found = MARKS.iter().filter_map(|mark| {
                let at = memchr::memmem::find(&data[from..], mark)? + from;
                Some((at, mark.len()))
            });
            if let Some((at, len)) = found.min() {
                self.input = data.split_off(at + len);
                // With the line end in front of the dot, as a message has it.
                data.truncate(at + 1);
                data.drain(..2);
                return Some(data);
            }
            from = data.len().saturating_sub(3);
            self.read()?;
        }
    }
}
