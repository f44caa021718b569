//! What a server writes in front of a message that comes, and how a message that goes in circles is told.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::channel::Channel;
use super::{Body, Options};
use crate::message::{Hops, Received, unique};
use crate::proto::{Envelope, Reply};

/// RFC 5321 section 6.3; the enhanced code is of RFC 3463 section 3.5.
pub(super) const MAIL_LOOP: Reply = Reply::fixed(
    554,
    Some((5, 4, 6)),
    "Too many hops, this seems to be a mail loop",
);

impl Options {
    /// Whether a `Received` field is put in front of each message (RFC 5321 section 4.4), which whoever passes mail on or delivers it
    /// has to do. By default it is not: an application gets the octets that were sent. A server whose handler
    /// [relays](super::Handler::relays) writes it whatever this says.
    ///
    /// It has the client's name and address, this server's name, the protocol, version and cipher of TLS, the time in UTC, an id that
    /// no other message has ([`Body::id`]), and the recipient, if there is only one. It counts in all sizes that the application is
    /// told. A field for the outcome of checks (Authentication-Results) belongs right above it.
    pub fn set_received(&mut self, received: bool) {
        self.received = received;
    }

    /// The most `Received` fields that a message may have had when it came; one with more is refused with 554 5.4.6, since it seems to
    /// go in circles (RFC 5321 section 6.3). 0: any number. The default is 100. A message that is accepted without being read is not
    /// looked at.
    pub fn set_max_hops(&mut self, count: usize) {
        self.max_hops = count;
    }
}

/// What is known of a message's way.
#[derive(Debug)]
pub(super) struct Trace {
    id: Option<String>,
    /// What the server puts in front, until it was given.
    field: Option<Bytes>,
    hops: Hops,
    most: usize,
}

impl Trace {
    pub(super) fn new(channel: &Channel, envelope: &Envelope) -> Self {
        let options = &channel.shared.options;
        let id = channel.shared.writes_received().then(unique);
        let field = id.as_deref().map(|id| field(channel, envelope, id));
        Self {
            id,
            field,
            hops: Hops::new(),
            most: options.max_hops,
        }
    }

    /// What comes in front of the message, once.
    pub(super) fn take_field(&mut self) -> Option<Bytes> {
        self.field.take()
    }

    /// Looks at octets of the message. Whether they were passed on too often already.
    pub(super) fn is_loop(&mut self, octets: &[u8]) -> bool {
        if self.most == 0 {
            return false;
        }
        self.hops.look(octets);
        self.hops.count() > self.most
    }
}

impl Body<'_> {
    /// The id of this message in its `Received` field, 32 hexadecimal digits; `None` where none is written: see
    /// [`Options::set_received`](super::Options::set_received).
    pub fn id(&self) -> Option<&str> {
        self.trace.id.as_deref()
    }
}

fn field(channel: &Channel, envelope: &Envelope, id: &str) -> Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let info = &channel.info;
    let recipient = match envelope.recipients() {
        [only] => Some(only.path()),
        _ => None,
    };
    let received = Received {
        hello: info.hello_name(),
        address: info.address().map(|address| address.ip()),
        hostname: channel.shared.config.hostname(),
        protocol: channel.shared.options.protocol(),
        extended: channel.machine.is_extended(),
        utf8: envelope.parameters().smtputf8,
        tls: info.tls(),
        authenticated: info.user().is_some(),
        id,
        recipient,
        time: now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX)),
    };
    received.to_field().into()
}
