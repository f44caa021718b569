//! What a client connection tells its driver, what it is asked with, and why it may refuse.

use crate::outcome::Outcome;
use crate::proto::Reply;

/// Something that happened on a client connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The server's greeting. If it is not positive, only QUIT may follow.
    Greeting(Reply),
    /// The reply to a hello. If it is positive, what the server announced is known now.
    Hello(Reply),
    /// The server will not start TLS. If it will, there is no event but [`Need::Tls`](crate::proto::Need::Tls).
    StartTlsRefused(Reply),
    /// The last reply to AUTH. It is positive only if the mechanism had come to its end too.
    Auth(Reply),
    /// The server waits for the message and takes it for at least one recipient. The driver sends the message's bytes, calls
    /// [`end_of_data`](super::Connection::end_of_data), and sends the end mark.
    SendBody(TransactionId),
    /// A transaction is over.
    Finished {
        /// Which one.
        id: TransactionId,
        /// What became of its message.
        outcome: Outcome,
    },
    /// The reply to NOOP, RSET, VRFY, EXPN, HELP or QUIT.
    Reply {
        /// The command's name.
        command: &'static str,
        /// The reply.
        reply: Reply,
    },
    /// 421: the server closes the connection (RFC 5321 section 3.8). What was not finished is told by
    /// [`lost`](super::Connection::lost).
    Closing(Reply),
}

/// Names a transaction of one connection. Later ones have greater numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(pub(super) u64);

impl TransactionId {
    /// The number: 0 for the first transaction of a connection.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// How a transaction is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransactionOptions {
    /// Send the message only if the server takes every recipient. The default is to send it to those it takes.
    pub all_or_nothing: bool,
}

/// How the client introduces itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hello {
    /// EHLO, or LHLO under LMTP: the server says what it can do.
    Ehlo,
    /// HELO, for servers that do not know EHLO (RFC 5321 section 3.2). LMTP has none.
    Helo,
}

/// Why a request was not taken. Nothing was queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotNow {
    /// The server has not greeted us yet (RFC 5321 section 4.3.1).
    #[error("the server has not sent its greeting yet")]
    NotGreeted,
    /// The greeting was not positive.
    #[error("the server does not serve; only QUIT can follow its greeting")]
    Unwelcome,
    /// No hello was accepted since the greeting or the TLS handshake.
    #[error("EHLO, HELO or LHLO has to be accepted first")]
    NoHello,
    /// A command or a transaction is not finished.
    #[error("another command or transaction is under way")]
    Busy,
    /// The connection is closed or closing, or in a TLS handshake.
    #[error("the connection takes no commands any more")]
    Closed,
    /// The server did not announce the extension.
    #[error("the server does not offer {0}")]
    NotOffered(&'static str),
    /// TLS is there already.
    #[error("the connection is secured by TLS already")]
    AlreadySecure,
    /// AUTH succeeded already, which it may do once (RFC 4954 section 4).
    #[error("the client is authenticated already")]
    AlreadyAuthenticated,
    /// The protocol has no such command.
    #[error("LMTP has no HELO")]
    NoSuchCommand,
    /// The envelope has no recipients.
    #[error("the envelope has no recipients")]
    NoRecipients,
    /// The server does not wait for the body of that transaction.
    #[error("the server does not wait for the message of that transaction")]
    NotSendingBody,
    /// The argument cannot go on a command line.
    #[error("the argument {0}")]
    Argument(&'static str),
}
