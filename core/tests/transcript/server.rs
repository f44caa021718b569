//! A server that answers as its options say, over each kind of connection, and may say back all that it was told in secret.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use base64::engine::{Engine, general_purpose::STANDARD};
use mailwire::sasl::{Decoy, Found, Mechanism, Nonce, Secret, ServerContext, ServerExchange, Step};
use mailwire::tls::Pem;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a server does.
#[derive(Clone, Default)]
pub(crate) struct Behaviour {
    /// What it offers, each a line of its reply to EHLO.
    pub(crate) offers: Vec<&'static str>,
    pub(crate) tls: Tls,
    pub(crate) lmtp: bool,
    /// The password that it knows, or the token. A login with another is refused.
    pub(crate) password: &'static str,
    /// Says back what it was told in AUTH in each reply.
    pub(crate) echoes: bool,
    /// Lines that it says instead of its own to commands that begin so; `CUT` closes.
    pub(crate) instead: Vec<(&'static str, &'static str)>,
    /// Connections that it takes, one after the other.
    pub(crate) connections: usize,
}

/// When a server has TLS.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tls {
    #[default]
    Never,
    /// After STARTTLS, which it offers.
    Offered,
    /// From the first octet.
    Implicit,
}

/// It runs in a thread that ends by itself, and is waited for.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) root: Pem,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let root = Pem::bytes(issued.cert.pem());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], issued.signing_key.into())
            .unwrap();
        let tls = Arc::new(tls);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            for _ in 0..behaviour.connections.max(1) {
                let (stream, _) = listener.accept().unwrap();
                // Nothing here may hang: a test that waits this long has failed.
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                stream.set_nodelay(true).unwrap();
                let stream = if behaviour.tls == Tls::Implicit {
                    secured(stream, &tls)
                } else {
                    Stream::Plain(BufReader::new(stream))
                };
                Talk {
                    behaviour: &behaviour,
                    stream,
                    told: Vec::new(),
                    recipients: 0,
                }
                .run(&tls);
            }
        });
        Self {
            port,
            root,
            thread: Some(thread),
        }
    }

    /// Waits until all connections are over, and fails with the server.
    pub(crate) fn join(mut self) {
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

enum Stream {
    Plain(BufReader<TcpStream>),
    Tls(Box<BufReader<StreamOwned<ServerConnection, TcpStream>>>),
    Gone,
}

fn secured(stream: TcpStream, tls: &Arc<ServerConfig>) -> Stream {
    let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
    Stream::Tls(Box::new(BufReader::new(StreamOwned::new(
        connection, stream,
    ))))
}

impl Stream {
    fn reader(&mut self) -> &mut dyn BufRead {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &mut **stream,
            Self::Gone => panic!("the connection is gone"),
        }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(stream) => stream.get_mut(),
            Self::Tls(stream) => stream.get_mut(),
            Self::Gone => panic!("the connection is gone"),
        }
    }
}

struct Talk<'b> {
    behaviour: &'b Behaviour,
    stream: Stream,
    /// What was said in AUTH, as it was and without its base64.
    told: Vec<String>,
    recipients: usize,
}

impl Talk<'_> {
    fn run(mut self, tls: &Arc<ServerConfig>) {
        self.say("220 mx.example ESMTP");
        while let Some(line) = self.hear() {
            let instead = &self.behaviour.instead;
            let instead = instead.iter().find(|(start, _)| line.starts_with(start));
            if let Some((_, reply)) = instead {
                if *reply == "CUT" {
                    return self.cut();
                }
                self.say(reply);
                continue;
            }
            let words: Vec<&str> = line.split(' ').collect();
            match words[0] {
                "EHLO" | "LHLO" => self.hello(),
                "STARTTLS" => {
                    self.say("220 2.0.0 go on");
                    let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Gone)
                    else {
                        panic!("TLS within TLS");
                    };
                    self.stream = secured(stream.into_inner(), tls);
                }
                "AUTH" => self.auth(words[1], words.get(2).copied()),
                "RCPT" if line.contains("<no") => self.say("550 5.1.1 no such user"),
                "RCPT" => {
                    self.recipients += 1;
                    self.say("250 2.1.5 recipient ok");
                }
                "DATA" => {
                    self.say("354 go on");
                    // A client may leave here, if what it heard before was no sense.
                    let mut lines = std::iter::from_fn(|| self.hear());
                    if lines.any(|line| line == ".") {
                        self.taken();
                    }
                }
                "BDAT" => {
                    let octets = words[1].parse().unwrap();
                    let mut chunk = vec![0; octets];
                    self.stream.reader().read_exact(&mut chunk).unwrap();
                    if words.get(2) == Some(&"LAST") {
                        self.taken();
                    } else {
                        self.say("250 2.0.0 chunk ok");
                    }
                }
                "QUIT" => {
                    self.say("221 2.0.0 bye");
                    return self.cut();
                }
                _ => self.say("250 2.0.0 ok"),
            }
        }
    }

    fn taken(&mut self) {
        let replies = if self.behaviour.lmtp {
            self.recipients
        } else {
            1
        };
        self.recipients = 0;
        for _ in 0..replies {
            self.say("250 2.0.0 Ok: queued as ABC1");
        }
    }

    fn hello(&mut self) {
        let mut lines = vec!["mx.example"];
        lines.extend(&self.behaviour.offers);
        if self.behaviour.tls == Tls::Offered && matches!(self.stream, Stream::Plain(_)) {
            lines.push("STARTTLS");
        }
        let last = lines.len() - 1;
        for (index, line) in lines.into_iter().enumerate() {
            let sign = if index == last { ' ' } else { '-' };
            self.say(&format!("250{sign}{line}"));
        }
    }

    fn auth(&mut self, name: &str, initial: Option<&str>) {
        let nonce = Nonce::new([7; 18]);
        let exporter = match &self.stream {
            Stream::Tls(stream) => {
                let label = b"EXPORTER-Channel-Binding";
                let session = &stream.get_ref().conn;
                session
                    .export_keying_material([0; 32], label, Some(b""))
                    .ok()
            }
            _ => None,
        };
        let context = ServerContext::default()
            .with_nonce(nonce)
            .with_channel_binding(exporter, true);
        let mechanism = Mechanism::from_name(name).unwrap();
        let mut exchange = ServerExchange::new(mechanism, &context).unwrap();
        let mut step = match initial {
            Some(initial) => {
                let initial = self.decoded(initial);
                exchange.initial_response(&initial)
            }
            None => exchange.first_challenge().map(Step::Challenge),
        };
        let accepted = loop {
            step = match step {
                Ok(Step::Challenge(challenge)) => {
                    self.say(&format!("334 {}", STANDARD.encode(challenge.expose())));
                    let response = self.hear().unwrap();
                    if response == "*" {
                        return self.say("501 5.7.0 cancelled");
                    }
                    let response = self.decoded(&response);
                    exchange.step(&response)
                }
                Ok(Step::Lookup(_)) => {
                    let password = Secret::new(self.behaviour.password);
                    exchange.found(Found::Password(password), &Decoy::new([0; 32]))
                }
                Ok(Step::Credentials(credentials)) => {
                    let said = credentials.password().expose();
                    self.told.push(String::from_utf8(said.to_vec()).unwrap());
                    break said == self.behaviour.password.as_bytes();
                }
                Ok(Step::Proven(_)) => break true,
                Err(_) => break false,
            }
        };
        if accepted {
            self.say("235 2.7.0 welcome");
        } else {
            self.say("535 5.7.8 wrong");
        }
    }

    fn decoded(&mut self, text: &str) -> Vec<u8> {
        let octets = STANDARD.decode(text).unwrap();
        self.told.push(text.to_owned());
        if let Ok(text) = std::str::from_utf8(&octets) {
            self.told.push(text.to_owned());
        }
        octets
    }

    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.reader().read_line(&mut line) {
            Ok(1..) => Some(line.trim_end_matches("\r\n").to_owned()),
            _ => None,
        }
    }

    /// Says a line, with what it was told behind it where it is of that kind.
    fn say(&mut self, line: &str) {
        let mut line = line.to_owned();
        if self.behaviour.echoes && !line.starts_with("334") && !self.told.is_empty() {
            for told in &self.told {
                line.extend([" ", told, " ", &STANDARD.encode(told)]);
            }
            line = line.replace(['\r', '\n'], " ");
        }
        line.push_str("\r\n");
        let _ = self.stream.writer().write_all(line.as_bytes());
        let _ = self.stream.writer().flush();
    }

    fn cut(mut self) {
        let stream = match &mut self.stream {
            Stream::Plain(stream) => stream.get_ref(),
            Stream::Tls(stream) => {
                let session = stream.get_mut();
                session.conn.send_close_notify();
                let _ = session.flush();
                &stream.get_ref().sock
            }
            Stream::Gone => return,
        };
        let _ = stream.shutdown(Shutdown::Write);
        // Read to the end, so that the close is no reset.
        let mut rest = Vec::new();
        let _ = (&*stream).read_to_end(&mut rest);
    }
}
