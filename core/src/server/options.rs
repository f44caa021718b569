//! How a server is to be set up. Every setter looks at what it is given at once.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::listen::Listen;
use super::users::Users;
use super::{Hooks, Network};
use crate::error::{Error, Status};
use crate::proto::data::LineEnds;
use crate::proto::server::{Additions, Extensions, InvalidAddition, OwnMechanism};
use crate::proto::{Domain, HoldFor, Protocol};
use crate::sasl::{Mechanism, Secret};
use crate::tls::ServerTls;

/// How a server is to be set up. What is not set has a safe default; without an address it listens on a free port of 127.0.0.1.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, set by name"
)]
pub struct Options {
    pub(super) listen: Vec<Listen>,
    pub(super) reuse_port: bool,
    pub(super) unix_mode: Option<u32>,
    pub(super) hostname: Option<Domain>,
    pub(super) protocol: Protocol,
    pub(super) tls: Option<ServerTls>,
    pub(super) line_ends: LineEnds,
    pub(super) lenient_line_ends: bool,
    pub(super) strict_spaces: bool,
    pub(super) implicit_tls: bool,
    pub(super) require_tls: bool,
    pub(super) users: Users,
    pub(super) mechanisms: Option<Vec<Mechanism>>,
    pub(super) own_mechanisms: Vec<OwnMechanism>,
    pub(super) decoy_secret: Option<Secret>,
    pub(super) auth_required: bool,
    pub(super) allow_plaintext_auth: bool,
    pub(super) domains: Option<Vec<Domain>>,
    pub(super) trusted_networks: Option<Vec<Network>>,
    pub(super) bind_sender: bool,
    pub(super) hooks: Option<Hooks>,
    pub(super) stream: bool,
    pub(super) received: bool,
    pub(super) add_missing: bool,
    pub(super) max_hops: usize,
    pub(super) workers: usize,
    pub(super) max_message_size: u64,
    pub(super) max_recipients: usize,
    pub(super) max_recipient_domains: Option<usize>,
    pub(super) max_transactions: Option<u32>,
    pub(super) extensions: Extensions,
    pub(super) deliver_by_minimum: u32,
    pub(super) longest_hold: HoldFor,
    pub(super) additions: Additions,
    pub(super) xclient: Vec<Network>,
    pub(super) proxy_protocol: Vec<Network>,
    pub(super) command_line: usize,
    pub(super) auth_line: usize,
    pub(super) max_bad_commands: u32,
    pub(super) max_idle_commands: u32,
    pub(super) max_auth_failures: u32,
    pub(super) auth_failures_per_address: u32,
    pub(super) auth_failures_per_account: u32,
    pub(super) auth_lockout: Duration,
    pub(super) auth_delay: Duration,
    pub(super) connections_per_minute: u32,
    pub(super) messages_per_minute: u32,
    pub(super) recipients_per_minute: u32,
    pub(super) max_connections: usize,
    pub(super) connections_per_address: usize,
    pub(super) body_memory: u64,
    pub(super) body_memory_per_address: Option<u64>,
    pub(super) answer_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) handshake_timeout: Duration,
    pub(super) session_timeout: Duration,
    pub(super) least_rate: u64,
    pub(super) grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            listen: Vec::new(),
            reuse_port: false,
            unix_mode: None,
            hostname: None,
            protocol: Protocol::Smtp,
            tls: None,
            line_ends: LineEnds::Refuse,
            lenient_line_ends: false,
            strict_spaces: false,
            implicit_tls: false,
            require_tls: false,
            users: Users::default(),
            mechanisms: None,
            own_mechanisms: Vec::new(),
            decoy_secret: None,
            auth_required: false,
            allow_plaintext_auth: false,
            domains: None,
            trusted_networks: None,
            bind_sender: false,
            hooks: None,
            stream: false,
            received: false,
            add_missing: false,
            max_hops: 100,
            workers: 1,
            max_message_size: 50 << 20,
            max_recipients: crate::proto::limits::RECIPIENTS,
            max_recipient_domains: None,
            max_transactions: None,
            extensions: Extensions::USUAL,
            deliver_by_minimum: 0,
            longest_hold: HoldFor::WEEK,
            additions: Additions::new(),
            xclient: Vec::new(),
            proxy_protocol: Vec::new(),
            command_line: crate::proto::limits::COMMAND_LINE,
            auth_line: crate::proto::limits::AUTH_LINE,
            max_bad_commands: crate::proto::limits::BAD_COMMANDS,
            max_idle_commands: crate::proto::limits::IDLE_COMMANDS,
            max_auth_failures: crate::proto::limits::AUTH_FAILURES,
            auth_failures_per_address: 30,
            auth_failures_per_account: 10,
            auth_lockout: Duration::from_secs(300),
            auth_delay: Duration::from_secs(4),
            connections_per_minute: 0,
            messages_per_minute: 0,
            recipients_per_minute: 0,
            max_connections: 1000,
            connections_per_address: 100,
            body_memory: 256 << 20,
            body_memory_per_address: None,
            // RFC 5321 section 4.5.3.2.7 asks a server to wait at least five minutes for a command.
            answer_timeout: Duration::from_secs(300),
            idle_timeout: Duration::from_secs(300),
            handshake_timeout: Duration::from_secs(60),
            session_timeout: Duration::from_secs(24 * 3600),
            least_rate: 64,
            grace: Duration::from_secs(30),
        }
    }

    /// The name that the server greets with. Without one it is the machine's own name, or `localhost` where that is no domain.
    pub fn set_hostname(&mut self, name: &str) -> Result<(), Error> {
        let domain = name
            .parse()
            .map_err(|error| Error::invalid(format!("hostname: {error}")))?;
        self.hostname = Some(domain);
        Ok(())
    }

    /// SMTP or LMTP.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// The certificate for TLS. With it STARTTLS is offered.
    pub fn set_tls(&mut self, tls: ServerTls) {
        self.tls = Some(tls);
    }

    /// What [`set_tls`](Self::set_tls), or `tls` by its name, has set.
    pub fn tls(&self) -> Option<&ServerTls> {
        self.tls.as_ref()
    }

    /// What becomes of a message with a bare CR or LF. By default it is refused; normalised, each of them becomes a CRLF. Neither way
    /// does one end the message.
    pub fn set_line_ends(&mut self, line_ends: LineEnds) {
        self.line_ends = line_ends;
    }

    /// Whether LF alone ends a command as CRLF does, for clients of old. It never ends a line of a message. By default it does not.
    pub fn set_lenient_line_ends(&mut self, lenient: bool) {
        self.lenient_line_ends = lenient;
    }

    /// Whether a space behind the colon of `MAIL FROM:` and `RCPT TO:` is an error. By default one is forgiven.
    pub fn set_strict_spaces(&mut self, strict: bool) {
        self.strict_spaces = strict;
    }

    /// Whether TLS begins with the connection, without STARTTLS (RFC 8314 section 3.3). Needs a certificate.
    pub fn set_implicit_tls(&mut self, implicit: bool) {
        self.implicit_tls = implicit;
    }

    /// Whether nothing but STARTTLS is served in clear. Needs a certificate.
    pub fn set_require_tls(&mut self, required: bool) {
        self.require_tls = required;
    }

    /// Whether MAIL is refused until the client has authenticated.
    pub fn set_auth_required(&mut self, required: bool) {
        self.auth_required = required;
    }

    /// Which questions the application wants to be asked. All others are answered by the library. An async
    /// [`Session`](super::Session) is asked by its [`Handler`](super::Handler) and needs no setting.
    pub fn set_hooks(&mut self, hooks: Hooks) {
        self.hooks = Some(hooks);
    }

    /// Whether the event queue gives a message piece by piece while it arrives, instead of whole. An async
    /// [`Session`](super::Session) always has it as a stream.
    pub fn set_stream(&mut self, stream: bool) {
        self.stream = stream;
    }

    /// Threads that do the I/O of a blocking server. The default is 1.
    pub fn set_workers(&mut self, workers: usize) -> Result<(), Error> {
        self.workers = within("workers", workers, 1..=256)?;
        Ok(())
    }

    /// The most octets of a message. The default is 50 MiB.
    pub fn set_max_message_size(&mut self, octets: u64) -> Result<(), Error> {
        self.max_message_size = within("max_message_size", octets, 1..=u64::MAX)?;
        Ok(())
    }

    /// The most recipients of a transaction. The default is 1000.
    pub fn set_max_recipients(&mut self, count: usize) -> Result<(), Error> {
        self.max_recipients = within("max_recipients", count, 1..=usize::MAX)?;
        Ok(())
    }

    /// The most domains that all recipients of a session may have (RFC 9422 section 4.3). By default there is no limit.
    pub fn set_max_recipient_domains(&mut self, count: usize) -> Result<(), Error> {
        self.max_recipient_domains = Some(within("max_recipient_domains", count, 1..=usize::MAX)?);
        Ok(())
    }

    /// The most transactions of a session; the next MAIL is answered 421. By default there is no limit.
    pub fn set_max_transactions(&mut self, count: u32) -> Result<(), Error> {
        self.max_transactions = Some(within("max_transactions", count, 1..=u32::MAX)?);
        Ok(())
    }

    /// The extensions to offer, of those that are a matter of choice. The default is [`Extensions::USUAL`]: PIPELINING, SIZE,
    /// 8BITMIME, SMTPUTF8 and CHUNKING. The others make promises that the application has to keep.
    pub fn set_extensions(&mut self, extensions: Extensions) {
        self.extensions = extensions;
    }

    /// With DELIVERBY, the fewest seconds within which a message can be asked to be delivered or returned. The default is 0.
    pub fn set_deliver_by_minimum(&mut self, seconds: u32) {
        self.deliver_by_minimum = seconds;
    }

    /// With FUTURERELEASE, how long a message can be asked to be held. The default is a week.
    pub fn set_longest_hold(&mut self, longest: HoldFor) {
        self.longest_hold = longest;
    }

    /// Announces a line of the application's own in the reply to EHLO: a keyword, perhaps with parameters behind a space.
    pub fn add_keyword(&mut self, line: &str) -> Result<(), Error> {
        self.additions
            .add_keyword(line)
            .map_err(|error| unfit("keyword", &error))
    }

    /// Takes a parameter of MAIL that this library does not know. The application gets it with the envelope.
    pub fn add_mail_parameter(&mut self, keyword: &str) -> Result<(), Error> {
        self.additions
            .add_mail_parameter(keyword)
            .map_err(|error| unfit("mail_parameter", &error))
    }

    /// Takes a parameter of RCPT that this library does not know. The application gets it with the recipient.
    pub fn add_rcpt_parameter(&mut self, keyword: &str) -> Result<(), Error> {
        self.additions
            .add_rcpt_parameter(keyword)
            .map_err(|error| unfit("rcpt_parameter", &error))
    }

    /// Asks about a verb that this library does not know, even if no other unknown command is asked about.
    pub fn add_verb(&mut self, verb: &str) -> Result<(), Error> {
        self.additions
            .add_verb(verb)
            .map_err(|error| unfit("verb", &error))
    }

    /// The addresses, as `192.0.2.1` or `2001:db8::/32`, of proxies that are trusted to say for whom they speak, by XCLIENT. By
    /// default there are none, and XCLIENT is neither offered nor taken.
    ///
    /// A proxy stays trusted behind XCLIENT, for it may speak for one client after another on a connection. So it must take its
    /// clients' commands itself and never pass on an XCLIENT of theirs: who can make it do so is whoever it claims to be. Behind
    /// XCLIENT neither EXTERNAL nor a mechanism with -PLUS is offered, and
    /// [`SessionInfo::tls`](super::SessionInfo::tls) has no certificate: that of the connection is the proxy's.
    ///
    /// The proxy's own address is in no limit of connections by address or by the minute, but its connections are among those of
    /// [`set_max_connections`](Self::set_max_connections). The address that it tells is, from then on and until it tells another one;
    /// told that it is not known (`[UNAVAILABLE]`), none is. What is too many is answered 421 in place of the greeting, and the
    /// connection is closed.
    pub fn set_xclient(&mut self, proxies: &[Network]) {
        self.xclient = proxies.to_vec();
    }

    /// Whether a peer with this address is such a proxy.
    pub(super) fn may_say_xclient(&self, address: IpAddr) -> bool {
        Network::any_contains(&self.xclient, address)
    }

    /// The addresses of proxies whose connections must begin with a header of the PROXY protocol, version 1 or 2 (haproxy's
    /// `proxy-protocol.txt`), within 10 seconds or [`set_handshake_timeout`](Self::set_handshake_timeout) where that is less. By default
    /// there are none, and nobody's header is taken.
    ///
    /// The address that a header tells takes the place of the peer's everywhere: in [`SessionInfo`](super::SessionInfo), for
    /// [`set_connections_per_address`](Self::set_connections_per_address), and where it is asked who may say XCLIENT. Where it tells
    /// none (LOCAL, UNKNOWN), the proxy's own counts. A connection with a bad header, of more than 107 octets in version 1 or 552 in
    /// version 2, or with none, is closed without a word.
    pub fn set_proxy_protocol(&mut self, proxies: &[Network]) {
        self.proxy_protocol = proxies.to_vec();
    }

    /// The most connections at a time. Those beyond are greeted with 421; where TLS comes first, or a proxy has not sent its header yet,
    /// nothing can be said, and they are closed without a word. The default is 1000.
    pub fn set_max_connections(&mut self, count: usize) -> Result<(), Error> {
        self.max_connections = within("max_connections", count, 1..=usize::MAX)?;
        Ok(())
    }

    /// The most connections at a time from one address; of IPv6, from one /64 network. Those beyond are greeted with 421, or closed
    /// without a word where TLS comes first. A proxy is not counted, but whom it tells, by a PROXY header or by XCLIENT: see
    /// [`set_proxy_protocol`](Self::set_proxy_protocol) and [`set_xclient`](Self::set_xclient). The default is 100.
    pub fn set_connections_per_address(&mut self, count: usize) -> Result<(), Error> {
        self.connections_per_address = within("connections_per_address", count, 1..=usize::MAX)?;
        Ok(())
    }

    /// How long an event may stay unanswered before the client is told 451 (to AUTH 454, to its connection 421). The default is 300
    /// seconds.
    pub fn set_answer_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.answer_timeout = not_zero("answer_timeout", timeout)?;
        Ok(())
    }

    /// How long a client may take for its next command, all of it, for all of an exchange of AUTH that the server has begun to
    /// answer, or for the next octets of a message. The default is 300 seconds. Once a login counts towards the lockout, as SCRAM
    /// does from the user's name on, the rest of its exchange has 30 seconds at most.
    pub fn set_idle_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.idle_timeout = not_zero("idle_timeout", timeout)?;
        Ok(())
    }

    /// How long a TLS handshake may take, and the header of the PROXY protocol before it, which has 10 seconds at the most. The default
    /// is 60 seconds.
    pub fn set_handshake_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.handshake_timeout = not_zero("handshake_timeout", timeout)?;
        Ok(())
    }

    /// How long a session may last. The default is a day.
    pub fn set_session_timeout(&mut self, timeout: Duration) -> Result<(), Error> {
        self.session_timeout = not_zero("session_timeout", timeout)?;
        Ok(())
    }

    /// The least octets a second that a client must send of a message. It gets one minute before that counts, and what it sends faster
    /// is put to its credit, up to five minutes. The waits between the chunks of a message are counted by themselves: it gets the time of
    /// [`set_idle_timeout`](Self::set_idle_timeout) for them, and what it sends is put to that, up to as much. 0 turns it off. The default
    /// is 64.
    pub fn set_least_rate(&mut self, octets_per_second: u64) {
        self.least_rate = octets_per_second;
    }

    /// How long running transactions may take when an async server is shut down. What is left then ends at once: who waits for its
    /// client says 421 to it, and a hook that still runs is dropped. The default is 30 seconds.
    pub fn set_grace(&mut self, grace: Duration) {
        self.grace = grace;
    }

    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.protocol
    }

    pub(crate) fn stream(&self) -> bool {
        self.stream
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    /// Looks at what only makes sense together.
    pub(super) fn check(&self, hooks: Hooks) -> Result<(), Error> {
        let missing = |what: &str| {
            Err(Error::new(
                Status::TlsConfiguration,
                format!("{what} needs a certificate: give one with tls"),
            ))
        };
        if self.tls.is_none() && self.require_tls {
            return missing("require_tls");
        }
        if self.tls.is_none() && self.implicit_tls {
            return missing("implicit_tls");
        }
        let auth = self.has_auth(hooks);
        if auth && self.tls.is_none() && !self.allow_plaintext_auth {
            return Err(Error::new(
                Status::AuthInsecure,
                "AUTH without TLS would have passwords travel in clear: give a certificate with tls, or set allow_plaintext_auth",
            ));
        }
        if auth && self.own_mechanisms.is_empty() && self.offered_mechanisms(hooks).is_empty() {
            return Err(Error::invalid(
                "mechanisms: neither the users that were given nor the hooks can serve one of them",
            ));
        }
        if self.auth_required && !auth {
            return Err(Error::invalid(
                "auth_required: nobody could authenticate without a user, an AUTH or LOOKUP hook, or a mechanism of your own",
            ));
        }
        if self.bind_sender && !auth {
            return Err(Error::invalid(
                "bind_sender: nobody could authenticate without a user, an AUTH or LOOKUP hook, or a mechanism of your own",
            ));
        }
        Ok(())
    }
}

fn unfit(name: &str, error: &InvalidAddition) -> Error {
    Error::invalid(format!("{name}: {error}"))
}

pub(super) fn within<T: PartialOrd + std::fmt::Display>(
    name: &str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, Error> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(Error::invalid(format!(
            "{name}: {value} is not between {} and {}",
            range.start(),
            range.end()
        )))
    }
}

pub(super) fn not_zero(name: &str, time: Duration) -> Result<Duration, Error> {
    // Beyond a century, adding it to a clock could overflow.
    if time.is_zero() || time > Duration::from_secs(100 * 365 * 24 * 3600) {
        Err(Error::invalid(format!(
            "{name}: {} seconds are no useful time: give more than 0, and at most a century",
            time.as_secs_f64()
        )))
    } else {
        Ok(time)
    }
}
