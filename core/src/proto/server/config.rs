//! What a server is set to: its name, its limits, what it offers and which questions its application wants to be asked.

use super::{Additions, Extensions, Hooks, OwnMechanism};
use crate::proto::data::LineEnds;
use crate::proto::{Domain, HoldFor, Protocol, TlsInfo, limits};
use crate::sasl::Mechanism;

/// How the connections of one listener behave. Shared by all of them.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, no two exclude each other"
)]
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) hostname: Domain,
    pub(super) protocol: Protocol,
    pub(super) size_limit: Option<u64>,
    pub(super) max_recipients: usize,
    pub(super) max_recipient_domains: Option<usize>,
    pub(super) max_transactions: Option<u32>,
    pub(super) extensions: Extensions,
    pub(super) deliver_by_minimum: u32,
    pub(super) longest_hold: HoldFor,
    pub(super) additions: Additions,
    pub(super) line_ends: LineEnds,
    pub(super) lenient_line_ends: bool,
    pub(super) strict_spaces: bool,
    pub(super) starttls: bool,
    pub(super) require_tls: bool,
    pub(super) mechanisms: Vec<Mechanism>,
    pub(super) own_mechanisms: Vec<OwnMechanism>,
    pub(super) auth_in_clear: bool,
    pub(super) other_identities: bool,
    pub(super) require_auth: bool,
    pub(super) max_auth_failures: u32,
    pub(super) command_line: usize,
    pub(super) auth_line: usize,
    pub(super) max_bad_commands: u32,
    pub(super) max_idle_commands: u32,
    pub(super) hooks: Hooks,
}

impl Config {
    /// A server that calls itself `hostname`, offers [`Extensions::USUAL`] and neither STARTTLS nor AUTH, limits no size, and asks
    /// its application about nothing but the end of data.
    pub fn new(hostname: Domain, protocol: Protocol) -> Self {
        Self {
            hostname,
            protocol,
            size_limit: None,
            max_recipients: limits::RECIPIENTS,
            max_recipient_domains: None,
            max_transactions: None,
            extensions: Extensions::USUAL,
            deliver_by_minimum: 0,
            longest_hold: HoldFor::WEEK,
            additions: Additions::default(),
            line_ends: LineEnds::Refuse,
            lenient_line_ends: false,
            strict_spaces: false,
            starttls: false,
            require_tls: false,
            mechanisms: Vec::new(),
            own_mechanisms: Vec::new(),
            auth_in_clear: false,
            other_identities: false,
            require_auth: false,
            max_auth_failures: limits::AUTH_FAILURES,
            command_line: limits::COMMAND_LINE,
            auth_line: limits::AUTH_LINE,
            max_bad_commands: limits::BAD_COMMANDS,
            max_idle_commands: limits::IDLE_COMMANDS,
            hooks: Hooks::NONE,
        }
    }

    /// The most octets that a message may have; told to the client and enforced (RFC 1870). Zero means no limit, as it does on
    /// the wire.
    #[must_use]
    pub fn with_size_limit(mut self, octets: Option<u64>) -> Self {
        self.size_limit = octets.filter(|&octets| octets > 0);
        self
    }

    /// The most recipients that a message may have, at least one. By default [`limits::RECIPIENTS`].
    #[must_use]
    pub fn with_max_recipients(mut self, recipients: usize) -> Self {
        self.max_recipients = recipients.max(1);
        self
    }

    /// The most domains that all recipients of a session may have, at least one (RFC 9422 section 4.3). By default there is no limit.
    #[must_use]
    pub fn with_max_recipient_domains(mut self, domains: Option<usize>) -> Self {
        self.max_recipient_domains = domains.map(|domains| domains.max(1));
        self
    }

    /// The most transactions of one session, at least one, before MAIL is answered 421. By default there is no limit.
    #[must_use]
    pub fn with_max_transactions(mut self, transactions: Option<u32>) -> Self {
        self.max_transactions = transactions.map(|transactions| transactions.max(1));
        self
    }

    /// The extensions to offer, of those that are a matter of choice. What they need comes with them: SMTPUTF8 brings 8BITMIME
    /// (RFC 6531 section 3.1), BINARYMIME brings CHUNKING (RFC 3030 section 3).
    #[must_use]
    pub fn with_extensions(mut self, extensions: Extensions) -> Self {
        self.extensions = extensions.with_what_they_need();
        self
    }

    /// With DELIVERBY, the fewest seconds within which a message can be asked to be delivered or returned (RFC 2852 section 3). By
    /// default 0: there is no such minimum.
    #[must_use]
    pub fn with_deliver_by_minimum(mut self, seconds: u32) -> Self {
        self.deliver_by_minimum = seconds.min(limits::SECONDS);
        self
    }

    /// With FUTURERELEASE, how long a message can be asked to be held (RFC 4865 section 3). By default a week.
    #[must_use]
    pub fn with_longest_hold(mut self, longest: HoldFor) -> Self {
        self.longest_hold = longest;
        self
    }

    /// What the application offers of its own: keywords, parameters and verbs.
    #[must_use]
    pub fn with_additions(mut self, additions: Additions) -> Self {
        self.additions = additions;
        self
    }

    /// What becomes of a message with a bare CR or LF: by default it is refused at its end. Normalised, each becomes a CRLF; but none
    /// ends the message, or begins a line at which a dot would have a meaning. A message of BODY=BINARYMIME stays as it is.
    #[must_use]
    pub fn with_line_ends(mut self, line_ends: LineEnds) -> Self {
        self.line_ends = line_ends;
        self
    }

    /// Whether LF alone ends a command as CRLF does, for clients of old. It never ends a line of a message, let alone a message
    /// (RFC 5321 section 2.3.8). By default it does not: the line gets one 500 when its CRLF comes.
    #[must_use]
    pub fn with_lenient_line_ends(mut self, lenient: bool) -> Self {
        self.lenient_line_ends = lenient;
        self
    }

    /// Whether a space behind the colon of `MAIL FROM:` and `RCPT TO:` is an error (RFC 5321 section 3.3). By default one is forgiven.
    #[must_use]
    pub fn with_strict_spaces(mut self, strict: bool) -> Self {
        self.strict_spaces = strict;
        self
    }

    /// Whether STARTTLS is offered (RFC 3207).
    #[must_use]
    pub fn with_starttls(mut self, offered: bool) -> Self {
        self.starttls = offered;
        self
    }

    /// Whether mail, AUTH, VRFY and EXPN are refused while the connection is in clear (RFC 3207 section 4).
    #[must_use]
    pub fn with_required_tls(mut self, required: bool) -> Self {
        self.require_tls = required;
        self
    }

    /// The mechanisms to offer for AUTH (RFC 4954), in that order. Without any, AUTH is not known.
    #[must_use]
    pub fn with_mechanisms(mut self, mechanisms: impl IntoIterator<Item = Mechanism>) -> Self {
        self.mechanisms.clear();
        for mechanism in mechanisms {
            if !self.mechanisms.contains(&mechanism) {
                self.mechanisms.push(mechanism);
            }
        }
        self
    }

    /// Adds a mechanism of the application's own.
    #[must_use]
    pub fn with_own_mechanism(mut self, mechanism: OwnMechanism) -> Self {
        self.own_mechanisms.push(mechanism);
        self
    }

    /// Whether mechanisms that need TLS may be used without: all but ANONYMOUS, and never those that are bound to it. By default they
    /// may not.
    #[must_use]
    pub fn with_auth_in_clear(mut self, allowed: bool) -> Self {
        self.auth_in_clear = allowed;
        self
    }

    /// Whether a client may ask to act as somebody else than the user whose password it has. Only for an application that looks at
    /// [`Credentials::authorization_identity`](crate::sasl::Credentials::authorization_identity); by default such a client is
    /// answered 535.
    #[must_use]
    pub fn with_other_identities(mut self, allowed: bool) -> Self {
        self.other_identities = allowed;
        self
    }

    /// Whether mail, VRFY and EXPN are refused before AUTH (RFC 4954 section 6). Without mechanisms nobody can get past it.
    #[must_use]
    pub fn with_required_auth(mut self, required: bool) -> Self {
        self.require_auth = required;
        self
    }

    /// Failed AUTH commands in one session before the next one is answered 421. By default [`limits::AUTH_FAILURES`].
    #[must_use]
    pub fn with_max_auth_failures(mut self, failures: u32) -> Self {
        self.max_auth_failures = failures;
        self
    }

    /// The octets of a command with its CRLF before it is answered 500, within [`limits::COMMAND_LINES`]. By default
    /// [`limits::COMMAND_LINE`]. AUTH and its lines may be as long as [`with_auth_line`](Self::with_auth_line) has it whatever this
    /// says.
    #[must_use]
    pub fn with_command_line(mut self, octets: usize) -> Self {
        let (least, most) = limits::COMMAND_LINES.into_inner();
        self.command_line = octets.clamp(least, most);
        self
    }

    /// The octets of a line of an AUTH exchange with its CRLF before it is answered 500, within [`limits::AUTH_LINES`]; AUTH itself,
    /// which may have such a line in it, may have 32 more. By default [`limits::AUTH_LINE`].
    #[must_use]
    pub fn with_auth_line(mut self, octets: usize) -> Self {
        let (least, most) = limits::AUTH_LINES.into_inner();
        self.auth_line = octets.clamp(least, most);
        self
    }

    /// Bad commands before the next one is answered 421; a message that is accepted forgives all before it. By default
    /// [`limits::BAD_COMMANDS`].
    #[must_use]
    pub fn with_max_bad_commands(mut self, commands: u32) -> Self {
        self.max_bad_commands = commands;
        self
    }

    /// Commands, refused recipients among them, that bring no mail before the next one is answered 421; a message that is accepted
    /// begins the count anew. By default [`limits::IDLE_COMMANDS`].
    #[must_use]
    pub fn with_max_idle_commands(mut self, commands: u32) -> Self {
        self.max_idle_commands = commands;
        self
    }

    /// The questions that the application wants to be asked.
    #[must_use]
    pub fn with_hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    /// The name that the server calls itself.
    pub fn hostname(&self) -> &Domain {
        &self.hostname
    }

    /// SMTP or LMTP.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The most octets that a message may have.
    pub fn size_limit(&self) -> Option<u64> {
        self.size_limit
    }

    /// The extensions that are offered, of those that are a matter of choice.
    pub fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// Whether STARTTLS is offered.
    pub fn starttls(&self) -> bool {
        self.starttls
    }

    /// The mechanisms offered for AUTH.
    pub fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    /// The questions that the application wants to be asked.
    pub fn hooks(&self) -> Hooks {
        self.hooks
    }

    /// Whether AUTH is known at all.
    pub(super) fn has_auth(&self) -> bool {
        !self.mechanisms.is_empty() || !self.own_mechanisms.is_empty()
    }

    /// Whether `mechanism` may be used on a connection that has TLS or not.
    pub(super) fn allows(&self, mechanism: Mechanism, tls: Option<&TlsInfo>) -> bool {
        let bound = match mechanism {
            Mechanism::External => tls.is_some_and(|tls| tls.peer_certificate().is_some()),
            _ if mechanism.is_bound_to_tls() => tls.is_some_and(|tls| tls.exporter().is_some()),
            _ => true,
        };
        bound && self.is_safe(mechanism.needs_tls(), tls) && self.mechanisms.contains(&mechanism)
    }

    /// An application's own mechanism of that name, and whether it may be used.
    pub(super) fn own_mechanism(
        &self,
        name: &str,
        tls: Option<&TlsInfo>,
    ) -> Option<(&OwnMechanism, bool)> {
        let mut own = self.own_mechanisms.iter();
        let own = own.find(|own| own.name.eq_ignore_ascii_case(name))?;
        Some((own, self.is_safe(own.needs_tls, tls)))
    }

    /// The names of the mechanisms that a connection may use: the application's own first.
    pub(super) fn usable<'a>(
        &'a self,
        tls: Option<&'a TlsInfo>,
    ) -> impl Iterator<Item = &'a str> + 'a {
        let own = self.own_mechanisms.iter();
        let own = own.filter(move |own| self.is_safe(own.needs_tls, tls));
        let known = self.mechanisms.iter();
        let known = known.filter(move |known| self.allows(**known, tls));
        own.map(|own| own.name.as_str())
            .chain(known.map(|known| known.name()))
    }

    fn is_safe(&self, needs_tls: bool, tls: Option<&TlsInfo>) -> bool {
        tls.is_some() || (!self.require_tls && (self.auth_in_clear || !needs_tls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_is_none_and_a_mechanism_is_offered_once() {
        let config = Config::new("a.example".parse().unwrap(), Protocol::Smtp)
            .with_size_limit(Some(0))
            .with_max_recipients(0)
            .with_mechanisms([Mechanism::Login, Mechanism::Plain, Mechanism::Login]);
        assert_eq!((config.size_limit(), config.max_recipients), (None, 1));
        assert_eq!(config.mechanisms(), [Mechanism::Login, Mechanism::Plain]);
    }
}
