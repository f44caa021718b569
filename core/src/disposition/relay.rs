//! Messages that are handed on to another server before they are accepted.

use std::io::{self, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::{Disposition, passed_on};
use crate::client::{Client, Content, OnRefused, Options};
use crate::error::Error;
use crate::proto::{Envelope, Protocol};
use crate::server::{Answers, Body, LOCAL_ERROR, SessionInfo};

/// How long the next server may take for a message in all: our client waits meanwhile, for ten minutes at the least (RFC 5321
/// section 4.5.3.2.6), and sends again what it has given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Hands each message on to another SMTP or LMTP server, and answers as that does: 250 only once it has taken the message for all
/// recipients.
///
/// A 5yz of the next server stays 5yz and a 4yz stays 4yz, with its text made harmless: printable ASCII, 16 lines of 480 octets at
/// the most. A 421 becomes 451, for the session with our client goes on, and so does a refusal of our own login. Where the next
/// server cannot be reached, takes longer than the client's deadline (five minutes, unless one is set) or leaves unknown what became
/// of the message, that is 451 4.4.1: the client sends it again, and nothing is lost. Why that was, and a refusal of our own login or
/// sender, of the connection or of TLS, is [told to whoever runs the server](crate::disposition#when-a-message-cannot-be-taken).
///
/// An SMTP client has one answer for all of its recipients. So the message goes to all or to none, and where one recipient is
/// refused, that is the answer. Only an LMTP server behind this one can take it for some and refuse it for others afterwards; then
/// the answer is a refusal too, a 5yz before a 4yz, rather than a 250 for a message that somebody does not get. By LMTP each
/// recipient gets its own answer.
///
/// Kept of the envelope are paths and parameters: BODY, SMTPUTF8 and what else the next server offers. What it does not offer and
/// the message needs is refused (550 5.3.3, for SMTPUTF8 5.6.7); DSN is left out where it is not offered (RFC 3461 section 5.2).
/// SIZE is the size that the message has. More recipients, or recipients at more domains, than the next server says that it takes
/// (LIMITS RCPTMAX and RCPTDOMAINMAX, RFC 9422) are 452 4.5.3 at the end of the message. By SMTP that is the answer for all, and the
/// message comes again with as many; so [`set_max_recipients`](crate::server::Options::set_max_recipients) should be what the next
/// server takes, and clients split their messages at RCPT. By LMTP it is the answer for those that are too many, to whom the client
/// sends again, and the others get the message now. Nothing is sent in two transactions: where the second fails there would be no
/// answer by SMTP that neither loses nor doubles a message, and by LMTP the client waits for one only as long as for one.
///
/// In front stands a `Received` field, as whoever passes mail on has to write it (RFC 5321 section 4.4), whatever
/// [`set_received`](crate::server::Options::set_received) says; the server writes it where its handler
/// [relays](crate::server::Handler::relays).
///
/// A message is gathered in memory, within [`set_body_memory`](crate::server::Options::set_body_memory), before a connection is
/// borrowed: a client that drips would otherwise hold a connection of the next server. Connections are kept and used again, as by a
/// [`Client`], and are for one tokio runtime.
///
/// A server that strangers could relay through does not start with this. That is known from
/// [`Handler::relays`](crate::server::Handler::relays), which [`Deliver`](super::Deliver) answers by itself. A `Handler` of one's
/// own whose sessions call [`take`](Disposition::take) has to override `relays` and answer `true`: without that nothing keeps
/// strangers from relaying, and no `Received` field is written.
#[derive(Debug)]
pub struct Relay {
    options: Options,
    /// Sends to all or none.
    whole: Client,
    /// Sends to those who take it.
    each: Client,
}

impl Relay {
    /// Hands on to the server of these options, which are checked as a whole. Nothing is connected before there is a message.
    /// Without a deadline it is five minutes; what they say of refused recipients is set here.
    pub fn new(mut options: Options) -> Result<Self, Error> {
        if options.deadline().is_none() {
            options.set_deadline(Some(PATIENCE))?;
        }
        // Of what was refused the error knows where it was, and with it what each recipient was told.
        options.set_on_refused(OnRefused::RaiseIfAny);
        options.set_notices_if_offered(true);
        let mut all = options.clone();
        all.set_all_or_nothing(true);
        options.set_all_or_nothing(false);
        Ok(Self {
            whole: Client::new(all)?,
            each: Client::new(options.clone())?,
            options,
        })
    }

    /// The same with connections of its own, for another runtime.
    pub(super) fn anew(&self) -> Result<Self, Error> {
        Self::new(self.options.clone())
    }
}

impl Disposition for Relay {
    async fn take(&self, _: &SessionInfo, envelope: &Envelope, body: &mut Body<'_>) -> Answers {
        let protocol = body.protocol();
        let Ok(pieces) = body.collect().await else {
            // Why is said to the client by the server itself.
            return LOCAL_ERROR.into();
        };
        let mut parameters = envelope.parameters().clone();
        // What the client declared is advice; what is known now is the size.
        parameters.size = None;
        let envelope = envelope.clone().with_parameters(parameters);
        let client = match protocol {
            Protocol::Smtp => &self.whole,
            Protocol::Lmtp => &self.each,
        };
        let sent = match pieces.as_slice() {
            [] => client.send(&envelope, Content::bytes(&[])).await,
            [piece] => client.send(&envelope, Content::bytes(piece)).await,
            _ => {
                let length = pieces.iter().map(|piece| piece.len() as u64).sum();
                let content = Content::reader(Pieces(pieces.into_iter()), Some(length));
                client.send(&envelope, content).await
            }
        };
        let answers: Answers = match protocol {
            Protocol::Smtp => passed_on::worst(&sent).into(),
            Protocol::Lmtp => passed_on::answers(&sent, envelope.recipients().len())
                .into_iter()
                .collect(),
        };
        match sent {
            Err(error) if passed_on::is_fault(&error) => {
                answers.with_fault(error.with_context("relay"))
            }
            _ => answers,
        }
    }

    fn relays(&self) -> bool {
        true
    }
}

/// Reads pieces one behind the other, and gives each of them back as soon as it was read.
struct Pieces(std::vec::IntoIter<Bytes>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.0.as_mut_slice();
        let Some(piece) = rest.first_mut() else {
            return Ok(0);
        };
        let octets = piece.len().min(buffer.len());
        piece.copy_to_slice(&mut buffer[..octets]);
        if piece.is_empty() {
            self.0.next();
        }
        Ok(octets)
    }
}
