//! Over a socket: the async client of ours, or the one that keeps its connections, and a server that says what a case says.

mod clients;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc as reports;
use std::thread;
use std::time::{Duration, Instant};

use mailwire::Cancel;
use rustls::{ServerConnection, StreamOwned};
use tokio::sync::{Notify, mpsc};

use super::certificates::Certificates;
use super::expectation::Report;
use super::{Call, Setting, Target, Wire};
use crate::case::Script;
use crate::server::{Finish, Said, Unable};

/// The client of ours.
pub struct Own {
    certificates: Arc<Certificates>,
}

impl Own {
    /// Makes the certificates that its servers show.
    pub fn new() -> Result<Self, String> {
        Ok(Self {
            certificates: Arc::new(Certificates::new()?),
        })
    }
}

impl Target for Own {
    fn open(&self, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Unable> {
        if script.only.iter().any(|word| word == "memory") {
            return Err(Unable::Inconclusive("only the machine shows it".to_owned()));
        }
        let wire = SocketWire::begin(setting, Arc::clone(&self.certificates));
        wire.map(|wire| Box::new(wire) as Box<dyn Wire>)
            .map_err(Unable::Broken)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn silence(&self) -> Duration {
        Duration::from_millis(60)
    }
}

struct SocketWire {
    listener: TcpListener,
    stream: Option<Stream>,
    certificates: Arc<Certificates>,
    /// `None` once no more is asked of it.
    calls: Option<mpsc::UnboundedSender<Call>>,
    cut_short: CutShort,
    reports: reports::Receiver<Report>,
    client: Option<thread::JoinHandle<()>>,
    ended: bool,
}

/// Makes a client leave what it does.
#[derive(Clone)]
struct CutShort(Arc<Notify>, Arc<Cancel>);

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl SocketWire {
    fn begin(setting: &Setting, certificates: Arc<Certificates>) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(text)?;
        listener.set_nonblocking(true).map_err(text)?;
        let address = listener.local_addr().map_err(text)?;
        let (calls, asked) = mpsc::unbounded_channel();
        let (sender, reports) = reports::channel();
        let cancel = Cancel::new().map_err(|error| error.to_string())?;
        let cut_short = CutShort(Arc::new(Notify::new()), Arc::new(cancel));
        let options = setting.options(address, &certificates.authority());
        let (kept, cut) = (setting.kept, cut_short.clone());
        let client = thread::spawn(move || {
            if kept {
                clients::keep(options, asked, &cut, &sender);
            } else {
                clients::serve(&options, asked, &cut, &sender);
            }
        });
        Ok(Self {
            listener,
            stream: None,
            certificates,
            calls: Some(calls),
            cut_short,
            reports,
            client: Some(client),
            ended: false,
        })
    }

    fn accept_within(&mut self, patience: Duration) -> Option<TcpStream> {
        let end = Instant::now() + patience;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let set = stream
                        .set_nonblocking(false)
                        .and_then(|()| stream.set_nodelay(true))
                        .and_then(|()| stream.set_write_timeout(Some(Duration::from_secs(10))));
                    return set.is_ok().then_some(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(_) => return None,
            }
        }
    }

    /// The connection, which the client has opened by then or will.
    fn stream(&mut self, patience: Duration) -> Option<&mut Stream> {
        if self.stream.is_none() {
            self.stream = self.accept_within(patience).map(Stream::Plain);
        }
        self.stream.as_mut()
    }
}

/// How long the client may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

impl Wire for SocketWire {
    fn call(&mut self, call: Call) {
        if let Some(calls) = &self.calls {
            // It fails only if the client's thread is gone, and then there is no result.
            let _ = calls.send(call);
        }
    }

    fn cancel(&mut self) {
        self.cut_short.0.notify_one();
        self.cut_short.1.signal();
    }

    fn result(&mut self, patience: Duration) -> Option<Report> {
        self.reports.recv_timeout(patience).ok()
    }

    fn send(&mut self, octets: &[u8]) {
        // Where the client has closed, what it said before is still to be read.
        let _ = match self.stream(CONNECT) {
            Some(Stream::Plain(stream)) => stream.write_all(octets),
            Some(Stream::Tls(stream)) => stream.write_all(octets).and_then(|()| stream.flush()),
            None => Ok(()),
        };
    }

    fn receive(&mut self, patience: Duration) -> Said {
        if self.ended {
            return Said::End;
        }
        let patience = patience.max(Duration::from_millis(1));
        let Some(stream) = self.stream(patience) else {
            return Said::Nothing;
        };
        if stream.tcp().set_read_timeout(Some(patience)).is_err() {
            return Said::End;
        }
        let mut buffer = vec![0; 64 * 1024];
        let read = match stream {
            Stream::Plain(stream) => stream.read(&mut buffer),
            Stream::Tls(stream) => stream.read(&mut buffer),
        };
        match read {
            Ok(count) if count > 0 => {
                buffer.truncate(count);
                Said::Octets(buffer)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Said::Nothing
            }
            _ => {
                self.ended = true;
                Said::End
            }
        }
    }

    fn start_tls(&mut self, certificate: &str) -> Result<(), String> {
        let config = self.certificates.server(certificate)?;
        let Some(Stream::Plain(stream)) = self.stream(CONNECT) else {
            return Err("there is no connection in clear".to_owned());
        };
        let text = |error: std::io::Error| error.to_string();
        let stream = stream.try_clone().map_err(text)?;
        stream.set_read_timeout(Some(CONNECT)).map_err(text)?;
        let session = ServerConnection::new(config).map_err(|error| error.to_string())?;
        let mut stream = StreamOwned::new(session, stream);
        while stream.conn.is_handshaking() {
            if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
                self.ended = true;
                return Err(error.to_string());
            }
        }
        self.stream = Some(Stream::Tls(Box::new(stream)));
        Ok(())
    }

    fn close(&mut self, how: Finish) {
        let Some(stream) = self.stream(CONNECT) else {
            return;
        };
        if how != Finish::Tcp
            && let Stream::Tls(stream) = stream
        {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        let _ = stream.tcp().shutdown(Shutdown::Write);
    }

    fn accept(&mut self, patience: Duration) -> bool {
        match self.accept_within(patience) {
            Some(stream) => {
                self.stream = Some(Stream::Plain(stream));
                self.ended = false;
                true
            }
            None => false,
        }
    }

    fn server_name(&self) -> Option<String> {
        match &self.stream {
            Some(Stream::Tls(stream)) => stream.conn.server_name().map(str::to_owned),
            _ => None,
        }
    }

    fn exporter(&self) -> Option<[u8; 32]> {
        let Some(Stream::Tls(stream)) = &self.stream else {
            return None;
        };
        let label = b"EXPORTER-Channel-Binding";
        let value = stream
            .conn
            .export_keying_material([0; 32], label, Some(&[]));
        value.ok()
    }
}

impl Drop for SocketWire {
    fn drop(&mut self) {
        self.stream = None;
        self.calls = None;
        self.cancel();
        if let Some(client) = self.client.take() {
            // A panic of the client's thread has shown as a result that never came.
            let _ = client.join();
        }
    }
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}
