//! What a client asks of its server apart from sending mail.

use super::Connection;
use super::connection::Step;
use super::transact::not_now;
use crate::error::{Error, Phase};
use crate::net::Deadline;
use crate::proto::Reply;
use crate::proto::client::{Event, NotNow};
use crate::tls::TlsPolicy;

/// A command that has one reply and leaves the session as it was. What is asked about is text of one line; where it is outside
/// ASCII, the server has to offer SMTPUTF8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request<'a> {
    /// NOOP: is the server there?
    Noop,
    /// VRFY (RFC 5321 section 3.5): does the server know this user or mailbox?
    Verify(&'a str),
    /// EXPN (RFC 5321 section 3.5): who is on this mailing list?
    Expand(&'a str),
    /// HELP: about this topic, or in general if it is empty.
    Help(&'a str),
    /// ETRN (RFC 1985): the server is to start its queue for a host name, for `@` and a domain with all hosts below it, or for `#`
    /// and the name of a queue.
    StartQueue(&'a str),
    /// A command of the caller's own. It cannot be one that the library sends by itself or that changes the state of the session.
    Extension {
        /// Letters, digits and hyphens, beginning with a letter.
        verb: &'a str,
        /// What stands behind the verb; it may be empty.
        argument: &'a str,
    },
}

impl Request<'_> {
    /// Whether asking twice is the same as asking once.
    pub(crate) fn may_be_repeated(self) -> bool {
        !matches!(self, Self::Extension { .. })
    }
}

impl Connection {
    /// Sends a command and gives the reply to it, whatever that says. Fails if the server does not offer the command, if it cannot
    /// be sent as it is, or if no reply comes; 421 is none, but says that the server closes.
    ///
    /// Dropping the future leaves the connection [unusable](Self::is_usable).
    pub async fn ask(&mut self, request: Request<'_>) -> Result<Reply, Error> {
        self.set_deadline(Deadline::after(self.options.deadline));
        self.heed_unasked().await?;
        self.ask_now(request).await
    }

    pub(crate) async fn ask_now(&mut self, request: Request<'_>) -> Result<Reply, Error> {
        self.check_usable()?;
        let asked = match request {
            Request::Noop => self.machine.noop(),
            Request::Verify(user) => self.machine.verify(user),
            Request::Expand(list) => self.machine.expand(list),
            Request::Help(topic) => self.machine.help(topic),
            Request::StartQueue(node) => self.machine.start_queue(node),
            Request::Extension { verb, argument } => self.machine.extension_command(verb, argument),
        };
        asked.map_err(|e| self.cannot_ask(e))?;
        self.busy = true;
        let reply = self.reply().await?;
        self.busy = false;
        Ok(reply)
    }

    /// Tells on whose behalf this session speaks, if the options say so, and begins it again as the server wants it then.
    pub(super) async fn speak_for(&mut self, policy: TlsPolicy) -> Result<(), Error> {
        let Some(client) = &self.options.speak_for else {
            return Ok(());
        };
        let asked = self.machine.speak_for(client);
        asked.map_err(|e| self.cannot_ask(e))?;
        let reply = self.reply().await?;
        if reply.is_positive() {
            return self.hello(&self.local_name(), policy).await;
        }
        let text = "the server does not let this host speak for its clients (XCLIENT)";
        Err(self.refused(Phase::Command, text, reply))
    }

    async fn reply(&mut self) -> Result<Reply, Error> {
        match self.step().await? {
            Step::Event(Event::Reply { reply, .. }) => Ok(reply),
            step => Err(self.out_of_order(Phase::Command, &step)),
        }
    }

    fn cannot_ask(&self, error: NotNow) -> Error {
        self.fail(not_now(error).at(Phase::Command))
    }
}
