//! What a peer can do that ends a connection.

/// A breach of the protocol after which the two sides no longer agree where they are. The connection must be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// A line of a reply is longer than [`limits::REPLY_LINE`](super::limits::REPLY_LINE).
    #[error(
        "a line of the reply is longer than {} octets",
        super::limits::REPLY_LINE
    )]
    ReplyLineTooLong,
    /// A reply has too many lines or octets.
    #[error(
        "the reply does not end: more than {} lines or {} octets",
        super::limits::REPLY_LINES,
        super::limits::REPLY_SIZE
    )]
    ReplyTooLong,
    /// A line that should be a reply is none (RFC 5321 section 4.2).
    #[error("this is not an SMTP reply: {0:?}")]
    NotAReply(String),
    /// The lines of one reply have different codes (RFC 5321 section 4.2.1).
    #[error("the lines of one reply have different codes: {first} and {then}")]
    MixedCodes {
        /// The code of the first line.
        first: u16,
        /// The code that differs.
        then: u16,
    },
    /// A reply came to which no command belongs.
    #[error("the server sent a reply that belongs to no command: {0}")]
    UnexpectedReply(super::Reply),
    /// A reply's code makes no sense as an answer to the command.
    #[error("the server's reply does not fit the command {command}: {reply}")]
    WrongReply {
        /// The command it answers.
        command: &'static str,
        /// The reply.
        reply: super::Reply,
    },
    /// Bytes arrived in clear behind STARTTLS or behind its 220: an attempt to inject them into the protected session.
    #[error("bytes were sent in clear behind STARTTLS; they could be injected commands or replies")]
    BytesBehindStartTls,
    /// An over-long command line went on past [`limits::SKIPPED_LINE`](super::limits::SKIPPED_LINE).
    #[error("a command line is longer than {} octets", super::limits::SKIPPED_LINE)]
    CommandLineTooLong,
    /// The first bytes are those of another protocol.
    #[error("the client does not speak SMTP but {0}")]
    OtherProtocol(&'static str),
}
