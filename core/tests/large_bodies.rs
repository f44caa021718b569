//! A message of 256 MiB through the blocking client, from each kind of source and by each way to send it: it is read as it is sent,
//! little of it is ever held, and its size is told where it is known. `make large` does the same with 1 GiB.

#![cfg(feature = "io")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mailwire::blocking::{Call, Client};
use mailwire::client::{Content, Options, TransferChoice};
use mailwire::proto::Envelope;

const MIB: u64 = 1024 * 1024;

/// The sizes of the messages: what there is time for at each turn, and what is promised.
const SIZE: u64 = 256 * MIB;
const PROMISED: u64 = 1024 * MIB;

/// A few hundred KiB: what the thread of the client may hold at a time, with its connection and all that belongs to it.
const MOST_HELD: u64 = 256 * 1024;

/// What the whole process may grow by, with the server and what the tests themselves touch for the first time, in KiB.
const MOST_GROWN: u64 = 8 * 1024;

/// What the sockets of both sides and the client may hold of what was read and has not arrived.
const MOST_UNDER_WAY: u64 = 32 * MIB;

/// How long the server waits for an octet.
const STALLED: Duration = Duration::from_secs(60);

/// What a message is made of: lines, of which one begins with a dot.
const BLOCK: usize = 16 * 1024;

fn block() -> Vec<u8> {
    let mut block = b"x".repeat(76);
    block.extend_from_slice(b"\r\n");
    let mut block = block.repeat(BLOCK / 78);
    block[0] = b'.';
    let rest = BLOCK - block.len();
    block.extend_from_slice(&b"y".repeat(rest - 2));
    block.extend_from_slice(b"\r\n");
    block
}

/// The blocks of a message of this size. Fails if they are asked for long before they can be sent.
struct Blocks {
    block: Arc<[u8]>,
    size: u64,
    given: u64,
    arrived: Arc<AtomicU64>,
}

impl Iterator for Blocks {
    type Item = Arc<[u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let under_way = self
            .given
            .saturating_sub(self.arrived.load(Ordering::Relaxed));
        assert!(under_way < MOST_UNDER_WAY, "{under_way} octets are held");
        if self.given == self.size {
            return None;
        }
        self.given += self.block.len() as u64;
        Some(Arc::clone(&self.block))
    }
}

/// The same as a reader.
struct Reader {
    blocks: Blocks,
    block: Option<Arc<[u8]>>,
    taken: usize,
}

impl Read for Reader {
    fn read(&mut self, space: &mut [u8]) -> std::io::Result<usize> {
        if self
            .block
            .as_ref()
            .is_none_or(|block| self.taken == block.len())
        {
            self.block = self.blocks.next();
            self.taken = 0;
        }
        let Some(block) = &self.block else {
            return Ok(0);
        };
        let octets = space.len().min(block.len() - self.taken);
        space[..octets].copy_from_slice(&block[self.taken..][..octets]);
        self.taken += octets;
        Ok(octets)
    }
}

/// A server that takes one message and counts its octets.
struct Drain {
    port: u16,
    arrived: Arc<AtomicU64>,
    /// Gives the MAIL command.
    thread: JoinHandle<String>,
}

impl Drain {
    /// With DATA, so many octets are to come before the end mark.
    fn new(extensions: &'static str, in_data: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let arrived = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&arrived);
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(STALLED)).unwrap();
            let mut talk = Talk {
                reader: BufReader::with_capacity(256 * 1024, stream),
                arrived: counted,
            };
            talk.run(extensions, in_data)
        });
        Self {
            port,
            arrived,
            thread,
        }
    }
}

struct Talk {
    reader: BufReader<TcpStream>,
    arrived: Arc<AtomicU64>,
}

impl Talk {
    fn run(&mut self, extensions: &str, in_data: u64) -> String {
        let mut mail = String::new();
        self.say("220 drain.example\r\n");
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            match line.split_whitespace().next().unwrap_or_default() {
                "EHLO" => {
                    self.say(&format!("250-drain.example\r\n{extensions}250 SIZE\r\n"));
                    continue;
                }
                "MAIL" => mail = line,
                "DATA" => {
                    self.say("354 go on\r\n");
                    self.take(in_data);
                    let mut mark = String::new();
                    self.reader.read_line(&mut mark).unwrap();
                    assert_eq!(mark, ".\r\n");
                }
                "BDAT" => self.take(line.split_whitespace().nth(1).unwrap().parse().unwrap()),
                "QUIT" => {
                    self.say("221 bye\r\n");
                    return mail;
                }
                _ => {}
            }
            self.say("250 ok\r\n");
        }
    }

    fn say(&mut self, reply: &str) {
        self.reader.get_mut().write_all(reply.as_bytes()).unwrap();
    }

    /// Takes so many octets of a message and counts them.
    fn take(&mut self, mut octets: u64) {
        while octets > 0 {
            let come = self.reader.fill_buf().unwrap().len();
            assert!(come > 0, "the message was cut");
            let taken = come.min(usize::try_from(octets).unwrap());
            self.reader.consume(taken);
            octets -= taken as u64;
            self.arrived.fetch_add(taken as u64, Ordering::Relaxed);
        }
    }
}

/// How a message travels.
#[derive(Debug, Clone, Copy)]
enum By {
    Data,
    Bdat,
}

/// The most that was resident of the process at any time, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let mut words = line.unwrap().split_whitespace();
    words.nth(1).unwrap().parse().unwrap()
}

/// Sends a message of this size, of which so many lines begin with a dot. Gives whether its size was told.
fn send(by: By, size: u64, dots: u64, content: impl FnOnce(&Drain) -> Content<'static>) -> bool {
    let (extensions, on_the_wire) = match by {
        By::Data => ("250-PIPELINING\r\n", size + dots),
        By::Bdat => ("250-PIPELINING\r\n250-CHUNKING\r\n", size),
    };
    let drain = Drain::new(extensions, on_the_wire);
    let mut options = Options::new();
    options.set_server("127.0.0.1", Some(drain.port)).unwrap();
    options.set_transfer(match by {
        By::Data => TransferChoice::Data,
        By::Bdat => TransferChoice::Bdat,
    });
    let envelope = Envelope::parse("me@example.org", ["you@example.net"]).unwrap();
    let content = content(&drain);
    let resident = peak();
    // The thread that calls does all the work.
    let held = allocation_counter::measure(|| {
        let client = Client::new(options).unwrap();
        client.send(&envelope, content, Call::default()).unwrap();
    });
    assert!(held.bytes_max < MOST_HELD, "{held:?}");
    let grown = peak().saturating_sub(resident);
    assert!(grown < MOST_GROWN, "the process has grown by {grown} KiB");
    let mail = drain.thread.join().unwrap();
    assert_eq!(drain.arrived.load(Ordering::Relaxed), on_the_wire);
    let told = mail.contains("SIZE=");
    let exact = mail
        .split_whitespace()
        .any(|word| word == format!("SIZE={size}"));
    assert_eq!(told, exact, "{mail}");
    told
}

fn blocks(size: u64, drain: &Drain) -> Blocks {
    Blocks {
        block: block().into(),
        size,
        given: 0,
        arrived: Arc::clone(&drain.arrived),
    }
}

fn reader(size: u64, drain: &Drain) -> Reader {
    Reader {
        blocks: blocks(size, drain),
        block: None,
        taken: 0,
    }
}

fn from_a_file(size: u64) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"Subject: large\r\n\r\n").unwrap();
    // What lies between takes no room.
    file.as_file().set_len(size - 2).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(b"\r\n").unwrap();
    for by in [By::Data, By::Bdat] {
        let told = send(by, size, 0, |_| Content::file(file.path()).unwrap());
        assert!(told, "a file has a size");
    }
}

fn from_pieces(size: u64) {
    for by in [By::Data, By::Bdat] {
        let dots = size / BLOCK as u64;
        let told = send(by, size, dots, |drain| Content::pieces(blocks(size, drain)));
        assert!(!told, "nobody knows the size of pieces");
    }
}

fn from_a_reader(size: u64) {
    for (by, length) in [(By::Data, Some(size)), (By::Bdat, None)] {
        let dots = size / BLOCK as u64;
        let told = send(by, size, dots, |drain| {
            Content::reader(reader(size, drain), length)
        });
        assert_eq!(told, length.is_some());
    }
}

#[test]
fn a_large_file_is_read_as_it_is_sent() {
    from_a_file(SIZE);
}

#[test]
fn pieces_are_asked_for_as_they_are_sent() {
    from_pieces(SIZE);
}

#[test]
fn a_reader_is_read_as_it_is_sent() {
    from_a_reader(SIZE);
}

#[test]
#[ignore = "takes half a minute: make large"]
fn of_a_gibibyte_no_more_is_held() {
    from_a_file(PROMISED);
    from_pieces(PROMISED);
    from_a_reader(PROMISED);
}
