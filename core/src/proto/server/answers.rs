//! What becomes of the application's answers.

use super::connection::{Farewell, Owed};
use super::{Answer, Connection, NotOwed, replies};
use crate::proto::{EnhancedStatus, Reply};

/// The positive replies to hello, MAIL and the end of data (RFC 5321 section 4.3.2).
pub(crate) const OF_MOST: &[u16] = &[250];

/// And to RCPT.
pub(crate) const OF_RCPT: &[u16] = &[250, 251];

/// Whether a reply is positive and none of these.
pub(crate) fn is_strange(reply: &Reply, positive: &[u16]) -> bool {
    reply.is_positive() && !positive.contains(&reply.code())
}

impl Connection {
    /// Gives the oldest owed answer. Fails, and does nothing, if none is owed.
    pub fn answer(&mut self, answer: Answer) -> Result<(), NotOwed> {
        let reply = match answer {
            Answer::Accept => None,
            Answer::Reply(reply) => Some(fitting(reply, &self.owed)),
        };
        if self.owed() > 0 && reply.as_ref().is_some_and(|reply| reply.code() == 421) {
            // RFC 5321 section 3.8: the reply that announces the end is the last.
            self.farewell = Some(Farewell::Said);
        }
        match std::mem::take(&mut self.owed) {
            Owed::Nothing => return Err(NotOwed),
            Owed::Connect => self.connected(reply),
            Owed::Hello { extended, name } => match reply {
                // RFC 5321 section 4.1.4: a hello that is refused changes nothing.
                Some(reply) if !reply.is_positive() => self.outbox.reply(&reply, false),
                greeting => self.welcome(extended, name, greeting.as_ref()),
            },
            Owed::Auth {
                username,
                anonymous,
                exchange,
            } => {
                self.judged(&username, exchange, reply);
                self.anonymous = anonymous && self.user.is_some();
            }
            Owed::OwnMechanism { exchange, initial } => match reply {
                Some(reply) if !reply.is_positive() => self.not_supplied(Some(reply)),
                _ => self.set_off(exchange, initial),
            },
            Owed::OwnVerdict(verdict) => match reply {
                Some(reply) if !reply.is_positive() => self.not_supplied(Some(reply)),
                _ => self.conclude(*verdict),
            },
            Owed::Nonce { .. } | Owed::Lookup(_) => self.not_supplied(reply),
            Owed::Mail(envelope) => {
                if self.respond(reply, replies::MAIL_OK) {
                    self.begin(envelope);
                }
            }
            Owed::Rcpt => {
                let recipient = self.candidates.pop_front();
                if !self.candidates.is_empty() {
                    self.owed = Owed::Rcpt;
                }
                if !self.respond(reply, replies::RCPT_OK) {
                    self.count_refused();
                } else if let Some(recipient) = recipient {
                    self.add(recipient);
                }
            }
            // RFC 3030 section 2: BDAT knows no 354.
            Owed::Data(Some(chunk)) => match reply {
                Some(reply) if !reply.is_positive() && !reply.is_intermediate() => {
                    self.refuse_first_chunk(chunk, reply);
                }
                _ => self.begin_chunks(chunk),
            },
            Owed::Data(None) => match reply {
                Some(reply) if reply.is_intermediate() => {
                    self.say(&reply);
                    self.begin_body();
                }
                // RFC 5321 section 4.1.1.4: the message was not begun, and the transaction stays as it was.
                Some(reply) if !reply.is_positive() => self.say(&reply),
                _ => {
                    self.outbox.text(replies::START_DATA);
                    self.begin_body();
                }
            },
            Owed::EndOfData { answers } => {
                if self.respond(reply, replies::OK) {
                    self.bad_commands = 0;
                    self.idle_commands = 0;
                }
                if answers > 1 {
                    self.owed = Owed::EndOfData {
                        answers: answers - 1,
                    };
                } else {
                    self.transaction = None;
                }
            }
            Owed::Other(accepted) => {
                self.respond(reply, accepted);
            }
        }
        self.say_farewell();
        Ok(())
    }

    /// The greeting, unless the answer turns the client away (RFC 5321 section 3.1).
    fn connected(&mut self, reply: Option<Reply>) {
        match reply {
            None => self.greet(None),
            Some(reply) if reply.code() == 220 => self.greet(Some(&reply)),
            Some(reply) if reply.is_positive() => self.greet(None),
            Some(reply) => {
                self.outbox.reply(&reply, false);
                self.turned_away = true;
            }
        }
    }

    /// Says the application's reply, or else the usual one. Tells whether it was positive.
    fn respond(&mut self, reply: Option<Reply>, accepted: &str) -> bool {
        match reply {
            None => {
                self.outbox.text(accepted);
                true
            }
            Some(reply) => {
                self.say(&reply);
                reply.is_positive()
            }
        }
    }
}

/// A reply that can be said: in step, and with an enhanced status code (RFC 2034 section 4).
fn fitting(reply: Reply, asked: &Owed) -> Reply {
    let positive = match asked {
        Owed::Hello { .. } | Owed::Mail(_) | Owed::EndOfData { .. } => Some(OF_MOST),
        Owed::Rcpt => Some(OF_RCPT),
        _ => None,
    };
    let is_strange = positive.is_some_and(|positive| is_strange(&reply, positive));
    let to_data = matches!(asked, Owed::Data(_)) && reply.code() == 354;
    if is_strange || reply.is_intermediate() && !to_data {
        return replies::UNFIT_ANSWER;
    }
    let class = u8::try_from(reply.code() / 100).unwrap_or_default();
    match EnhancedStatus::new(class, 0, 0) {
        Some(general) if reply.enhanced().is_none() => reply
            .with_enhanced(general)
            .unwrap_or(replies::UNFIT_ANSWER),
        _ => reply,
    }
}
