//! A driver in memory for the server's machine, which holds it to what it promises its driver.

use std::sync::Arc;

use mailwire::proto::server::{Answer, Config, Connection, Event, Extensions, Hooks};
use mailwire::proto::{Need, Progress, Protocol, Reply, TlsInfo, TlsVersion, limits};
use mailwire::sasl::{Decoy, Mechanism, Nonce};

use crate::random::Random;
use crate::users;

/// A machine, and the application behind it.
pub(crate) struct Server {
    pub(crate) connection: Connection,
    /// What was lent and not used.
    input: Vec<u8>,
    /// What the machine has sent and nobody has taken.
    output: Vec<u8>,
    application: Random,
    /// Of eight answers, so many are refusals.
    refusing: usize,
    pub(crate) end: End,
}

/// Whether a session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// More can be lent.
    Open,
    /// The machine wants TLS.
    Tls,
    /// It wants the connection to be closed.
    Closed,
    /// It met a violation.
    Violated,
}

/// What a server is set to, by the bits of `choice`.
pub(crate) fn config(choice: u8) -> Config {
    let bit = |bit: u8| choice & 1 << bit != 0;
    let protocol = if bit(0) {
        Protocol::Lmtp
    } else {
        Protocol::Smtp
    };
    let every = [
        Extensions::BINARYMIME,
        Extensions::REQUIRETLS,
        Extensions::LIMITS,
        Extensions::DELIVERBY,
        Extensions::MT_PRIORITY,
        Extensions::FUTURERELEASE,
    ];
    let every = every.into_iter().fold(Extensions::USUAL, Extensions::with);
    Config::new(hostname(), protocol)
        .with_hooks(if bit(1) { Hooks::ALL } else { Hooks::NONE })
        .with_extensions(if bit(6) { Extensions::USUAL } else { every })
        .with_size_limit(bit(2).then_some(40))
        .with_mechanisms(Mechanism::ALL.into_iter().filter(|_| bit(3)))
        .with_auth_in_clear(bit(4))
        .with_required_auth(bit(3) && bit(5))
        .with_other_identities(bit(5))
        .with_max_recipients(if bit(6) { 3 } else { limits::RECIPIENTS })
        .with_max_bad_commands(if bit(6) { 3 } else { limits::BAD_COMMANDS })
        .with_starttls(bit(7))
}

fn hostname() -> mailwire::proto::Domain {
    mailwire::proto::Domain::literal([192, 0, 2, 1].into())
}

pub(crate) fn tls() -> TlsInfo {
    TlsInfo::new(TlsVersion::Tls13, "TLS13_AES_256_GCM_SHA384")
        .with_exporter(Some([2; 32]))
        .with_peer_certificate(Some(b"certificate".to_vec()))
}

impl Server {
    /// A session that has begun; `answers` decides what the application says.
    pub(crate) fn new(config: Config, tls: Option<TlsInfo>, answers: u8) -> Self {
        let mut connection = Connection::new(Arc::new(config), tls);
        connection.set_trusted(answers & 64 != 0);
        connection.set_time(1_800_000_000);
        Self {
            connection,
            input: Vec::new(),
            output: Vec::new(),
            application: Random::new(u64::from(answers) << 8),
            refusing: usize::from(answers % 4),
            end: End::Open,
        }
    }

    /// Lends `segment`, answers at once whatever is asked, and tells `told` of each event.
    pub(crate) fn lend(&mut self, segment: &[u8], told: &mut dyn FnMut(&Event<'_>)) {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(segment);
        let (mut start, mut idle) = (0, 0);
        while self.end == End::Open {
            idle += 1;
            assert!(idle < 64, "progress");
            match self.connection.receive(&input[start..]) {
                Ok(Progress::Event { used, event }) => {
                    if used > 0 {
                        idle = 0;
                    }
                    start += used;
                    told(&event);
                    match event {
                        Event::Nonce => {
                            let lent = self.connection.lend_nonce(Nonce::new([1; 18]));
                            assert!(lent.is_ok(), "a nonce is owed");
                        }
                        Event::Lookup(lookup) => {
                            let decoy = Decoy::new([0; 32]);
                            let supplied = self.connection.supply(users::find(&lookup), &decoy);
                            assert!(supplied.is_ok(), "a user is owed");
                        }
                        _ => {}
                    }
                    while self.connection.owed() > 0 {
                        let answer = self.answer();
                        assert!(self.connection.answer(answer).is_ok(), "an answer is owed");
                    }
                }
                Ok(Progress::Need { used, need }) => {
                    start += used;
                    let said = self.take_output();
                    match need {
                        Need::More if said => idle = 0,
                        Need::More => break,
                        Need::Answer => assert!(self.connection.owed() > 0, "an answer is owed"),
                        Need::Tls => self.end = End::Tls,
                        Need::Close => self.end = End::Closed,
                    }
                }
                Err(_) => self.end = End::Violated,
            }
        }
        self.take_output();
        self.input = input[start..].to_vec();
        assert!(
            self.input.len() <= limits::AUTH_LINE + 2,
            "a driver keeps a line at most"
        );
    }

    /// TLS is up, if nothing was left to be read in clear.
    pub(crate) fn secure(&mut self) {
        let secured = self.connection.secured(&self.input, tls());
        assert_eq!(
            secured.is_ok(),
            self.input.is_empty(),
            "nothing is carried over into TLS"
        );
        self.end = if secured.is_ok() {
            End::Open
        } else {
            End::Violated
        };
    }

    /// What was sent since the last call, held to be clean.
    pub(crate) fn output(&mut self) -> Vec<u8> {
        for line in self.output.split_inclusive(|octet| *octet == b'\n') {
            let text = line.strip_suffix(b"\r\n").unwrap_or_default();
            let (code, rest) = text.split_at_checked(3).unwrap_or_default();
            let clean = text.iter().all(|octet| (b' '..=b'~').contains(octet));
            assert!(
                clean
                    && line.len() <= 512
                    && code.iter().all(u8::is_ascii_digit)
                    && matches!(rest.first(), Some(b' ' | b'-')),
                "no reply: {}",
                line.escape_ascii()
            );
        }
        std::mem::take(&mut self.output)
    }

    fn take_output(&mut self) -> bool {
        let before = self.output.len();
        for slice in self.connection.transmit() {
            self.output.extend_from_slice(&slice);
        }
        let said = self.output.len() - before;
        assert!(said <= 128 * 1024, "replies that wait are bounded");
        self.connection.sent(said);
        said > 0
    }

    fn answer(&mut self) -> Answer {
        const REFUSALS: [(u16, &str); 6] = [
            (550, "no"),
            (451, "later"),
            (552, "too much"),
            (354, "unfit"),
            (252, "perhaps"),
            (421, "closing"),
        ];
        if self.application.below(8) >= self.refusing {
            return Answer::Accept;
        }
        let (code, text) = REFUSALS[self.application.below(REFUSALS.len())];
        Reply::new(code, text).map_or(Answer::Accept, Answer::Reply)
    }
}
