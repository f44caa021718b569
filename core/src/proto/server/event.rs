//! What happens in a session, and what an application says to it.

use crate::proto::{
    ClientAttributes, ForwardPath, MailParameters, RcptParameters, Reply, ReversePath,
};
use crate::sasl::{Credentials, Lookup};

/// Something that happened. An event that *owes* an answer is followed by one [`Answer`]; the others only inform.
///
/// Which of them occur is set by [`Hooks`](super::Hooks). What a client said is passed on as it came: it has no CR, LF or NUL,
/// and may have anything else.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A client has connected. Owes the greeting: [`Answer::Accept`] is 220, any other reply than 220 turns the client away
    /// (RFC 5321 section 3.1).
    Connect,
    /// HELO, EHLO or LHLO. Owes an answer; a refusal leaves all as it was (RFC 5321 section 4.1.4). Between two chunks of a message
    /// it is not asked: the machine refuses the hello.
    Hello {
        /// Whether it was EHLO or LHLO, so that the client may use extensions.
        extended: bool,
        /// What the client calls itself. Nobody has verified it.
        name: &'a str,
    },
    /// The client may start TLS now. Informs: [`Need::Tls`](crate::proto::Need::Tls) comes next.
    StartTls,
    /// AUTH came to its end. Owes an answer: [`Answer::Accept`] is 235, a refusal should be 535 5.7.8, or 454 4.7.0 if the
    /// credentials cannot be judged now (RFC 4954 section 6).
    Auth {
        /// What the client said, not verified.
        credentials: Credentials,
    },
    /// AUTH names one of the application's own mechanisms. Owes an answer: [`Answer::Accept`] lets the exchange begin, a refusal is the
    /// reply to AUTH. How it ends is told by [`user`](super::Connection::user) and
    /// [`auth_failures`](super::Connection::auth_failures), so that this is where a driver holds back who has failed too often.
    OwnMechanism,
    /// Such an exchange has come to its end, good or bad, and its mechanism [names the
    /// user](crate::sasl::ServerMechanism::username). Owes an answer: behind [`Answer::Accept`] the client is told how it ended, a
    /// refusal is said instead of that. So this is where a driver holds back logins to an account at which too many have failed.
    OwnVerdict {
        /// The user, as the mechanism has it.
        username: String,
    },
    /// A mechanism needs a nonce. Owes one, which [`lend_nonce`](super::Connection::lend_nonce) takes, or a refusal.
    Nonce,
    /// A mechanism needs to know something about a user. Owes what was found, which [`supply`](super::Connection::supply) takes, or
    /// a refusal if nothing can be looked up now. A refusal of some users only would tell who they are.
    Lookup(Lookup),
    /// MAIL. Owes an answer. The connection keeps the envelope.
    Mail {
        /// Where notices of failure go.
        reverse_path: ReversePath,
        /// The parameters.
        parameters: MailParameters,
    },
    /// RCPT. Owes an answer. Several of these may owe theirs at a time; answers are given in the same order.
    Rcpt {
        /// The recipient.
        path: ForwardPath,
        /// The parameters.
        parameters: RcptParameters,
    },
    /// DATA, or BDAT with the first chunk of a message. Owes an answer: after [`Answer::Accept`] the message follows, behind a 354 in
    /// the case of DATA.
    Data,
    /// A piece of the message, dots and end mark removed. It is the last of the octets that were used for it. Informs.
    ///
    /// A message that comes by BDAT looks the same. Its chunks are answered by the machine up to the last, and what the client
    /// says in between is answered without asking, as far as it does not end the message.
    Body(&'a [u8]),
    /// The machine refuses the message, which is too big or has a bare CR or LF: what came of it is to be dropped, nothing more
    /// of it follows, and its end is answered by the machine. Informs. Of a message that is too big in its first chunk nothing is told.
    Discarded,
    /// The client has given up a message that it was sending by BDAT, by RSET, QUIT or another EHLO: what came of it is to be
    /// dropped, and nothing more of it follows. Informs. Where [`Hello`](Self::Hello) is asked, an EHLO between two chunks is answered
    /// 503 instead, and the message goes on.
    Abandoned,
    /// The whole message came. Owes one answer, or with LMTP one for each accepted recipient in the order of the envelope
    /// (RFC 2033 section 4.2). [`Answer::Accept`] is 250, and from then on the message is the application's responsibility.
    EndOfData {
        /// The octets of the message: all [`Body`](Self::Body) pieces together.
        size: u64,
    },
    /// The transaction was given up, by RSET or by another HELO or EHLO. Informs. RSET outside of a transaction, as behind a message
    /// that was answered, gives none up and is not told.
    Reset,
    /// VRFY. Owes an answer: [`Answer::Accept`] is 252.
    Verify(&'a str),
    /// EXPN. Owes an answer: [`Answer::Accept`] is 252.
    Expand(&'a str),
    /// HELP with its argument, perhaps empty. Owes an answer: [`Answer::Accept`] is 214.
    Help(&'a str),
    /// ETRN (RFC 1985) with the node whose queue is to be started, `@` or `#` in front where it was so given. Owes an answer:
    /// [`Answer::Accept`] is 250.
    Etrn(&'a str),
    /// XCLIENT: the peer, which the driver has called trusted, speaks for this client from now on. Informs; the client is greeted
    /// next, so that [`Connect`](Self::Connect) may follow.
    Client(Box<ClientAttributes>),
    /// A command that this library does not know, or one of [`Additions`](super::Additions). Owes an answer: [`Answer::Accept`] is 250.
    Unknown {
        /// The first word.
        verb: &'a str,
        /// What follows it.
        argument: &'a str,
    },
    /// QUIT. Informs; 221 is on its way.
    Quit,
}

/// What an application says to an event.
///
/// A reply that has no enhanced status code gets a general one (2.0.0, 4.0.0 or 5.0.0) where RFC 2034 wants one. A reply of
/// 421 ends the connection (RFC 5321 section 3.8). A reply of 3yz makes sense only to [`Event::Data`]; elsewhere it would put the
/// client out of step, so that 451 4.3.0 is sent instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The usual positive reply to the event.
    Accept,
    /// This reply. To [`Event::Connect`] and [`Event::Hello`] the host's name goes in front of the text of a positive one, and
    /// the extensions behind it. Only 235 to [`Event::Auth`] and 354 to [`Event::Data`] are sent as they are when they are
    /// positive; the usual reply stands in for others.
    Reply(Reply),
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// An answer was given and none is owed, for instance because the connection has ended meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no answer is owed")]
pub struct NotOwed;
