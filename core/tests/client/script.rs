//! A server that follows a script, on loopback: what it says, what it expects to hear, and where it hangs up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A server whose connections are each handled by one script, in order. Dropping it joins its thread, which fails the test if
/// the client did something else than the script expects.
pub(crate) struct Server {
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

/// One connection as the script sees it.
pub(crate) struct Session {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

pub(crate) type Script = Box<dyn FnOnce(&mut Session) + Send>;

impl Server {
    pub(crate) fn new(scripts: Vec<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            for script in scripts {
                let (stream, _) = listener.accept().unwrap();
                script(&mut Session::new(stream));
            }
        });
        Self {
            address,
            thread: Some(thread),
        }
    }

    /// A server with so many connections at a time, each with the same script. The script is told which connection it has.
    pub(crate) fn at_once(
        connections: usize,
        script: impl Fn(&mut Session, usize) + Send + Sync + 'static,
    ) -> Self {
        let script = Arc::new(script);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let sessions: Vec<_> = (0..connections)
                .map(|number| {
                    let (stream, _) = listener.accept().unwrap();
                    let script = Arc::clone(&script);
                    std::thread::spawn(move || script(&mut Session::new(stream), number))
                })
                .collect();
            for session in sessions {
                if let Err(panic) = session.join() {
                    std::panic::resume_unwind(panic);
                }
            }
        });
        Self {
            address,
            thread: Some(thread),
        }
    }

    /// A server with one connection.
    pub(crate) fn once(script: impl FnOnce(&mut Session) + Send + 'static) -> Self {
        Self::new(vec![Box::new(script)])
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Waits for the script to end and fails with it.
    pub(crate) fn join(mut self) {
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Session {
    fn new(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Self { stream, reader }
    }

    /// Accepts messages up to QUIT, and gives the first recipient of each.
    pub(crate) fn accept_all(&mut self) -> Vec<String> {
        let mut recipients = Vec::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let line = line.trim_end();
            if line == "QUIT" {
                self.say("221 2.0.0 bye\n");
                return recipients;
            }
            assert!(line.starts_with("MAIL FROM:"), "{line:?}");
            self.say("250 2.1.0 ok\n");
            let recipient = self.hear_start("RCPT TO:<");
            recipients.push(recipient[9..recipient.len() - 1].to_owned());
            self.say("250 2.1.5 ok\n");
            while self.hear_start("") != "DATA" {
                self.say("250 2.1.5 ok\n");
            }
            self.say("354 go on\n");
            self.body();
            self.say("250 2.0.0 Ok: queued as SCRIPT1\n");
        }
    }

    /// Says lines, in one write.
    pub(crate) fn say(&mut self, lines: &str) {
        let _ = self
            .stream
            .write_all(lines.replace('\n', "\r\n").as_bytes());
    }

    /// Says octets, in one write.
    pub(crate) fn say_octets(&mut self, octets: &[u8]) {
        let _ = self.stream.write_all(octets);
    }

    /// Expects these octets.
    pub(crate) fn hear_octets(&mut self, octets: &[u8]) {
        let mut heard = vec![0; octets.len()];
        self.reader.read_exact(&mut heard).unwrap();
        assert_eq!(heard, octets, "{:?}", String::from_utf8_lossy(&heard));
    }

    /// The connection itself, of which nothing was read ahead.
    pub(crate) fn raw(&self) -> TcpStream {
        assert!(self.reader.buffer().is_empty());
        self.stream.try_clone().unwrap()
    }

    /// Expects these command lines, and nothing about how they are grouped.
    pub(crate) fn hear(&mut self, lines: &str) {
        for line in lines.lines() {
            let mut heard = String::new();
            self.reader.read_line(&mut heard).unwrap();
            assert_eq!(heard.trim_end_matches("\r\n"), line);
        }
    }

    /// Expects one line that begins like this and gives it.
    pub(crate) fn hear_start(&mut self, start: &str) -> String {
        let mut heard = String::new();
        self.reader.read_line(&mut heard).unwrap();
        assert!(
            heard.starts_with(start),
            "{heard:?} does not begin with {start:?}"
        );
        heard.trim_end().to_owned()
    }

    /// The next line, or none if the client has left.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line);
        (read.unwrap_or(0) > 0).then(|| line.trim_end().to_owned())
    }

    /// Greets, and answers EHLO with these extensions.
    pub(crate) fn welcome(&mut self, extensions: &[&str]) {
        self.say("220 script.example ESMTP\n");
        self.hear_start("EHLO ");
        let mut lines = vec!["script.example"];
        lines.extend(extensions);
        let last = lines.len() - 1;
        let mut reply = String::new();
        for (i, line) in lines.iter().enumerate() {
            reply.push_str(if i == last { "250 " } else { "250-" });
            reply.push_str(line);
            reply.push('\n');
        }
        self.say(&reply);
    }

    /// Takes a message up to its end mark, as it was on the wire, and gives it without the mark.
    pub(crate) fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while !body.ends_with(b"\r\n.\r\n") && body != b".\r\n" {
            assert!(
                self.reader.read_until(b'\n', &mut body).unwrap() != 0,
                "the message was cut: {:?}",
                String::from_utf8_lossy(&body)
            );
        }
        body.truncate(body.len() - 3);
        body
    }

    /// One whole transaction that is accepted, with PIPELINING or without.
    pub(crate) fn accept_one(&mut self) -> Vec<u8> {
        self.hear_start("MAIL FROM:");
        self.say("250 2.1.0 ok\n");
        self.hear_start("RCPT TO:");
        self.say("250 2.1.5 ok\n");
        self.hear("DATA");
        self.say("354 go on\n");
        let body = self.body();
        self.say("250 2.0.0 Ok: queued as SCRIPT1\n");
        body
    }

    /// A transaction up to its 354, each command answered by itself.
    pub(crate) fn accept_up_to_354(&mut self) {
        self.hear_start("MAIL FROM:");
        self.say("250 ok\n");
        self.hear_start("RCPT TO:");
        self.say("250 ok\n");
        self.hear("DATA");
        self.say("354 go on\n");
    }

    /// The same with its message, and nothing said to that.
    pub(crate) fn accept_up_to_the_end_mark(&mut self) {
        self.accept_up_to_354();
        self.body();
    }

    /// Leaves the system little room for what was said and not heard, in either direction.
    pub(crate) fn shrink_buffers(&mut self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.set_send_buffer_size(16 * 1024).unwrap();
    }

    /// Reads so many octets, or up to the end, and forgets them.
    pub(crate) fn skip(&mut self, octets: usize) {
        let reader = (&mut self.reader).take(octets as u64);
        let _ = std::io::copy(&mut { reader }, &mut std::io::sink());
    }

    /// Expects QUIT and answers it.
    pub(crate) fn goodbye(&mut self) {
        self.hear("QUIT");
        self.say("221 2.0.0 bye\n");
    }

    /// Expects the client to close.
    pub(crate) fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = self.reader.read_to_end(&mut rest);
        assert_eq!(
            rest,
            b"",
            "nothing more was expected: {:?}",
            String::from_utf8_lossy(&rest)
        );
    }

    /// Hangs up.
    pub(crate) fn hang_up(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
