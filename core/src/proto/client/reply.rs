//! What each reply means for the command it answers.

use super::command::XCLIENT;
use super::transaction::{Next, Transaction};
use super::{Answers, Awaited, Connection, END_OF_DATA, Event, Hello, Stage};
use crate::error::Phase;
use crate::proto::{Capabilities, Protocol, Reply, Violation};

impl Connection {
    /// Takes the next reply, which has this code, in the order of the commands, and queues what may be sent because of it.
    pub(super) fn take_reply(&mut self, code: u16) -> Result<Option<Event>, Violation> {
        self.replies += 1;
        let answered = self
            .awaited
            .front()
            .filter(|oldest| !self.inbox.surplus && oldest.end <= self.outbox.sent_in_all())
            .map(|oldest| oldest.what);
        let said = if answered.is_some_and(|what| self.is_plain(what, code)) {
            self.inbox.gatherer.codes()
        } else {
            self.inbox.gatherer.reply()
        };
        // What the machine reads itself, as challenges, is what was said. Nobody else is told a secret that stands in it.
        let reply = said.hiding(&self.mask);
        // RFC 5321 section 3.8: 421 may come at any time, as a reply or by itself.
        if reply.code() == 421 {
            self.take_closing(answered, &reply);
            return Ok(Some(Event::Closing(reply)));
        }
        let Some(what) = answered else {
            return Err(Violation::UnexpectedReply(reply));
        };
        if reply.is_intermediate() && !matches!(what, Answers::Data | Answers::Auth) {
            return Err(wrong(what, reply));
        }
        self.awaited.pop_front();
        self.last_phase = Some(what.phase());
        let event = match what {
            Answers::Greeting => {
                self.stage = if reply.is_positive() {
                    Stage::Greeted
                } else {
                    Stage::Unwelcome
                };
                Some(Event::Greeting(reply))
            }
            Answers::Hello(hello) => Some(self.take_hello_reply(hello, &said, reply)),
            Answers::StartTls => self.take_start_tls_reply(reply)?,
            Answers::Auth => self.take_auth_reply(&said, reply)?,
            Answers::Command(command) => {
                if command == XCLIENT && reply.is_positive() {
                    self.begin_anew();
                }
                // RFC 5321 section 4.1.1.5: RSET ends a transaction.
                self.open &= !(command == "RSET" && reply.is_positive());
                Some(Event::Reply { command, reply })
            }
            Answers::Quit => {
                self.close();
                let command = what.name();
                Some(Event::Reply { command, reply })
            }
            Answers::Reset => None,
            Answers::Mail => {
                if self.is_front_last() {
                    // RFC 3030 section 2: behind a chunk that is under way a RSET goes, as what that leaves is not known.
                    let chunked = self
                        .transactions
                        .front()
                        .is_some_and(Transaction::has_ended);
                    self.open = reply.is_positive() || chunked;
                }
                self.front(|transaction| transaction.mail(reply));
                self.settle()
            }
            Answers::Rcpt(index) => {
                self.open |= reply.is_positive() && self.is_front_last();
                self.front(|transaction| transaction.rcpt(index, reply));
                self.settle()
            }
            Answers::Data => self.take_data_reply(reply)?,
            Answers::Chunk { octets, last } => {
                self.unanswered = self.unanswered.saturating_sub(octets);
                if last {
                    self.take_last_chunk_reply(reply)?
                } else {
                    self.take_chunk_reply(reply)
                }
            }
            Answers::EndOfData => {
                self.front(|transaction| transaction.decide_rest(reply, Phase::EndOfData));
                self.finish()
            }
            Answers::Delivered(index) => {
                let last = self.front(|transaction| transaction.decide(index, reply));
                if last == Some(true) {
                    self.finish()
                } else {
                    None
                }
            }
            Answers::Abandoned(_) => self.finish(),
        };
        self.pump();
        Ok(event)
    }

    /// Whether a reply is a yes that says no more than that. Many of these come, and nobody asks for their text.
    fn is_plain(&self, what: Answers, code: u16) -> bool {
        match what {
            Answers::Mail | Answers::Rcpt(_) | Answers::Reset => code / 100 == 2,
            Answers::Data => {
                let transaction = self.transactions.front();
                code == 354 && transaction.is_some_and(Transaction::has_standing)
            }
            _ => false,
        }
    }

    fn take_hello_reply(&mut self, hello: Hello, said: &Reply, reply: Reply) -> Event {
        if reply.is_positive() {
            self.capabilities = match hello {
                Hello::Ehlo => Capabilities::from_reply(said),
                Hello::Helo => Capabilities::default(),
            };
            self.pipelining = self.capabilities.has("PIPELINING");
            self.stage = Stage::Ready;
            // RFC 5321 section 4.1.4: a hello clears all buffers as RSET does.
            self.open = false;
        }
        Event::Hello(reply)
    }

    /// After XCLIENT the server is where it was after its greeting, and what it said before may not hold for the other client.
    fn begin_anew(&mut self) {
        self.stage = Stage::Greeted;
        self.capabilities = Capabilities::default();
        self.pipelining = false;
        self.authenticated = false;
        self.open = false;
    }

    fn take_start_tls_reply(&mut self, reply: Reply) -> Result<Option<Event>, Violation> {
        if reply.code() == 220 {
            self.stage = Stage::Handshake;
            Ok(None)
        } else if reply.is_positive() {
            // RFC 3207 section 4: 220 alone says that the server is ready.
            Err(wrong(Answers::StartTls, reply))
        } else {
            Ok(Some(Event::StartTlsRefused(reply)))
        }
    }

    fn take_data_reply(&mut self, reply: Reply) -> Result<Option<Event>, Violation> {
        let Some(transaction) = self.transactions.front_mut() else {
            return Err(wrong(Answers::Data, reply));
        };
        if reply.is_transient() || reply.is_permanent() {
            transaction.decide_rest(reply, Phase::Data);
            return Ok(self.finish());
        }
        // RFC 5321 section 3.3: nothing but 354 asks for a message.
        if reply.code() != 354 {
            return Err(wrong(Answers::Data, reply));
        }
        if transaction.has_standing() {
            transaction.send_body();
            return Ok(Some(Event::SendBody(transaction.id())));
        }
        // RFC 2920 section 3.1: with no recipient, a lone dot gets out of it. If the server did take one although it had refused
        // MAIL, that would send an empty message; and LMTP has no reply to it (RFC 2033 section 4.2).
        if transaction.is_contradicted() || self.protocol == Protocol::Lmtp {
            return Err(wrong(Answers::Data, reply));
        }
        transaction.abandon();
        self.open = false;
        self.send(Answers::Abandoned(END_OF_DATA), &["."]);
        Ok(None)
    }

    /// A reply to a chunk that is not the last: the next may go out, or none will.
    fn take_chunk_reply(&mut self, reply: Reply) -> Option<Event> {
        let transaction = self.transactions.front_mut()?;
        if transaction.chunk_reply(reply) {
            return Some(Event::SendBody(transaction.id()));
        }
        if transaction.is_broken() && self.awaited.is_empty() {
            self.open = true;
            return self.finish();
        }
        None
    }

    fn take_last_chunk_reply(&mut self, reply: Reply) -> Result<Option<Event>, Violation> {
        let what = Answers::Chunk {
            octets: 0,
            last: true,
        };
        let is_last = self.is_front_last();
        let Some(transaction) = self.transactions.front_mut() else {
            return Err(wrong(what, reply));
        };
        // In LMTP it is not known either how many replies there will be.
        let counts = reply.is_positive() || self.protocol == Protocol::Lmtp;
        if counts && transaction.is_contradicted() {
            transaction.doubt();
            return Err(wrong(what, reply));
        }
        if is_last {
            // RFC 3030 section 2: a transaction that failed has to be reset.
            self.open = !reply.is_positive();
        }
        if self.protocol == Protocol::Smtp {
            transaction.decide_rest(reply, Phase::EndOfData);
            return Ok(self.finish());
        }
        // RFC 2033 section 4.2: one reply for each recipient that was accepted, in their order; one in all if none was.
        let mut standing: Vec<usize> = transaction.standing().collect();
        if !standing.is_empty() {
            transaction.decide(standing.remove(0), reply);
        }
        if standing.is_empty() {
            return Ok(self.finish());
        }
        for index in standing.into_iter().rev() {
            self.awaited.push_front(Awaited {
                what: Answers::Delivered(index),
                end: 0,
            });
        }
        Ok(None)
    }

    /// Whether nothing of a later transaction was queued, so that what the one at the front comes to is the state that the
    /// server will be in.
    fn is_front_last(&self) -> bool {
        self.transactions
            .get(1)
            .is_none_or(|next| next.next == Next::Mail)
    }

    /// After a reply to MAIL or RCPT: ends a transaction that need not go on. While DATA is under way it has to.
    fn settle(&mut self) -> Option<Event> {
        if !self.awaited.is_empty() {
            return None;
        }
        let transaction = self.transactions.front_mut()?;
        if transaction.is_hopeless() {
            return self.finish();
        }
        if transaction.is_ready_for_chunks() && !transaction.is_spoilt() {
            transaction.send_body();
            return Some(Event::SendBody(transaction.id()));
        }
        if transaction.is_spoilt() {
            transaction.abandon();
            self.open = false;
            self.send(Answers::Abandoned("RSET"), &["RSET"]);
        }
        None
    }

    /// The server closes the connection. The transaction whose command it answers has this as its reply.
    fn take_closing(&mut self, answered: Option<Answers>, reply: &Reply) {
        let nothing_owed = self.awaited.is_empty();
        let protocol = self.protocol;
        self.front(|transaction| match answered {
            Some(
                what @ (Answers::Mail
                | Answers::Rcpt(_)
                | Answers::Data
                | Answers::Chunk { last: false, .. }
                | Answers::EndOfData),
            ) => transaction.decide_rest(reply.clone(), what.phase()),
            Some(Answers::Delivered(index)) => {
                transaction.decide(index, reply.clone());
            }
            Some(what @ Answers::Chunk { last: true, .. }) => {
                match (protocol, transaction.first_standing()) {
                    (Protocol::Lmtp, Some(index)) => {
                        transaction.decide(index, reply.clone());
                    }
                    _ => transaction.decide_rest(reply.clone(), what.phase()),
                }
            }
            None if nothing_owed && transaction.is_sending_body() => {
                transaction.decide_rest(reply.clone(), Phase::Body);
            }
            _ => {}
        });
        self.close();
    }

    fn finish(&mut self) -> Option<Event> {
        let transaction = self.transactions.pop_front()?;
        Some(Event::Finished {
            id: transaction.id(),
            outcome: transaction.into_outcome(),
        })
    }

    /// Does something to the transaction that runs.
    fn front<T>(&mut self, action: impl FnOnce(&mut Transaction) -> T) -> Option<T> {
        self.transactions.front_mut().map(action)
    }
}

fn wrong(what: Answers, reply: Reply) -> Violation {
    Violation::WrongReply {
        command: what.name(),
        reply,
    }
}
