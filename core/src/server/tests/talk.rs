//! A client that says exactly what a test writes down, over TCP or TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::tls::ClientTls;

/// One connection of a scripted client.
pub(crate) struct Talk {
    /// Always there but for a moment in [`Talk::start_tls`].
    wire: Option<BufReader<Wire>>,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Talk {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    /// A client with this address of its own.
    pub(crate) fn connect_from(own: IpAddr, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(own, 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        // Nothing here may hang: a test that waits this long has failed.
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self {
            wire: Some(BufReader::new(Wire::Plain(stream))),
        }
    }

    fn wire(&mut self) -> &mut BufReader<Wire> {
        self.wire.as_mut().unwrap()
    }

    /// Sends these bytes.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let wire = self.wire().get_mut();
        wire.write_all(bytes.as_ref()).unwrap();
        wire.flush().unwrap();
    }

    /// Reads one whole reply: its lines without their ends, joined by LF. Empty at the end of the connection.
    pub(crate) fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            if self.wire().read_line(&mut line).unwrap_or(0) == 0 {
                return reply;
            }
            let more = line.as_bytes().get(3) == Some(&b'-');
            reply.push_str(line.strip_suffix("\r\n").unwrap());
            if !more {
                return reply;
            }
            reply.push('\n');
        }
    }

    /// Sends a command and reads its reply.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        self.send(format!("{command}\r\n"));
        self.reply()
    }

    /// Sends a message up to and with DATA's 354, and then `text` and the end mark.
    pub(crate) fn message(&mut self, sender: &str, recipients: &[&str], text: &[u8]) -> String {
        assert_eq!(self.ask(&format!("MAIL FROM:<{sender}>")), "250 2.1.0 OK");
        for recipient in recipients {
            assert_eq!(self.ask(&format!("RCPT TO:<{recipient}>")), "250 2.1.5 OK");
        }
        assert!(self.ask("DATA").starts_with("354 "));
        self.send(text);
        self.ask(".")
    }

    /// Does a TLS handshake as a client of `mx.example.org`.
    pub(crate) fn start_tls(&mut self, tls: &ClientTls) {
        let wire = self.wire.take().unwrap();
        assert!(wire.buffer().is_empty());
        let Wire::Plain(stream) = wire.into_inner() else {
            panic!("TLS twice")
        };
        let name = ServerName::try_from("mx.example.org").unwrap();
        let session = ClientConnection::new(tls.config().unwrap(), name).unwrap();
        let mut stream = StreamOwned::new(session, stream);
        // The first read or write does the handshake.
        stream.flush().unwrap();
        self.wire = Some(BufReader::new(Wire::Tls(Box::new(stream))));
    }

    /// Sends no more; what comes can still be read.
    pub(crate) fn finish(&mut self) {
        match self.wire().get_mut() {
            Wire::Plain(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Wire::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush().unwrap();
            }
        }
    }

    /// Whether the server has closed the connection, without another word.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.wire().read(&mut [0]), Ok(0) | Err(_))
    }

    pub(crate) fn stream(&mut self) -> &TcpStream {
        match self.wire().get_ref() {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
