//! Whose mail a server takes, and for whom: relaying, and the sender that a user may be.

use std::net::SocketAddr;

use super::serve::Shared;
use super::{Network, Options};
use crate::error::Error;
use crate::proto::{Domain, ForwardPath, Mailbox, Reply};

pub(super) const NOT_OURS: Reply = Reply::fixed(
    550,
    Some((5, 7, 1)),
    "Relaying denied: not a domain of this server",
);
pub(super) const NOT_YOURS: Reply = Reply::fixed(
    553,
    Some((5, 7, 1)),
    "The sender's address is not that of the user who has authenticated",
);

impl Options {
    /// The domains whose recipients are taken from everybody; those of others are taken from a client of
    /// [`set_trusted_networks`](Self::set_trusted_networks) and from one that has authenticated, by another mechanism than
    /// ANONYMOUS, and are refused to strangers: relaying is denied (550 5.7.1). The postmaster without a domain is always taken
    /// (RFC 5321 section 4.5.1). `None`, the default: any recipient, unless there are trusted networks; for mail that ends in this
    /// process.
    ///
    /// A source route leads nowhere: its mailbox counts alone. A local part that may name a further place, with a `%`, `!` or `@` in
    /// it, is refused to strangers too, for a server behind this one might follow it.
    pub fn set_domains(&mut self, domains: Option<Vec<Domain>>) {
        self.domains = domains;
    }

    /// The networks whose clients may name any recipient. Once set, even to none, strangers may name only those of
    /// [`set_domains`](Self::set_domains), and without domains no one but the postmaster. The address is the peer's, or what a
    /// trusted proxy tells by XCLIENT or the PROXY protocol; a client of a Unix socket has none, and is a stranger. By default no
    /// network is trusted.
    pub fn set_trusted_networks(&mut self, networks: &[Network]) {
        self.trusted_networks = Some(networks.to_vec());
    }

    /// Whether one who has authenticated may send in no other name: MAIL with another address than the user's is refused
    /// (553 5.7.1). A user whose name is an address has that one; any other has the name as a local part at each of
    /// [`set_domains`](Self::set_domains), or at the server's own name where there are none. Domains are compared by meaning, local
    /// parts letter by letter. Who came by ANONYMOUS has no address. The null reverse-path is always taken, as notices need it (RFC
    /// 5321 section 4.5.5), and so is any from who has not authenticated, which [`set_auth_required`](Self::set_auth_required)
    /// prevents. Needs users or a hook that knows them. By default senders are not looked at.
    pub fn set_bind_sender(&mut self, bind: bool) {
        self.bind_sender = bind;
    }

    /// Whether a stranger cannot make this server send mail elsewhere.
    pub(super) fn restricts_relaying(&self) -> bool {
        let anonymous = self.mechanisms.as_deref().unwrap_or_default();
        let anonymous = anonymous.contains(&crate::sasl::Mechanism::Anonymous);
        self.restricts_recipients() || (self.auth_required && !anonymous)
    }

    /// Refuses to be an open relay: fails where messages are handed on to other servers and a stranger could have it do so.
    pub(crate) fn check_relaying(&self, relays: bool) -> Result<(), Error> {
        if !relays || self.restricts_relaying() {
            return Ok(());
        }
        Err(Error::invalid(
            "domains: without them this server would hand on any mail of anybody; set domains, trusted_networks, or auth_required without ANONYMOUS",
        ))
    }

    /// Whether it is asked of each recipient if strangers may name it.
    pub(super) fn restricts_recipients(&self) -> bool {
        self.domains.is_some() || self.trusted_networks.is_some()
    }

    /// Whether a client with this address may name any recipient.
    pub(super) fn trusts(&self, address: Option<SocketAddr>) -> bool {
        let known = address.zip(self.trusted_networks.as_deref());
        known.is_some_and(|(address, networks)| Network::any_contains(networks, address.ip()))
    }

    /// Whether everybody may name this recipient, where it is asked.
    pub(super) fn is_own(&self, path: &ForwardPath) -> bool {
        let ForwardPath::Mailbox(mailbox) = path else {
            return true;
        };
        let mut domains = self.domains.iter().flatten();
        domains.any(|own| mailbox.is_at(own)) && !leads_on(mailbox)
    }
}

impl Shared {
    /// Whether the user who has authenticated may send mail from this mailbox.
    pub(super) fn is_senders(&self, user: &str, mailbox: &Mailbox) -> bool {
        if user.contains('@') {
            return user.parse().is_ok_and(|own: Mailbox| own == *mailbox);
        }
        let domains = self.options.domains.as_deref().unwrap_or_default();
        let at_own = if domains.is_empty() {
            mailbox.is_at(self.config.hostname())
        } else {
            domains.iter().any(|own| mailbox.is_at(own))
        };
        at_own && mailbox.is_of(user)
    }
}

/// Whether a local part may be read as a place to send on to: `user%other`, `other!user`, `"user@other"`. Quoting hides none of them.
fn leads_on(mailbox: &Mailbox) -> bool {
    mailbox.local_part().contains(['%', '!', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::Mechanism;

    #[test]
    fn what_keeps_strangers_from_relaying() {
        let with = |change: fn(&mut Options)| {
            let mut options = Options::new();
            change(&mut options);
            options.restricts_relaying()
        };
        assert!(!with(|_| {}));
        assert!(with(|o| o.set_domains(Some(Vec::new()))));
        assert!(with(|o| o.set_trusted_networks(&[])));
        assert!(with(|o| o.set_auth_required(true)));
        // Anybody can authenticate so.
        assert!(!with(|o| {
            o.set_auth_required(true);
            o.set_mechanisms(&[Mechanism::Plain, Mechanism::Anonymous])
                .unwrap();
        }));
    }

    #[test]
    fn a_client_without_an_address_is_in_no_network() {
        let mut options = Options::new();
        options.set_trusted_networks(&["::/0".parse().unwrap(), "192.0.2.0/24".parse().unwrap()]);
        assert!(options.trusts(Some("192.0.2.7:25".parse().unwrap())));
        assert!(options.trusts(Some("[::ffff:192.0.2.7]:25".parse().unwrap())));
        assert!(!options.trusts(Some("192.0.3.7:25".parse().unwrap())));
        assert!(!options.trusts(None));
    }
}
