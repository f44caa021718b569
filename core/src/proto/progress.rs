//! What a machine tells its driver after it was lent some bytes.

/// One step of a machine. The first `used` octets of the input are done with, and must not be lent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<E> {
    /// Something happened. Call again with the rest of the input.
    Event {
        /// Octets done with.
        used: usize,
        /// What happened. It may borrow the input.
        event: E,
    },
    /// Nothing more can happen until the driver has done something.
    Need {
        /// Octets done with.
        used: usize,
        /// What to do.
        need: Need,
    },
}

/// What a machine waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Send what there is to transmit, then read on and lend the unused rest with the new bytes behind it.
    More,
    /// An answer is owed. Send what there is to transmit; nothing is parsed before the answer was given.
    Answer,
    /// Send what there is to transmit, then do the TLS handshake and call `secured`.
    Tls,
    /// Send what there is to transmit, then close the connection.
    Close,
}
