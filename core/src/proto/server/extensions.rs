//! The extensions that a server offers as a matter of choice.

use crate::proto::Extension;

/// A set of the extensions that a server offers because it was told to. STARTTLS, AUTH, ETRN, EXPN and XCLIENT are not among them:
/// they follow from what the server has and is asked. ENHANCEDSTATUSCODES and HELP are always offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Extensions(u16);

impl Extensions {
    /// None.
    pub const NONE: Self = Self(0);
    /// PIPELINING (RFC 2920). Commands in groups are taken even without it.
    pub const PIPELINING: Self = Self(1);
    /// SIZE (RFC 1870). The limit holds even without it.
    pub const SIZE: Self = Self(1 << 1);
    /// 8BITMIME (RFC 6152).
    pub const EIGHT_BIT_MIME: Self = Self(1 << 2);
    /// SMTPUTF8 (RFC 6531): letters outside ASCII in addresses.
    pub const SMTPUTF8: Self = Self(1 << 3);
    /// CHUNKING (RFC 3030): BDAT.
    pub const CHUNKING: Self = Self(1 << 4);
    /// BINARYMIME (RFC 3030): the application takes messages that are not in lines.
    pub const BINARYMIME: Self = Self(1 << 5);
    /// DSN (RFC 3461): the application gives the notices that senders ask for.
    pub const DSN: Self = Self(1 << 6);
    /// REQUIRETLS (RFC 8689), under TLS: the application passes such messages on through verified TLS alone.
    pub const REQUIRETLS: Self = Self(1 << 7);
    /// LIMITS (RFC 9422): the limits of a session are told.
    pub const LIMITS: Self = Self(1 << 8);
    /// DELIVERBY (RFC 2852): the application delivers in time.
    pub const DELIVERBY: Self = Self(1 << 9);
    /// MT-PRIORITY (RFC 6710): the application heeds priorities.
    pub const MT_PRIORITY: Self = Self(1 << 10);
    /// FUTURERELEASE (RFC 4865), for clients that can authenticate: the application holds messages. The machine must be told the
    /// time, by [`Connection::set_time`](super::Connection::set_time).
    pub const FUTURERELEASE: Self = Self(1 << 11);

    /// What a server offers unless it is told otherwise: that which asks nothing of its application but to take what comes.
    pub const USUAL: Self = Self::PIPELINING
        .with(Self::SIZE)
        .with(Self::EIGHT_BIT_MIME)
        .with(Self::SMTPUTF8)
        .with(Self::CHUNKING);

    const ALL: [(Self, Extension); 12] = [
        (Self::PIPELINING, Extension::Pipelining),
        (Self::SIZE, Extension::Size),
        (Self::EIGHT_BIT_MIME, Extension::EightBitMime),
        (Self::SMTPUTF8, Extension::SmtpUtf8),
        (Self::CHUNKING, Extension::Chunking),
        (Self::BINARYMIME, Extension::BinaryMime),
        (Self::DSN, Extension::Dsn),
        (Self::REQUIRETLS, Extension::RequireTls),
        (Self::LIMITS, Extension::Limits),
        (Self::DELIVERBY, Extension::DeliverBy),
        (Self::MT_PRIORITY, Extension::MtPriority),
        (Self::FUTURERELEASE, Extension::FutureRelease),
    ];

    /// These and `more`.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// These without `fewer`.
    #[must_use]
    pub const fn without(self, fewer: Self) -> Self {
        Self(self.0 & !fewer.0)
    }

    /// Whether all of `asked` are among these.
    pub const fn has(self, asked: Self) -> bool {
        self.0 & asked.0 == asked.0
    }

    /// The one of that keyword, in any case. `None` if it is not known or not a matter of choice.
    pub fn from_keyword(keyword: &str) -> Option<Self> {
        let extension = Extension::from_keyword(keyword)?;
        let found = Self::ALL.iter().find(|(_, known)| *known == extension)?;
        Some(found.0)
    }

    /// RFC 6531 section 3.1, RFC 3030 section 3.
    pub(super) fn with_what_they_need(self) -> Self {
        let mut all = self;
        if self.has(Self::SMTPUTF8) {
            all = all.with(Self::EIGHT_BIT_MIME);
        }
        if self.has(Self::BINARYMIME) {
            all = all.with(Self::CHUNKING);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_keyword_and_is_one_of_its_own() {
        let mut all = Extensions::NONE;
        for (one, extension) in Extensions::ALL {
            assert_eq!(Extensions::from_keyword(extension.keyword()), Some(one));
            assert!(!all.has(one));
            all = all.with(one);
        }
        assert_eq!(Extensions::from_keyword("starttls"), None);
        assert_eq!(Extensions::from_keyword("x-foo"), None);
        assert!(!all.without(Extensions::DSN).has(Extensions::DSN));
    }

    #[test]
    fn s293_what_one_needs_comes_with_it() {
        let all = Extensions::SMTPUTF8
            .with(Extensions::BINARYMIME)
            .with_what_they_need();
        assert!(all.has(Extensions::EIGHT_BIT_MIME.with(Extensions::CHUNKING)));
    }
}
