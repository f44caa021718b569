//! A server with a disposition on a thread of its own, and a client that says what a test writes down.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mailwire::Error;
use mailwire::disposition::{Deliver, Disposition};
use mailwire::server::{Control, Handler, Options, Server};
use tokio::sync::oneshot;

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) control: Control,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl Running {
    pub(crate) fn start(disposition: impl Disposition) -> Self {
        Self::with(disposition, |_| {})
    }

    pub(crate) fn with(disposition: impl Disposition, change: impl FnOnce(&mut Options)) -> Self {
        Self::serving(Deliver::new(disposition), change)
    }

    pub(crate) fn serving(handler: impl Handler, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new();
        options.set_hostname("mx.example.org").unwrap();
        options.set_grace(Duration::from_secs(1));
        options.set_connections_per_address(1000).unwrap();
        change(&mut options);
        let server = Server::bind(options).unwrap();
        let (address, control) = (server.addresses()[0], server.control());
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let stopped = async { stopped.await.unwrap_or_default() };
            runtime.block_on(server.serve_until(handler, stopped))
        });
        Self {
            address,
            control,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A client that was greeted.
    pub(crate) fn client(&self) -> Talk {
        let mut talk = Talk::connect(self.address);
        assert_eq!(talk.reply(), "220 mx.example.org ESMTP");
        assert!(talk.ask("EHLO client.example").starts_with("250-"));
        talk
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().unwrap().join();
        if !thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

/// One connection of a client.
pub(crate) struct Talk(BufReader<TcpStream>);

impl Talk {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        // Nothing here may hang: a test that waits this long has failed.
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(octets.as_ref()).unwrap();
    }

    /// Reads one whole reply, its lines joined by LF. Empty at the end of the connection.
    pub(crate) fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or(0) == 0 {
                return reply;
            }
            let more = line.as_bytes().get(3) == Some(&b'-');
            reply.push_str(line.trim_end());
            if !more {
                return reply;
            }
            reply.push('\n');
        }
    }

    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n"));
        self.reply()
    }

    /// An envelope and DATA, up to its 354.
    pub(crate) fn begin(&mut self, recipients: &[&str]) {
        assert_eq!(self.ask("MAIL FROM:<a@b.example>"), "250 2.1.0 OK");
        for recipient in recipients {
            assert_eq!(self.ask(&format!("RCPT TO:<{recipient}>")), "250 2.1.5 OK");
        }
        assert!(self.ask("DATA").starts_with("354 "));
    }

    /// A whole message. Gives the reply to its end.
    pub(crate) fn message(&mut self, text: &str) -> String {
        self.begin(&["c@d.example"]);
        self.send(text);
        self.ask(".")
    }

    /// Hangs up.
    pub(crate) fn cut(self) {
        self.0.get_ref().shutdown(Shutdown::Both).unwrap();
    }
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..6000 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("it never came to this: {what}");
}

/// The texts of the files in a folder.
pub(crate) fn texts(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect()
}
