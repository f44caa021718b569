//! What a server adds to a message that comes, its id, and how a message that goes in circles is told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::channel::Channel;
use super::{Body, Options};
use crate::message::{HeaderScan, Missing, Received, Start, unique};
use crate::proto::{EnhancedStatus, Envelope, Reply};

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
    /// told. A field for the outcome of checks (Authentication-Results) belongs right above it. A message that begins with white
    /// space would continue it: that has no header, and an empty line goes in front of it. A first line that begins with `From` and
    /// white space, as mailbox files have it, is no field and would end the header: `Mailbox-Line: ` goes in front of it.
    ///
    /// A message that was read and is accepted by the usual reply, and by no reply of the application's own, is answered
    /// `250 2.0.0 OK: queued as` and that id.
    pub fn set_received(&mut self, received: bool) {
        self.received = received;
    }

    /// Whether a message without a `Date` field, or without a `Message-ID` field, is given one, as a submission server should do (RFC
    /// 6409 sections 8.2 and 8.3), and nobody else: mail that is passed on is not to be changed. By default it is not.
    ///
    /// This is for every message of the server, whoever sends it; a server for submission is to be one that asks for AUTH or is
    /// reached by trusted hosts alone. The date is the time at which the message began, in UTC; the id has this server's name on its
    /// right side.
    ///
    /// The fields go at the end of the header, in front of its empty line. Where a line stands in front of that which is no field and
    /// continues none, or no empty line comes, the header ends there, and they go there with an empty line behind them: a message
    /// without a header is given one. A first line that begins with `From` and white space, as mailbox files have it between their
    /// messages, counts for nothing: the fields are looked for behind it. It stays as it is, but behind a
    /// [`Received` field](Self::set_received). A field that is there is never changed, even if its value is empty or wrong. What is
    /// added counts in all sizes that the application is told, but not towards the greatest size of a message. A message that is
    /// accepted without being read is not looked at.
    pub fn set_add_missing(&mut self, add: bool) {
        self.add_missing = add;
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
    id: Option<Arc<str>>,
    scan: HeaderScan,
    most_hops: usize,
    missing: Option<Box<Missing>>,
    /// What is to be given before more is read.
    ready: VecDeque<Bytes>,
    /// Behind our field, what is known of how the message begins, until that is enough.
    start: Option<Start>,
}

impl Trace {
    pub(super) fn new(channel: &Channel, envelope: &Envelope) -> Self {
        let options = &channel.shared.options;
        let id = channel
            .shared
            .writes_received()
            .then(|| Arc::from(unique()));
        let field = id.as_deref().map(|id| field(channel, envelope, id));
        let missing = options.add_missing.then(|| {
            let hostname = channel.shared.config.hostname();
            Box::new(Missing::new(hostname, &unique(), now()))
        });
        Self {
            id,
            scan: HeaderScan::new(),
            most_hops: options.max_hops,
            missing,
            start: field.is_some().then(Start::default),
            ready: field.into_iter().collect(),
        }
    }

    /// What comes next without reading more.
    pub(super) fn take_ready(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Whether what is read next, or the end of the message, has to [`pass`](Self::pass) here.
    pub(super) fn takes(&mut self, octets: Option<&[u8]>) -> bool {
        if let (Some(start), Some(octets)) = (&self.start, octets)
            && start.is_usual(octets)
        {
            self.start = None;
        }
        self.start.is_some() || self.missing.is_some()
    }

    /// Takes what [`takes`](Self::takes) says, once it was looked at. What it becomes is ready then, or held back.
    pub(super) fn pass(&mut self, octets: Option<Bytes>) {
        match (self.start.take(), octets) {
            (Some(mut start), Some(octets)) => match start.take(octets) {
                Some((in_front, octets)) => {
                    // Where something may be missing, that comes in front of white space with an empty line of its own.
                    if !in_front.is_empty() && (self.missing.is_none() || in_front != b"\r\n") {
                        self.give(Bytes::from_static(in_front));
                    }
                    self.pass_on(octets);
                }
                None => self.start = Some(start),
            },
            (None, Some(octets)) => self.pass_on(octets),
            (start, None) => {
                self.pass_on(start.unwrap_or_default().finish());
                if let Some(mut missing) = self.missing.take() {
                    missing.finish(&self.scan, &mut self.ready);
                }
            }
        }
    }

    fn pass_on(&mut self, octets: Bytes) {
        let Some(missing) = &mut self.missing else {
            self.give(octets);
            return;
        };
        if missing.pass(&self.scan, &octets, &mut self.ready) {
            self.missing = None;
        }
    }

    fn give(&mut self, octets: Bytes) {
        if !octets.is_empty() {
            self.ready.push_back(octets);
        }
    }

    /// Looks at octets of the message. Whether they were passed on too often already.
    pub(super) fn is_loop(&mut self, octets: &[u8]) -> bool {
        if self.most_hops == 0 && self.missing.is_none() {
            return false;
        }
        self.scan.look(octets);
        self.most_hops > 0 && self.scan.received() > self.most_hops
    }
}

impl Body<'_> {
    /// The id of this message in its `Received` field, 32 hexadecimal digits; `None` where none is written: see
    /// [`Options::set_received`](super::Options::set_received).
    pub fn id(&self) -> Option<&str> {
        self.trace.id.as_deref()
    }

    /// The same, for whoever outlives the message.
    pub(crate) fn shared_id(&self) -> Option<Arc<str>> {
        self.trace.id.clone()
    }
}

/// The usual answer to a message with an id.
pub(super) fn queued_as(id: &str) -> Option<Reply> {
    let reply = Reply::new(250, format!("OK: queued as {id}")).ok()?;
    reply.with_enhanced(EnhancedStatus::new(2, 0, 0)?).ok()
}

/// Seconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

fn field(channel: &Channel, envelope: &Envelope, id: &str) -> Bytes {
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
        authenticated: channel.machine.has_identity(),
        id,
        recipient,
        time: now(),
    };
    received.to_field().into()
}
