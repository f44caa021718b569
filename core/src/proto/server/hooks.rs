//! Which questions an application wants to be asked.

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
    /// [`Event::Etrn`](super::Event::Etrn). With it ETRN is offered.
    pub const ETRN: Self = Self(1 << 11);
    /// [`Event::Rcpt`](super::Event::Rcpt) behind the first [`FEW_RECIPIENTS`](crate::proto::limits::FEW_RECIPIENTS) of a transaction.
    pub const MANY_RECIPIENTS: Self = Self(1 << 12);
    /// Every question.
    pub const ALL: Self = Self((1 << 13) - 1);

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
            Hooks::ETRN,
            Hooks::MANY_RECIPIENTS,
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
}
