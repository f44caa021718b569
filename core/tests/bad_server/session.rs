//! Good sessions, word by word, and what a client may know of its message at each octet of them, for each recipient.

use std::collections::VecDeque;

use mailwire::client::{Connection, Content, Options};
use mailwire::proto::{Envelope, Protocol};
use mailwire::sasl::Credentials;
use mailwire::tls::TlsPolicy;
use mailwire::{Delivery, Error, Outcome, Phase};

pub(crate) const MESSAGE: &[u8] = b"Subject: test\r\n\r\nbody\r\n";

/// What the server waits for, and what it says then: each reply with the phase in which a client waits for it.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) hears: &'static str,
    pub(crate) says: &'static [(Phase, &'static str)],
}

impl Turn {
    pub(crate) fn words(&self) -> String {
        self.says.iter().map(|(_, reply)| *reply).collect()
    }
}

/// A session up to its end, and the turn before which the whole message has left the client.
pub(crate) struct Session {
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) turns: &'static [Turn],
    pub(crate) handed_over: usize,
}

const GREETING: Turn = Turn {
    hears: "",
    says: &[(Phase::Greeting, "220-bad.example\r\n220 ESMTP\r\n")],
};
const AUTH: Turn = Turn {
    hears: "AUTH PLAIN AHVzZXIAc2VjcmV0\r\n",
    says: &[(Phase::Auth, "235 2.7.0 welcome\r\n")],
};
const BODY: Turn = Turn {
    hears: "Subject: test\r\n\r\nbody\r\n.\r\n",
    says: &[(Phase::EndOfData, ACCEPTED)],
};
const QUIT: Turn = Turn {
    hears: "QUIT\r\n",
    says: &[(Phase::Quit, "221 2.0.0 bye\r\n")],
};
const MAIL_OK: (Phase, &str) = (Phase::Mail, "250 2.1.0 ok\r\n");
const A_OK: (Phase, &str) = (Phase::Rcpt, "250 2.1.5 ok\r\n");
const B_REFUSED: (Phase, &str) = (Phase::Rcpt, "550-5.1.1 no\r\n550 5.1.1 such user\r\n");
const GO_ON: (Phase, &str) = (Phase::Data, "354 go on\r\n");
const ACCEPTED: &str = "250 2.0.0 Ok: queued as GOOD1\r\n";

/// What LMTP says to each recipient that it took.
const LMTP_END: &[(Phase, &str)] = &[
    (Phase::EndOfData, "250 2.0.0 delivered\r\n"),
    (Phase::EndOfData, "452-4.2.2 mailbox\r\n452 4.2.2 full\r\n"),
    (Phase::EndOfData, ACCEPTED),
];

/// Each command answered by itself, PIPELINING, and the message in one flight with its envelope; and LMTP both ways.
pub(crate) const SESSIONS: [Session; 5] = [
    Session {
        name: "one by one",
        protocol: Protocol::Smtp,
        turns: &[
            GREETING,
            Turn {
                hears: "EHLO client.example\r\n",
                says: &[(Phase::Hello, "250-bad.example\r\n250 AUTH PLAIN\r\n")],
            },
            AUTH,
            Turn {
                hears: "MAIL FROM:<me@example.org>\r\n",
                says: &[MAIL_OK],
            },
            Turn {
                hears: "RCPT TO:<a@x.example>\r\n",
                says: &[A_OK],
            },
            Turn {
                hears: "RCPT TO:<b@x.example>\r\n",
                says: &[B_REFUSED],
            },
            Turn {
                hears: "DATA\r\n",
                says: &[GO_ON],
            },
            BODY,
            QUIT,
        ],
        handed_over: 7,
    },
    Session {
        name: "pipelined",
        protocol: Protocol::Smtp,
        turns: &[
            GREETING,
            Turn {
                hears: "EHLO client.example\r\n",
                says: &[(
                    Phase::Hello,
                    "250-bad.example\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n",
                )],
            },
            AUTH,
            Turn {
                hears: "MAIL FROM:<me@example.org>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n",
                says: &[MAIL_OK, A_OK, B_REFUSED, GO_ON],
            },
            BODY,
            QUIT,
        ],
        handed_over: 4,
    },
    Session {
        name: "one flight",
        protocol: Protocol::Smtp,
        turns: &[
            GREETING,
            Turn {
                hears: "EHLO client.example\r\n",
                says: &[(
                    Phase::Hello,
                    "250-bad.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 AUTH PLAIN\r\n",
                )],
            },
            AUTH,
            Turn {
                hears: "MAIL FROM:<me@example.org>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nBDAT 23 LAST\r\nSubject: test\r\n\r\nbody\r\n",
                says: &[MAIL_OK, A_OK, B_REFUSED, (Phase::EndOfData, ACCEPTED)],
            },
            QUIT,
        ],
        handed_over: 3,
    },
    Session {
        name: "LMTP",
        protocol: Protocol::Lmtp,
        turns: &[
            GREETING,
            Turn {
                hears: "LHLO client.example\r\n",
                says: &[(
                    Phase::Hello,
                    "250-bad.example\r\n250-PIPELINING\r\n250 AUTH PLAIN\r\n",
                )],
            },
            AUTH,
            Turn {
                hears: "MAIL FROM:<me@example.org>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\n\
                        RCPT TO:<d@x.example>\r\nDATA\r\n",
                says: &[MAIL_OK, A_OK, B_REFUSED, A_OK, A_OK, GO_ON],
            },
            Turn {
                hears: BODY.hears,
                says: LMTP_END,
            },
            QUIT,
        ],
        handed_over: 4,
    },
    Session {
        name: "LMTP in one flight",
        protocol: Protocol::Lmtp,
        turns: &[
            GREETING,
            Turn {
                hears: "LHLO client.example\r\n",
                says: &[(
                    Phase::Hello,
                    "250-bad.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 AUTH PLAIN\r\n",
                )],
            },
            AUTH,
            Turn {
                hears: "MAIL FROM:<me@example.org>\r\nRCPT TO:<a@x.example>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\n\
                        RCPT TO:<d@x.example>\r\nBDAT 23 LAST\r\nSubject: test\r\n\r\nbody\r\n",
                says: &[
                    MAIL_OK,
                    A_OK,
                    B_REFUSED,
                    A_OK,
                    A_OK,
                    LMTP_END[0],
                    LMTP_END[1],
                    LMTP_END[2],
                ],
            },
            QUIT,
        ],
        handed_over: 3,
    },
];

/// The octet before which the server stops: so many of a turn were said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) turn: usize,
    pub(crate) octets: usize,
}

impl Session {
    /// All places: before the first octet of each turn, with what it waits for heard, up to behind its last, with the next unheard.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let turns = self.turns.iter().enumerate();
        turns.flat_map(|(turn, t)| (0..=t.words().len()).map(move |octets| Place { turn, octets }))
    }

    /// Whether the last octet that was said ends a turn.
    pub(crate) fn is_between_turns(&self, place: Place) -> bool {
        place.octets == self.turns[place.turn].words().len()
    }

    /// Every reply, with the place behind it.
    pub(crate) fn replies(&self) -> impl Iterator<Item = (Phase, Place)> {
        self.turns.iter().enumerate().flat_map(|(turn, t)| {
            let mut octets = 0;
            t.says.iter().map(move |(phase, reply)| {
                octets += reply.len();
                (*phase, Place { turn, octets })
            })
        })
    }

    /// The phase of the first reply that is not whole. `None`: all were said.
    pub(crate) fn waits_in(&self, place: Place) -> Option<Phase> {
        let mut replies = self.replies();
        replies.find_map(|(phase, end)| {
            (end.turn > place.turn || end.turn == place.turn && end.octets > place.octets)
                .then_some(phase)
        })
    }

    /// What is known of each recipient, if the whole message has left the client or not.
    pub(crate) fn deliveries(&self, place: Place, has_left: bool) -> Vec<Delivery> {
        let open = if has_left {
            Delivery::Unknown
        } else {
            Delivery::NotTried
        };
        let mut known = vec![open; self.recipients().len()];
        let mut asked = 0;
        // Those that are still to be answered at the end of data, in order.
        let mut taken = VecDeque::new();
        for (phase, reply) in self.said(place) {
            let delivery = match reply.as_bytes().first() {
                Some(b'2') => Delivery::Accepted,
                Some(b'4') => Delivery::Deferred,
                _ => Delivery::Refused,
            };
            match phase {
                Phase::Rcpt if delivery == Delivery::Accepted => taken.push_back(asked),
                Phase::Rcpt => known[asked] = delivery,
                Phase::EndOfData if self.protocol == Protocol::Lmtp => {
                    known[taken.pop_front().unwrap()] = delivery;
                }
                Phase::EndOfData => taken.drain(..).for_each(|at| known[at] = delivery),
                _ => {}
            }
            asked += usize::from(phase == Phase::Rcpt);
        }
        known
    }

    /// The replies that were said whole.
    fn said(&self, place: Place) -> impl Iterator<Item = (Phase, &'static str)> {
        let all = self.turns.iter().flat_map(|turn| turn.says);
        let ends = self.replies().map(|(_, end)| end);
        all.copied().zip(ends).filter_map(move |(said, end)| {
            (end.turn < place.turn || end.turn == place.turn && end.octets <= place.octets)
                .then_some(said)
        })
    }

    /// What is known of each recipient at the end.
    pub(crate) fn result(&self) -> Vec<Delivery> {
        let turn = self.turns.len();
        self.deliveries(Place { turn, octets: 0 }, true)
    }

    fn recipients(&self) -> &'static [&'static str] {
        const ALL: &[&str] = &["a@x.example", "b@x.example", "c@x.example", "d@x.example"];
        let rcpts = self.replies().filter(|(phase, _)| *phase == Phase::Rcpt);
        &ALL[..rcpts.count()]
    }

    pub(crate) fn envelope(&self) -> Envelope {
        Envelope::parse("me@example.org", self.recipients()).unwrap()
    }
}

/// How a client has such a session.
pub(crate) fn options(session: &Session) -> Options {
    let mut options = Options::new();
    options.set_protocol(session.protocol);
    options.set_local_hostname("client.example").unwrap();
    options.set_tls(TlsPolicy::None);
    options.set_credentials(Credentials::new("user", "secret").unwrap());
    options.set_allow_plaintext_auth(true);
    options
}

/// One whole session of a client.
pub(crate) async fn send(options: &Options, envelope: Envelope) -> Result<Outcome, Error> {
    let mut connection = Connection::open(options).await?;
    let sent = connection.send(envelope, Content::bytes(MESSAGE)).await;
    if connection.is_usable() {
        connection.quit().await;
    }
    sent
}

pub(crate) fn deliveries(outcome: &Outcome) -> Vec<Delivery> {
    let all = outcome.recipients().iter();
    all.map(mailwire::RecipientOutcome::delivery).collect()
}
