//! What an application brings to a server: a [`Handler`] that makes a [`Session`] for each connection.

use std::future::{Future, ready};

use super::{Answer, Answers, Body, SessionInfo};
use crate::error::Error;
use crate::proto::{Envelope, MailParameters, Recipient, Reply, ReversePath};
use crate::sasl::{Credentials, Found, Lookup};

/// Makes the sessions of a server.
pub trait Handler: Send + Sync + 'static {
    /// What it makes.
    type Session: Session;

    /// A client has connected. Nothing was said yet, and TLS did not begin; [`Session::connect`] answers.
    fn session(&self, info: &SessionInfo) -> Self::Session;

    /// Whether its sessions hand messages on to other servers. If so, a server that anybody may send through to anywhere does not
    /// start: it needs [`Options::set_domains`](super::Options::set_domains),
    /// [`Options::set_trusted_networks`](super::Options::set_trusted_networks), or
    /// [`Options::set_auth_required`](super::Options::set_auth_required) without ANONYMOUS. And a `Received` field is put in front of
    /// each message, as [`Options::set_received`](super::Options::set_received) has it.
    ///
    /// Nobody but the handler knows. One whose sessions pass messages on, by a [`Relay`](crate::disposition::Relay) or by a client,
    /// has to override this: without that an open relay is not refused.
    fn relays(&self) -> bool {
        false
    }
}

/// One client's session, from the greeting to the end of the connection: it answers what the client says.
///
/// Every hook but [`message`](Self::message) has an answer already, the usual one. Hooks of one session never run at the same
/// time. A hook may take its time: nothing is read from this client meanwhile. One that panics is answered 451 and the session goes
/// on; to AUTH that is 454, and to the connection itself 421, which ends it, as it does where [`Handler::session`] panics. When the server is shut down and its grace is over, a
/// running hook is dropped where it awaits.
///
/// [`Options::set_hooks`](super::Options::set_hooks) says which hooks are asked; without it these are: connect, hello, mail,
/// recipients, message, reset, quit, disconnect and fault.
pub trait Session: Send + 'static {
    /// The client has connected, or a proxy has said by XCLIENT for whom it speaks. [`Answer::Accept`] greets it with 220; a 421 or 554 turns it away.
    fn connect(&mut self, info: &SessionInfo) -> impl Future<Output = Answer> + Send {
        let _ = info;
        ready(Answer::Accept)
    }

    /// EHLO, HELO or LHLO with what the client calls itself, which nobody has verified. A refusal changes nothing; accepting gives up
    /// the transaction, if there is one. Between two chunks of a message the server refuses it without asking.
    fn hello(&mut self, info: &SessionInfo, name: &str) -> impl Future<Output = Answer> + Send {
        let _ = (info, name);
        ready(Answer::Accept)
    }

    /// AUTH with what the client said: a password, or with mechanisms that were named to
    /// [`Options::set_mechanisms`](super::Options::set_mechanisms) a token, a certificate or nothing, as
    /// [`Credentials::proof`] tells. Users of [`Options::add_user`](super::Options::add_user) and their passwords are answered
    /// without asking.
    ///
    /// The user name of a token is what the client says: whether the token is that user's is a part of the verdict.
    /// The credentials ask for no other identity than their own, but for those of a certificate, which is in
    /// [`SessionInfo::tls`]: if they ask for one, accepting lets the client be that.
    fn auth(
        &mut self,
        info: &SessionInfo,
        credentials: Credentials,
    ) -> impl Future<Output = Answer> + Send {
        let _ = (info, credentials);
        ready(Answer::Reply(BAD_CREDENTIALS))
    }

    /// What is kept of a user who is not in the server's own table: its keys for SCRAM, or its password. For somebody who is not
    /// there, answer [`Found::Nobody`], and as soon as for others: the exchange goes on as if there were keys, and fails at its
    /// end. A reply ends it at once: 454 if nothing can be looked up now. Keys should have as many iterations and octets of salt
    /// as those of the server's own table, or, if that has none, 4096 and 16: those that are made up do, and others would tell who is there.
    ///
    /// That the user has logged in is known from [`SessionInfo::user`] afterwards. It asks for no other identity than its own.
    fn look_up(
        &mut self,
        info: &SessionInfo,
        lookup: &Lookup,
    ) -> impl Future<Output = Result<Found, Reply>> + Send {
        let _ = (info, lookup);
        ready(Ok(Found::Nobody))
    }

    /// MAIL: a transaction begins.
    fn mail(
        &mut self,
        info: &SessionInfo,
        reverse_path: &ReversePath,
        parameters: &MailParameters,
    ) -> impl Future<Output = Answer> + Send {
        let _ = (info, reverse_path, parameters);
        ready(Answer::Accept)
    }

    /// RCPT: one recipient, or several that the client sent in one go. Each is answered by its place.
    fn recipients(
        &mut self,
        info: &SessionInfo,
        recipients: &[Recipient],
    ) -> impl Future<Output = Answers> + Send {
        let _ = (info, recipients);
        ready(Answers::accept())
    }

    /// The client wants to send a message: DATA, or its first BDAT. What comes with the envelope is what was accepted.
    ///
    /// Nothing of the message is on its way before the first [`Body::chunk`], so an answer without one refuses the message
    /// before it is sent. What was not read when the answer is given is drained within the limits. Accepting means to be
    /// responsible for the message from then on (RFC 5321 section 4.2.5); where it could not come whole, [`Body::chunk`] says so
    /// with an error, and the answer is not sent.
    ///
    /// With LMTP the end of the message is answered once for each recipient of the envelope.
    fn message(
        &mut self,
        info: &SessionInfo,
        envelope: Envelope,
        body: &mut Body<'_>,
    ) -> impl Future<Output = Answers> + Send;

    /// A message was not taken for a fault that is not the client's: [`message`](Self::message) has answered
    /// [`with_fault`](Answers::with_fault), as those do of the library's own dispositions where a file cannot be written or the next
    /// server cannot be reached. `fault` says what was attempted, where, why it failed and what to try; the client is told nothing of
    /// it. It is for whoever runs the server. With the feature `tracing` a subscriber is told the same at the level WARN, whether or
    /// not this hook is asked.
    ///
    /// The answer leaves while this runs, and does not hang on it: a hook that is slow holds back what this client says next, and one
    /// that panics is over. While the fault lasts this comes once for each message. Where the connection is lost before the end of
    /// the message, it comes before [`disconnect`](Self::disconnect).
    fn fault(&mut self, info: &SessionInfo, fault: Error) -> impl Future<Output = ()> + Send {
        let _ = (info, fault);
        ready(())
    }

    /// The transaction was given up, by RSET or another EHLO. RSET where there is none, as behind a message that was answered, is not
    /// told.
    fn reset(&mut self, info: &SessionInfo) -> impl Future<Output = ()> + Send {
        let _ = info;
        ready(())
    }

    /// VRFY. The usual answer is 252, which tells nothing.
    fn verify(&mut self, info: &SessionInfo, name: &str) -> impl Future<Output = Answer> + Send {
        let _ = (info, name);
        ready(Answer::Accept)
    }

    /// EXPN. The usual answer is 502.
    fn expand(&mut self, info: &SessionInfo, name: &str) -> impl Future<Output = Answer> + Send {
        let _ = (info, name);
        ready(Answer::Reply(NOT_IMPLEMENTED))
    }

    /// HELP with its argument, perhaps empty.
    fn help(&mut self, info: &SessionInfo, topic: &str) -> impl Future<Output = Answer> + Send {
        let _ = (info, topic);
        ready(Answer::Accept)
    }

    /// ETRN with the node whose queue is to be started, `@` or `#` in front where it was so given. The usual answer is 459.
    fn etrn(&mut self, info: &SessionInfo, node: &str) -> impl Future<Output = Answer> + Send {
        let _ = (info, node);
        ready(Answer::Reply(NODE_NOT_ALLOWED))
    }

    /// A command that this library does not know, or a verb of
    /// [`Options::add_verb`](super::Options::add_verb). The usual answer is 500.
    fn unknown(
        &mut self,
        info: &SessionInfo,
        verb: &str,
        argument: &str,
    ) -> impl Future<Output = Answer> + Send {
        let _ = (info, verb, argument);
        ready(Answer::Reply(UNKNOWN))
    }

    /// The client has said QUIT.
    fn quit(&mut self, info: &SessionInfo) -> impl Future<Output = ()> + Send {
        let _ = info;
        ready(())
    }

    /// The connection is gone: after QUIT without an error, or with the reason. That is
    ///
    /// - [`Status::Closed`](crate::Status::Closed) where the server has ended the session, by a limit, as the application said or as it
    ///   was shut down; the text has the reply that it ended with, if one could be given,
    /// - [`Status::Timeout`](crate::Status::Timeout) where a limit of time has,
    /// - [`Status::Protocol`](crate::Status::Protocol) where what came was no SMTP,
    /// - and the connection's or TLS's own failure, as [`Status::ConnectionLost`](crate::Status::ConnectionLost), else.
    fn disconnect(
        &mut self,
        info: &SessionInfo,
        reason: Option<&Error>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (info, reason);
        ready(())
    }
}

/// RFC 4954 section 6. It is also the usual answer of a hook that nobody wrote, as these are.
pub(crate) const BAD_CREDENTIALS: Reply =
    Reply::fixed(535, Some((5, 7, 8)), "Authentication credentials invalid");
/// Nobody could judge the credentials (RFC 4954 section 6).
pub(crate) const AUTH_FAULT: Reply =
    Reply::fixed(454, Some((4, 7, 0)), "Temporary authentication failure");
pub(crate) const NOT_IMPLEMENTED: Reply =
    Reply::fixed(502, Some((5, 5, 1)), "Command not implemented");
pub(crate) const UNKNOWN: Reply = Reply::fixed(500, Some((5, 5, 1)), "Unknown command");
/// RFC 1985 section 5.3.
pub(crate) const NODE_NOT_ALLOWED: Reply = Reply::fixed(459, Some((4, 7, 1)), "Node not allowed");
