//! Faults between the driver and the engine: each breaks what one group of rows promises, so that the group's cases must notice.

use std::time::Duration;

use super::{Finish, Journal, Said, Setting, Target, Unable, Wire};
use crate::case::Script;
use crate::template::{Names, replaced};

/// What goes wrong on the way.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The group whose promise it breaks.
    pub group: &'static str,
    /// What a server with this fault does.
    pub what: &'static str,
    act: Act,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    /// In what the client sends, this becomes that.
    ToServer(&'static str, &'static str),
    /// In what the server sends, this becomes that.
    ToClient(&'static str, &'static str),
    /// Each LF that has no CR in front gets one.
    Repair,
    /// What stands behind STARTTLS in clear comes to the server inside TLS.
    Inject,
}

const fn to_server(
    group: &'static str,
    what: &'static str,
    from: &'static str,
    to: &'static str,
) -> Fault {
    Fault {
        group,
        what,
        act: Act::ToServer(from, to),
    }
}

const fn to_client(
    group: &'static str,
    what: &'static str,
    from: &'static str,
    to: &'static str,
) -> Fault {
    Fault {
        group,
        what,
        act: Act::ToClient(from, to),
    }
}

/// At least one for each group.
pub const FAULTS: &[Fault] = &[
    Fault {
        group: "lines",
        what: "ends a line at a bare LF",
        act: Act::Repair,
    },
    to_server("lines", "ends a line at NUL", "\0", "\r\n"),
    to_client("lines", "ends its own lines with LF", "\r\n", "\n"),
    to_client(
        "greeting",
        "greets with its address",
        "220 mx",
        "220 [192.0.2.1] mx",
    ),
    to_client(
        "hello",
        "lists extensions to HELO",
        "250 mx.inbox.example\r\n",
        "250-mx.inbox.example\r\n250 SIZE 5\r\n",
    ),
    to_server("mail", "passes over parameters", " FOO=1", ""),
    to_client(
        "mail",
        "takes a second sender",
        "503 5.5.1 Sender already given",
        "250 2.1.0 OK",
    ),
    to_server(
        "rcpt",
        "is an open relay",
        "elsewhere.example",
        "inbox.example",
    ),
    to_server("rcpt", "loses the case of addresses", "MiXeD", "mixed"),
    to_server(
        "data",
        "takes LF.LF for the end of the data",
        "\n.\n",
        "\r\n.\r\n",
    ),
    to_server("data", "repairs bare line ends", "a\nb", "a\r\nb"),
    to_client(
        "session",
        "verifies whoever is asked for",
        "252 2.5.0 Cannot verify the address, but will take mail for it",
        "550 5.1.1 No such user",
    ),
    to_server("session", "does nothing at RSET", "RSET\r\n", "NOOP\r\n"),
    Fault {
        group: "tls",
        what: "runs inside TLS what came in clear",
        act: Act::Inject,
    },
    to_client(
        "tls",
        "asks for passwords in clear",
        "538 5.7.11 Encryption required for this authentication mechanism",
        "334 ",
    ),
    to_client("auth", "lets everybody in", "535 5.7.8", "235 2.7.0"),
    to_client(
        "auth",
        "leaves the space of an empty challenge out",
        "334 \r\n",
        "334\r\n",
    ),
    to_server("size", "takes any size", " SIZE=100001", ""),
    to_server(
        "pipelining",
        "loses a command of a batch",
        "NOOP\r\nNOOP\r\n",
        "NOOP\r\n",
    ),
    to_server("extensions", "takes any body", " BODY=FOO", ""),
    to_client(
        "enhanced",
        "leaves enhanced status codes out",
        " 2.0.0 ",
        " ",
    ),
    to_client(
        "lmtp",
        "answers once for all recipients",
        "250 2.0.0 OK\r\n250 2.0.0 OK\r\n",
        "250 2.0.0 OK\r\n",
    ),
    to_client(
        "submission",
        "takes mail from strangers",
        "530 5.7.0 Authentication required",
        "250 2.1.0 OK",
    ),
    to_server(
        "proxy",
        "honours a PROXY header of anybody",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n",
        "",
    ),
    to_client(
        "limits",
        "goes on for ever",
        "421 4.7.0 Too many commands without mail",
        "250 2.0.0 OK",
    ),
    to_client("sasl", "lets everybody in", "535 5.7.8", "235 2.7.0"),
    to_server(
        "sasl",
        "does not look at what was bound",
        "AUTH SCRAM-SHA-256 eSws",
        "AUTH SCRAM-SHA-256 biws",
    ),
    to_server(
        "bdat",
        "takes every chunk for the last",
        "BDAT 3\r\n",
        "BDAT 3 LAST\r\n",
    ),
    to_client(
        "bdat",
        "goes on behind a size that is none",
        "501 5.5.4 the form is BDAT",
        "250 2.0.0 the form is BDAT",
    ),
    to_server(
        "utf8",
        "takes an address outside ASCII for another one",
        "\u{e9}",
        "e",
    ),
    to_server(
        "dsn",
        "does not look at NOTIFY",
        " NOTIFY=NEVER,SUCCESS",
        "",
    ),
];

/// A server with a fault in front of it.
pub struct Faulty<T> {
    /// The server.
    pub target: T,
    /// What is wrong.
    pub fault: Fault,
}

struct FaultyWire {
    wire: Box<dyn Wire>,
    act: Act,
    /// What is to be injected.
    held: Vec<u8>,
}

impl<T: Target> Target for Faulty<T> {
    fn open(&self, script: &Script, setting: &Setting) -> Result<Box<dyn Wire>, Unable> {
        Ok(Box::new(FaultyWire {
            wire: self.target.open(script, setting)?,
            act: self.fault.act,
            held: Vec::new(),
        }))
    }

    fn names(&self, setting: &Setting) -> Names {
        self.target.names(setting)
    }

    fn is_ours(&self) -> bool {
        self.target.is_ours()
    }

    fn patience(&self) -> Duration {
        self.target.patience()
    }

    fn silence(&self) -> Duration {
        self.target.silence()
    }
}

impl Wire for FaultyWire {
    fn send(&mut self, octets: &[u8]) {
        const STARTTLS: &[u8] = b"STARTTLS\r\n";
        match self.act {
            Act::ToServer(from, to) => {
                self.wire.send(&replaced(octets, from, to));
            }
            Act::Repair => {
                let lines = replaced(octets, "\r\n", "\n");
                self.wire.send(&replaced(&lines, "\n", "\r\n"));
            }
            Act::Inject if octets.starts_with(STARTTLS) => {
                let (command, rest) = octets.split_at(STARTTLS.len());
                self.held = rest.to_vec();
                self.wire.send(command);
            }
            Act::ToClient(..) | Act::Inject => self.wire.send(octets),
        }
    }

    fn send_in_clear(&mut self, octets: &[u8]) {
        self.wire.send_in_clear(octets);
    }

    fn receive(&mut self, patience: Duration) -> Said {
        match (self.wire.receive(patience), self.act) {
            (Said::Octets(octets), Act::ToClient(from, to)) => {
                Said::Octets(replaced(&octets, from, to))
            }
            (said, _) => said,
        }
    }

    fn start_tls(&mut self) -> Result<(), String> {
        self.wire.start_tls()?;
        self.wire.send(&std::mem::take(&mut self.held));
        Ok(())
    }

    fn finish(&mut self, how: Finish) {
        self.wire.finish(how);
    }

    fn exporter(&self) -> Option<[u8; 32]> {
        self.wire.exporter()
    }

    fn journal(&self) -> Option<Journal> {
        self.wire.journal()
    }
}
