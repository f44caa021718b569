//! When which command of a transaction goes out: in groups if the server takes them (RFC 2920), and with the next transaction
//! chained behind the end of data of the one before.

use super::transaction::{Next, Transaction};
use super::{Answers, Connection, NotNow, Stage, TransactionId, TransactionOptions};
use crate::proto::{Capabilities, Envelope, MailParameters, Protocol};

impl Connection {
    /// Begins a transaction, or puts it in the queue behind those that run. Its result comes as
    /// [`Event::Finished`](super::Event::Finished), or from [`lost`](Self::lost).
    ///
    /// SIZE and BODY are sent if the server offers them (RFC 5321 section 4.1.1.11); other parameters are sent as given.
    pub fn begin(
        &mut self,
        envelope: Envelope,
        options: TransactionOptions,
    ) -> Result<TransactionId, NotNow> {
        self.check_hello()?;
        if self.owes_caller() {
            return Err(NotNow::Busy);
        }
        let envelope = if envelope.is_ascii() {
            envelope
        } else {
            envelope.to_ascii().ok_or(NotNow::NotOffered("SMTPUTF8"))?
        };
        let id = TransactionId(self.next_transaction);
        self.transactions
            .push_back(Transaction::new(id, envelope, options)?);
        self.next_transaction += 1;
        self.pump();
        Ok(id)
    }

    /// The body of the transaction was sent and its end mark is about to be.
    ///
    /// To be called right before the first octet of the end mark is handed to the transport: from here on the result may be
    /// unknown. If another transaction waits and the server takes groups, its commands are queued now, for the same vectored
    /// write to carry behind the end mark.
    pub fn end_of_data(&mut self, id: TransactionId) -> Result<(), NotNow> {
        self.check_hello()?;
        let Some(transaction) = self
            .transactions
            .front_mut()
            .filter(|t| t.id() == id && t.is_sending_body())
        else {
            return Err(NotNow::NotSendingBody);
        };
        transaction.end_of_data();
        // RFC 5321 section 4.1.1.4: the end of data clears the server's buffers whatever its reply will be.
        self.open = false;
        match self.protocol {
            Protocol::Smtp => self.expect(Answers::EndOfData),
            // RFC 2033 section 4.2: one reply for each recipient that was accepted, in their order.
            Protocol::Lmtp => {
                let standing: Vec<usize> = transaction.standing().collect();
                for index in standing {
                    self.expect(Answers::Delivered(index));
                }
            }
        }
        self.pump();
        Ok(())
    }

    /// Queues all commands that may go out now.
    pub(super) fn pump(&mut self) {
        if self.stage != Stage::Ready {
            return;
        }
        let Some(index) = self
            .transactions
            .iter()
            .position(|t| t.next != Next::Nothing)
        else {
            return;
        };
        // RFC 2920 section 3.1: nothing follows DATA before its reply. Behind the end of data a new group may begin.
        if !self
            .transactions
            .iter()
            .take(index)
            .all(Transaction::has_ended)
        {
            return;
        }
        while (self.pipelining || self.awaited.is_empty()) && self.queue_next(index) {}
    }

    /// Queues the next command of a transaction. Gives whether there was one that may go out.
    fn queue_next(&mut self, index: usize) -> bool {
        let Some(transaction) = self.transactions.get_mut(index) else {
            return false;
        };
        let envelope = transaction.envelope();
        let (what, next) = match transaction.next {
            // RFC 5321 section 4.1.4: no MAIL inside an open transaction.
            Next::Mail if self.open => {
                self.open = false;
                self.outbox.push(b"RSET");
                (Answers::Reset, Next::Mail)
            }
            Next::Mail => {
                let parameters = offered(envelope.parameters(), &self.capabilities);
                self.outbox.print(format_args!(
                    "MAIL FROM:<{}>{parameters}",
                    envelope.reverse_path()
                ));
                (Answers::Mail, Next::Rcpt(0))
            }
            Next::Rcpt(number) => {
                let Some(recipient) = envelope.recipients().get(number) else {
                    return false;
                };
                self.outbox.print(format_args!(
                    "RCPT TO:<{}>{}",
                    recipient.path(),
                    recipient.parameters()
                ));
                let last = number + 1 == envelope.recipients().len();
                let next = if last {
                    Next::Data
                } else {
                    Next::Rcpt(number + 1)
                };
                (Answers::Rcpt(number), next)
            }
            // All or nothing: what can complete the message is not sent before every RCPT has been answered.
            Next::Data if transaction.is_all_or_nothing() && !self.awaited.is_empty() => {
                return false;
            }
            Next::Data => {
                self.outbox.push(b"DATA");
                (Answers::Data, Next::Nothing)
            }
            Next::Nothing => return false,
        };
        transaction.next = next;
        self.outbox.push(b"\r\n");
        self.expect(what);
        true
    }
}

/// The parameters without those of extensions that the server does not offer (RFC 5321 section 4.1.1.11).
fn offered(parameters: &MailParameters, capabilities: &Capabilities) -> MailParameters {
    let mut offered = parameters.clone();
    offered.size = offered.size.filter(|_| capabilities.has("SIZE"));
    offered.body = offered.body.filter(|_| capabilities.has("8BITMIME"));
    offered
}
