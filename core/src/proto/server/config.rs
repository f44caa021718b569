//! What a server is set to: its name, its limits, what it offers and which questions its application wants to be asked.

use super::OwnMechanism;
use crate::proto::{Domain, Protocol, TlsInfo, limits};
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
    pub(super) starttls: bool,
    pub(super) require_tls: bool,
    pub(super) mechanisms: Vec<Mechanism>,
    pub(super) own_mechanisms: Vec<OwnMechanism>,
    pub(super) auth_in_clear: bool,
    pub(super) other_identities: bool,
    pub(super) require_auth: bool,
    pub(super) max_auth_failures: u32,
    pub(super) max_bad_commands: u32,
    pub(super) max_idle_commands: u32,
    pub(super) hooks: Hooks,
}

impl Config {
    /// A server that calls itself `hostname`, offers neither STARTTLS nor AUTH, limits no size, and asks its application about
    /// nothing but the end of data.
    pub fn new(hostname: Domain, protocol: Protocol) -> Self {
        Self {
            hostname,
            protocol,
            size_limit: None,
            max_recipients: limits::RECIPIENTS,
            starttls: false,
            require_tls: false,
            mechanisms: Vec::new(),
            own_mechanisms: Vec::new(),
            auth_in_clear: false,
            other_identities: false,
            require_auth: false,
            max_auth_failures: limits::AUTH_FAILURES,
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

/// A set of the questions that a machine asks its application, instead of answering them itself.
///
/// AUTH and the end of data are always asked about: no machine can answer those.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hooks(u16);

impl Hooks {
    /// No question.
    pub const NONE: Self = Self(0);
    /// [`Event::Connect`](super::Event::Connect).
    pub const CONNECT: Self = Self(1);
    /// [`Event::Hello`](super::Event::Hello).
    pub const HELLO: Self = Self(1 << 1);
    /// [`Event::Mail`](super::Event::Mail).
    pub const MAIL: Self = Self(1 << 2);
    /// [`Event::Rcpt`](super::Event::Rcpt).
    pub const RCPT: Self = Self(1 << 3);
    /// [`Event::Data`](super::Event::Data).
    pub const DATA: Self = Self(1 << 4);
    /// [`Event::Reset`](super::Event::Reset).
    pub const RESET: Self = Self(1 << 5);
    /// [`Event::Verify`](super::Event::Verify).
    pub const VERIFY: Self = Self(1 << 6);
    /// [`Event::Expand`](super::Event::Expand).
    pub const EXPAND: Self = Self(1 << 7);
    /// [`Event::Help`](super::Event::Help).
    pub const HELP: Self = Self(1 << 8);
    /// [`Event::Unknown`](super::Event::Unknown).
    pub const UNKNOWN: Self = Self(1 << 9);
    /// [`Event::Quit`](super::Event::Quit).
    pub const QUIT: Self = Self(1 << 10);
    /// Every question.
    pub const ALL: Self = Self((1 << 11) - 1);

    /// These and `more`.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether all of `asked` are among these.
    pub const fn has(self, asked: Self) -> bool {
        self.0 & asked.0 == asked.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_are_a_set() {
        let single = [
            Hooks::CONNECT,
            Hooks::HELLO,
            Hooks::MAIL,
            Hooks::RCPT,
            Hooks::DATA,
            Hooks::RESET,
            Hooks::VERIFY,
            Hooks::EXPAND,
            Hooks::HELP,
            Hooks::UNKNOWN,
            Hooks::QUIT,
        ];
        for (index, one) in single.into_iter().enumerate() {
            assert!(Hooks::ALL.has(one) && !Hooks::NONE.has(one));
            for other in &single[index + 1..] {
                assert!(!one.has(*other) && one.with(*other).has(*other));
            }
        }
        assert_eq!(
            single.into_iter().fold(Hooks::NONE, Hooks::with),
            Hooks::ALL
        );
        assert!(!Hooks::MAIL.has(Hooks::MAIL.with(Hooks::RCPT)));
    }

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
