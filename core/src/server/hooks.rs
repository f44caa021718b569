//! Which questions an application wants to be asked.

use crate::proto::server::Hooks as MachineHooks;

/// A set of hooks: the questions that an application wants to be asked, and what it wants to be told.
///
/// The end of a message is always asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hooks(u32);

impl Hooks {
    /// None.
    pub const NONE: Self = Self(0);
    /// A client has connected.
    pub const CONNECT: Self = Self(1);
    /// EHLO, HELO or LHLO.
    pub const HELLO: Self = Self(1 << 1);
    /// AUTH, for users who are not in the server's own table. With it AUTH is offered.
    pub const AUTH: Self = Self(1 << 2);
    /// MAIL.
    pub const MAIL: Self = Self(1 << 3);
    /// RCPT.
    pub const RCPT: Self = Self(1 << 4);
    /// A transaction was given up; informs. RSET where there is none is not told.
    pub const RESET: Self = Self(1 << 5);
    /// VRFY.
    pub const VERIFY: Self = Self(1 << 6);
    /// EXPN.
    pub const EXPAND: Self = Self(1 << 7);
    /// HELP.
    pub const HELP: Self = Self(1 << 8);
    /// A command that is not known.
    pub const UNKNOWN: Self = Self(1 << 9);
    /// QUIT; informs.
    pub const QUIT: Self = Self(1 << 10);
    /// The connection is gone; informs.
    pub const DISCONNECT: Self = Self(1 << 11);
    /// What is kept of a user who is not in the server's own table. With it SCRAM is offered, and CRAM-MD5 if it is named.
    pub const LOOKUP: Self = Self(1 << 12);
    /// ETRN. With it ETRN is offered.
    pub const ETRN: Self = Self(1 << 13);
    /// A message could not be taken for a fault that is not the client's, as where a disposition cannot write its file; informs.
    pub const FAULT: Self = Self(1 << 14);
    /// Every one but [`LOOKUP`](Self::LOOKUP), which has a session offer mechanisms that it must be able to serve.
    pub const ALL: Self = Self(((1 << 12) - 1) | (1 << 13) | (1 << 14));

    /// What an async session is asked unless it was set. AUTH would be offered for nobody, and for VRFY, EXPN, HELP and what is
    /// not known the library's own answers are the safe ones.
    pub(crate) const USUAL: Self = Self::CONNECT
        .with(Self::HELLO)
        .with(Self::MAIL)
        .with(Self::RCPT)
        .with(Self::RESET)
        .with(Self::QUIT)
        .with(Self::DISCONNECT)
        .with(Self::FAULT);

    /// These and `more`.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether all of `asked` are among these.
    pub const fn has(self, asked: Self) -> bool {
        self.0 & asked.0 == asked.0
    }

    /// The set as a number, for languages without this type: bit 0 is [`CONNECT`](Self::CONNECT), and so on in the order above.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The set of a number; `None` if it has a bit that means nothing.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::ALL.with(Self::LOOKUP).0 == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// What the machine must ask so that these can be: some questions the server needs for itself.
    pub(super) fn of_machine(self, check_recipients: bool, check_sender: bool) -> MachineHooks {
        let mut hooks = MachineHooks::DATA
            .with(MachineHooks::QUIT)
            .with(MachineHooks::MANY_RECIPIENTS);
        if check_recipients {
            hooks = hooks.with(MachineHooks::RCPT);
        }
        if check_sender {
            hooks = hooks.with(MachineHooks::MAIL);
        }
        for (own, machine) in [
            (Self::CONNECT, MachineHooks::CONNECT),
            (Self::HELLO, MachineHooks::HELLO),
            (Self::MAIL, MachineHooks::MAIL),
            (Self::RCPT, MachineHooks::RCPT),
            (Self::RESET, MachineHooks::RESET),
            (Self::VERIFY, MachineHooks::VERIFY),
            (Self::EXPAND, MachineHooks::EXPAND),
            (Self::HELP, MachineHooks::HELP),
            (Self::UNKNOWN, MachineHooks::UNKNOWN),
            (Self::ETRN, MachineHooks::ETRN),
        ] {
            if self.has(own) {
                hooks = hooks.with(machine);
            }
        }
        hooks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_asks_what_is_wanted_and_what_the_server_needs() {
        let all = Hooks::ALL.of_machine(false, false);
        assert_eq!(all, MachineHooks::ALL);
        let none = Hooks::NONE.of_machine(false, false);
        assert!(none.has(MachineHooks::DATA) && !none.has(MachineHooks::RCPT));
        assert!(!none.has(MachineHooks::MAIL));
        assert!(Hooks::NONE.of_machine(true, false).has(MachineHooks::RCPT));
        assert!(Hooks::NONE.of_machine(false, true).has(MachineHooks::MAIL));
        assert!(!Hooks::USUAL.has(Hooks::AUTH) && Hooks::USUAL.has(Hooks::DISCONNECT));
    }

    #[test]
    fn numbers_that_mean_nothing_are_no_sets() {
        let every = Hooks::ALL.with(Hooks::LOOKUP);
        for set in [Hooks::NONE, Hooks::LOOKUP, Hooks::ALL, every] {
            assert_eq!(Hooks::from_bits(set.bits()), Some(set));
        }
        assert_eq!(Hooks::from_bits(1 << 15), None);
    }
}
