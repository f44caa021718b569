//! A client's socket, in clear and with TLS, that sends exactly what it is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

use super::{Finish, Journal, Said, TlsSetting, Wire};

pub(crate) struct SocketWire {
    stream: Stream,
    tls: Option<TlsSetting>,
    patience: Duration,
    journal: Option<Journal>,
    ended: bool,
    /// TLS was ended by this side. rustls must not be asked to read any more: what it cannot decode then is a panic.
    tls_over: bool,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl SocketWire {
    pub(crate) fn connect(
        address: SocketAddr,
        tls: Option<TlsSetting>,
        patience: Duration,
    ) -> Result<Self, String> {
        let stream = TcpStream::connect_timeout(&address, patience)
            .and_then(|stream| {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(patience))?;
                stream.set_read_timeout(Some(patience))?;
                Ok(stream)
            })
            .map_err(|error| format!("cannot connect to {address}: {error}"))?;
        Ok(Self {
            stream: Stream::Plain(stream),
            tls,
            patience,
            journal: None,
            ended: false,
            tls_over: false,
        })
    }

    pub(crate) fn with_journal(mut self, journal: Journal) -> Self {
        self.journal = Some(journal);
        self
    }

    /// The client's own address.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.tcp().local_addr().ok()
    }

    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => &stream.sock,
        }
    }
}

impl Wire for SocketWire {
    fn send(&mut self, octets: &[u8]) {
        let sent = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(octets),
            Stream::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
        };
        // Where the server has closed, what it said before is still to be read.
        if let Err(error) = sent {
            self.ended |= error.kind() == ErrorKind::InvalidData;
        }
    }

    fn send_in_clear(&mut self, octets: &[u8]) {
        let _ = self.tcp().write_all(octets);
    }

    fn receive(&mut self, patience: Duration) -> Said {
        if self.ended {
            return Said::End;
        }
        let patience = patience.max(Duration::from_millis(1));
        if self.tcp().set_read_timeout(Some(patience)).is_err() {
            return Said::End;
        }
        let mut buffer = vec![0; 16 * 1024];
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut buffer),
            Stream::Tls(stream) if self.tls_over => stream.sock.read(&mut buffer),
            Stream::Tls(stream) => stream.read(&mut buffer),
        };
        match read {
            // Records of TLS, which say nothing in clear.
            Ok(count) if count > 0 && self.tls_over && buffer.get(1) == Some(&3) => Said::Nothing,
            Ok(count) if count > 0 => {
                buffer.truncate(count);
                Said::Octets(buffer)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Said::Nothing
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Said::Nothing,
            _ => {
                self.ended = true;
                Said::End
            }
        }
    }

    fn start_tls(&mut self) -> Result<(), String> {
        let Stream::Plain(stream) = &self.stream else {
            return Err("TLS is up already".to_owned());
        };
        let setting = self.tls.clone().ok_or("TLS was not set up")?;
        let stream = stream.try_clone().map_err(|error| error.to_string())?;
        stream
            .set_read_timeout(Some(self.patience))
            .map_err(|error| error.to_string())?;
        let session = ClientConnection::new(setting.config, setting.name)
            .map_err(|error| error.to_string())?;
        let mut stream = StreamOwned::new(session, stream);
        while stream.conn.is_handshaking() {
            if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
                self.ended = true;
                return Err(error.to_string());
            }
        }
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    fn finish(&mut self, how: Finish) {
        if how != Finish::Tcp
            && !self.ended
            && let Stream::Tls(stream) = &mut self.stream
        {
            stream.conn.send_close_notify();
            self.ended |= stream.flush().is_err();
            self.tls_over = true;
        }
        if how != Finish::Tls {
            let _ = self.tcp().shutdown(Shutdown::Write);
        }
    }

    fn exporter(&self) -> Option<[u8; 32]> {
        match &self.stream {
            Stream::Plain(_) => None,
            Stream::Tls(stream) => {
                let label = b"EXPORTER-Channel-Binding";
                let value = stream
                    .conn
                    .export_keying_material([0; 32], label, Some(&[]));
                value.ok()
            }
        }
    }

    fn journal(&self) -> Option<Journal> {
        self.journal.clone()
    }
}
