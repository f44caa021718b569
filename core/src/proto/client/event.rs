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
    ///
    /// If it is sent in [`Transfer::Chunks`], the driver calls [`chunk`](super::Connection::chunk) instead; the event comes
    /// again with each chunk that the server took, up to the last.
    SendBody(TransactionId),
    /// A transaction is over.
    Finished {
        /// Which one.
        id: TransactionId,
        /// What became of its message.
        outcome: Outcome,
    },
    /// The reply to NOOP, RSET, VRFY, EXPN, HELP, ETRN, XCLIENT, QUIT or a command of the caller's own.
    Reply {
        /// The command's name; `(extension)` for one of the caller's own.
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
    /// How the message travels.
    pub transfer: Transfer,
}

/// How a message travels to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transfer {
    /// Inside DATA, after its 354.
    #[default]
    Data,
    /// In one chunk of so many octets (RFC 3030). With PIPELINING it leaves in the same flight as the envelope, unless it is
    /// all or nothing. Several such transactions may be on their way, with a RSET between them.
    Whole(u64),
    /// In chunks (RFC 3030), which begin once the server has taken a recipient.
    Chunks,
}

/// A part of what is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outgoing<'a> {
    /// Command lines.
    Commands(&'a [u8]),
    /// What is left of one line of an AUTH exchange. Nothing else is to be sent then.
    Secret {
        /// The octets to send, CRLF included.
        line: &'a [u8],
        /// How many at their start may be seen by anybody: up to the mechanism's name. The others belong in no log.
        shown: usize,
    },
    /// The next octets of a message, in the form in which its chunks were counted.
    Body {
        /// The transaction whose message it is.
        id: TransactionId,
        /// How many octets of the message have gone out before.
        offset: u64,
        /// How many follow.
        octets: u64,
    },
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
    /// The connection has no TLS, which the parameter needs. Whether the server's certificate was verified is the driver's to know.
    #[error("{0} needs verified TLS, and the connection has none")]
    NeedsTls(&'static str),
    /// The message is larger than the SIZE that the server announced.
    #[error(
        "the message is too large, the server takes at most {0} octets: make it smaller, or send a link to what is large in it"
    )]
    TooLarge(u64),
    /// The value of the parameter is beyond what the server announced.
    #[error("the value of {0} is beyond what the server announced")]
    OutOfRange(&'static str),
    /// The session has come to a limit of RFC 9422: none of it can be sent in this session, or not as one.
    #[error("the server's limit {0} leaves no room for it in this session")]
    Limit(&'static str),
    /// DATA cannot carry BODY=BINARYMIME.
    #[error("BODY=BINARYMIME needs BDAT")]
    NeedsBdat,
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
    /// The verb is one that this machine sends by itself, or that would change what it relies on.
    #[error("the command {0} is not sent this way")]
    Reserved(&'static str),
    /// The argument cannot go on a command line.
    #[error("the argument {0}")]
    Argument(&'static str),
}
