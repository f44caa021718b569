//! In memory: the server's machine, lent just what a case sends, in one piece or cut anywhere.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mailwire::proto::server::{Answer, Config, Connection, Event, Hooks};
use mailwire::proto::{Need, Progress, Protocol, Recipient, TlsInfo, TlsVersion};
use mailwire::sasl::{Decoy, Found, Nonce};

use super::application::{self, Application};
use super::own::names;
use super::{Finish, Journal, Note, Said, Setting, Target, Unable, Wire};
use crate::case::Script;
use crate::template::Names;

/// How what a client sends is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pieces {
    /// As it was sent.
    Whole,
    /// Octet by octet.
    Octets,
    /// Whole, but for one cut behind this many octets of a conversation.
    CutAt(usize),
}

/// The machine of the server's side, without I/O.
#[derive(Debug)]
pub struct Memory {
    /// How what is sent arrives.
    pub pieces: Pieces,
}

impl Target for Memory {
    fn open(&self, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Unable> {
        if script.only.iter().any(|word| word == "socket") {
            return Err(Unable::Inconclusive(
                "it takes a socket or a clock".to_owned(),
            ));
        }
        let journal = Journal::default();
        let tls = setting.implicit_tls.then(tls);
        let mut connection = Connection::new(Arc::new(config(setting)), tls);
        connection.set_trusted(setting.trusted);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        connection.set_time(now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0)));
        let mut wire = MemoryWire {
            connection,
            application: Application::new(setting, journal),
            pieces: self.pieces,
            sent: 0,
            input: Vec::new(),
            output: Vec::new(),
            answers: VecDeque::new(),
            nonces: 0,
            recipients: Vec::new(),
            body: Vec::new(),
            need: None,
            broken: false,
            secured: setting.implicit_tls,
        };
        wire.pump();
        Ok(Box::new(wire))
    }

    fn names(&self, setting: &Setting) -> Names {
        names(setting)
    }

    fn is_ours(&self) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn silence(&self) -> Duration {
        Duration::ZERO
    }
}

/// What both sides of a connection would have from tls-exporter (RFC 9266).
const EXPORTER: [u8; 32] = *b"both sides of one connection ...";

fn tls() -> TlsInfo {
    TlsInfo::new(TlsVersion::Tls13, "TLS13_AES_256_GCM_SHA384").with_exporter(Some(EXPORTER))
}

fn config(setting: &Setting) -> Config {
    let protocol = if setting.lmtp {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    };
    let mut hooks = Hooks::CONNECT
        .with(Hooks::HELLO)
        .with(Hooks::MAIL)
        .with(Hooks::RCPT)
        .with(Hooks::RESET)
        .with(Hooks::QUIT);
    if setting.hooks {
        hooks = Hooks::ALL;
    }
    Config::new(host(), protocol)
        .with_size_limit(Some(setting.size))
        .with_max_recipients(setting.recipients)
        .with_max_recipient_domains(setting.domains)
        .with_max_transactions(setting.transactions)
        .with_extensions(setting.extensions)
        .with_starttls(!setting.no_tls && !setting.implicit_tls)
        .with_required_tls(setting.require_tls)
        .with_mechanisms(setting.mechanisms().iter().copied())
        .with_auth_in_clear(setting.auth_in_clear)
        .with_required_auth(setting.require_auth)
        .with_strict_spaces(setting.strict)
        .with_lenient_line_ends(setting.lenient)
        .with_line_ends(setting.line_ends())
        .with_hooks(hooks)
}

#[expect(clippy::expect_used, reason = "the name is written here, and is one")]
fn host() -> mailwire::proto::Domain {
    application::HOST.parse().expect("a host's name")
}

struct MemoryWire {
    connection: Connection,
    application: Application,
    pieces: Pieces,
    sent: usize,
    input: Vec<u8>,
    output: Vec<u8>,
    /// What the application has said and the machine has not yet asked for.
    answers: VecDeque<Given>,
    /// Nonces lent so far.
    nonces: u8,
    /// Recipients of the transaction that were accepted.
    recipients: Vec<Recipient>,
    body: Vec<u8>,
    need: Option<Need>,
    /// The machine has met a violation.
    broken: bool,
    secured: bool,
}

/// What is given to the machine.
enum Given {
    Answer(Answer),
    Nonce,
    Found(Found),
}

impl MemoryWire {
    /// Gives what is owed. None is owed where the machine has closed meanwhile.
    fn give(&mut self, given: Given) {
        let given = match given {
            Given::Answer(answer) => self.connection.answer(answer),
            Given::Nonce => {
                self.nonces += 1;
                // Nobody is to be kept out here, so that counting is random enough.
                self.connection.lend_nonce(Nonce::new([self.nonces; 18]))
            }
            Given::Found(found) => self.connection.supply(found, &Decoy::new([7; 32])),
        };
        self.broken |= given.is_err();
    }

    fn lend(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        self.pump();
    }

    /// Lends what there is, answers what is asked, and goes on until the machine needs something that is not here.
    fn pump(&mut self) {
        let mut input = std::mem::take(&mut self.input);
        let mut start = 0;
        while !self.broken {
            let step = match self.connection.receive(&input[start..]) {
                Ok(Progress::Event { used, event }) => {
                    start += used;
                    let answer = answer(
                        &self.application,
                        &mut self.recipients,
                        &mut self.body,
                        &event,
                    );
                    self.answers.extend(answer);
                    // In SMTP the end of data is answered once, whoever the recipients are.
                    self.answers.truncate(self.connection.owed());
                    None
                }
                Ok(Progress::Need { used, need }) => {
                    start += used;
                    Some(need)
                }
                Err(_) => {
                    self.broken = true;
                    None
                }
            };
            let replies = self.connection.has_output();
            for slice in self.connection.transmit() {
                self.output.extend_from_slice(&slice);
            }
            self.connection.sent(usize::MAX);
            match step {
                None => {}
                Some(Need::Answer) => {
                    let accept = Given::Answer(Answer::Accept);
                    let given = self.answers.pop_front().unwrap_or(accept);
                    self.give(given);
                }
                // With replies sent there may be commands left.
                Some(Need::More) if replies => {}
                Some(need) => {
                    self.need = Some(need);
                    break;
                }
            }
        }
        input.drain(..start);
        self.input = input;
    }
}

/// What the application says to an event: an answer for each that is owed.
fn answer(
    application: &Application,
    recipients: &mut Vec<Recipient>,
    body: &mut Vec<u8>,
    event: &Event<'_>,
) -> Vec<Given> {
    let answers = match event {
        Event::Nonce => return vec![Given::Nonce],
        Event::Lookup(lookup) => return vec![Given::Found(application.find(lookup))],
        Event::Connect => vec![application.connect()],
        Event::Hello { name, .. } => {
            recipients.clear();
            vec![application.hello(name)]
        }
        Event::Auth { credentials } => vec![application.judge(credentials)],
        Event::Mail {
            reverse_path,
            parameters,
        } => {
            recipients.clear();
            body.clear();
            vec![application.mail(reverse_path, &parameters.to_string())]
        }
        Event::Rcpt { path, parameters } => {
            let recipient = Recipient::new(path.clone()).with_parameters(parameters.clone());
            let answer = application.recipient(&recipient);
            if answer == Answer::Accept {
                recipients.push(recipient);
            }
            vec![answer]
        }
        Event::Body(piece) => {
            body.extend_from_slice(piece);
            Vec::new()
        }
        Event::EndOfData { .. } => {
            application
                .journal
                .write(Note::Message(std::mem::take(body)));
            recipients
                .drain(..)
                .map(|one| Application::delivery(&one))
                .collect()
        }
        Event::Reset => {
            application.journal.told("reset");
            Vec::new()
        }
        Event::Quit => {
            application.journal.told("quit");
            Vec::new()
        }
        Event::Abandoned => {
            body.clear();
            Vec::new()
        }
        Event::Etrn(node) => vec![application.etrn(node)],
        Event::Unknown { .. } => vec![application::unknown()],
        Event::Expand(_) | Event::Verify(_) | Event::Help(_) | Event::Data => vec![Answer::Accept],
        _ => Vec::new(),
    };
    answers.into_iter().map(Given::Answer).collect()
}

impl Wire for MemoryWire {
    fn send(&mut self, octets: &[u8]) {
        let before = self.sent;
        self.sent += octets.len();
        match self.pieces {
            Pieces::Octets => {
                for octet in octets {
                    self.lend(std::slice::from_ref(octet));
                }
            }
            Pieces::CutAt(place) if (before + 1..self.sent).contains(&place) => {
                let (first, second) = octets.split_at(place - before);
                self.lend(first);
                self.lend(second);
            }
            Pieces::Whole | Pieces::CutAt(_) => self.lend(octets),
        }
    }

    fn send_in_clear(&mut self, octets: &[u8]) {
        // Below TLS that is up, octets that are no record end it.
        if self.secured {
            self.broken = true;
        } else {
            self.send(octets);
        }
    }

    fn receive(&mut self, _: Duration) -> Said {
        if !self.output.is_empty() {
            Said::Octets(std::mem::take(&mut self.output))
        } else if self.broken || self.need == Some(Need::Close) {
            Said::End
        } else {
            Said::Nothing
        }
    }

    fn start_tls(&mut self) -> Result<(), String> {
        if self.need != Some(Need::Tls) || self.broken {
            return Err("the server does not wait for a handshake".to_owned());
        }
        self.connection
            .secured(&self.input, tls())
            .map_err(|error| error.to_string())?;
        self.secured = true;
        self.pump();
        Ok(())
    }

    fn finish(&mut self, _: Finish) {
        // What was not a whole line or message never will be; a driver would end the connection here.
        self.need = Some(Need::Close);
    }

    fn exporter(&self) -> Option<[u8; 32]> {
        self.secured.then_some(EXPORTER)
    }

    fn journal(&self) -> Option<Journal> {
        Some(self.application.journal.clone())
    }
}
