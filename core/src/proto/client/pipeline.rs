//! When which command of a transaction goes out: in groups if the server takes them (RFC 2920), and with the next transaction
//! chained behind the end of data of the one before.

use super::outbox::Outbox;
use super::transaction::{Next, Transaction};
use super::{Answers, Connection, NotNow, Stage, TransactionId, TransactionOptions, Transfer};
use crate::proto::{Envelope, Protocol, Recipient, limits};

impl Connection {
    /// Begins a transaction, or puts it in the queue behind those that run. Its result comes as
    /// [`Event::Finished`](super::Event::Finished), or from [`lost`](Self::lost).
    ///
    /// Parameters and addresses are held against what the server offers, and what it does not is an error. SIZE, BODY=7BIT and
    /// AUTH= are left out instead. SMTPUTF8 is added where the addresses need it and the server offers it; else their domains
    /// go out in A-labels. Parameters that this library does not know are sent as given.
    ///
    /// Recipients that cannot be named to this server do not sink the rest, unless it is all or nothing: one with a local part
    /// outside ASCII, or an ORCPT that is too long in it, without SMTPUTF8, is [`Refused`](crate::Delivery::Refused) without a
    /// reply; those above its RCPTMAX and RCPTDOMAINMAX (RFC 9422) are [`NotTried`](crate::Delivery::NotTried), to be sent to in
    /// another transaction or session.
    pub fn begin(
        &mut self,
        envelope: Envelope,
        options: TransactionOptions,
    ) -> Result<TransactionId, NotNow> {
        self.check_hello()?;
        if self.owes_caller() {
            return Err(NotNow::Busy);
        }
        if let Transfer::Whole(octets) = options.transfer {
            check_chunk(octets)?;
        }
        if options.transfer != Transfer::Data && !self.capabilities.has("CHUNKING") {
            return Err(NotNow::NotOffered("CHUNKING"));
        }
        if envelope.recipients().is_empty() {
            return Err(NotNow::NoRecipients);
        }
        let fitted = self.fit(envelope, options)?;
        let id = TransactionId(self.next_transaction);
        self.transactions
            .push_back(Transaction::new(id, fitted, options));
        self.next_transaction += 1;
        self.pump();
        Ok(id)
    }

    /// The body of the transaction was sent inside DATA and its end mark is about to be.
    ///
    /// To be called right before the first octet of the end mark is handed to the transport: from here on the result may be
    /// unknown. If another transaction waits and the server takes groups, its commands are queued now, for the same vectored
    /// write to carry behind the end mark.
    pub fn end_of_data(&mut self, id: TransactionId) -> Result<(), NotNow> {
        self.check_hello()?;
        let Some(transaction) = self
            .transactions
            .front_mut()
            .filter(|t| t.id() == id && t.is_sending_body() && t.transfer() == Transfer::Data)
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

    /// Queues a chunk of a message (RFC 3030), after [`Event::SendBody`](super::Event::SendBody) for a transaction that is sent in
    /// [`Transfer::Chunks`]. Where to put its octets is told by [`outgoing`](Self::outgoing).
    ///
    /// With PIPELINING one chunk may follow another before its reply; without it, and under LMTP, each waits for the next
    /// `SendBody`. Behind the last chunk the commands of the next transaction are queued if the server takes groups. The result
    /// may be unknown from the moment when the last octet of the last chunk was sent.
    pub fn chunk(&mut self, id: TransactionId, octets: u64, last: bool) -> Result<(), NotNow> {
        self.check_hello()?;
        if !self.is_sending_chunks(id) {
            return Err(NotNow::NotSendingBody);
        }
        if !self.takes_chunk(id) {
            return Err(NotNow::Busy);
        }
        check_chunk(octets)?;
        self.queue_chunk(0, octets, last);
        self.pump();
        Ok(())
    }

    /// Whether [`chunk`](Self::chunk) would be taken now.
    pub fn takes_chunk(&self, id: TransactionId) -> bool {
        // RFC 2033 has one reply for each recipient behind the last chunk. How many there are is certain only if no
        // chunk before it can fail any more.
        let in_groups = self.pipelining && self.protocol == Protocol::Smtp;
        self.is_sending_chunks(id) && (in_groups || self.awaited.is_empty())
    }

    fn is_sending_chunks(&self, id: TransactionId) -> bool {
        let fits = |t: &Transaction| {
            t.id() == id && t.is_sending_body() && t.transfer() == Transfer::Chunks
        };
        self.stage == Stage::Ready && self.transactions.front().is_some_and(fits)
    }

    /// Queues BDAT, the place of its octets, and what they change.
    fn queue_chunk(&mut self, index: usize, octets: u64, last: bool) {
        let Some(transaction) = self.transactions.get_mut(index) else {
            return;
        };
        let mark = if last { " LAST" } else { "" };
        self.outbox.print(format_args!("BDAT {octets}{mark}\r\n"));
        self.outbox
            .push_body(transaction.id(), transaction.octets(), octets);
        transaction.chunk(octets);
        self.unanswered = self.unanswered.saturating_add(octets);
        if last {
            transaction.last_chunk(self.outbox.end());
            // RFC 3030 section 2: what has failed must be reset. Nobody knows yet, so a RSET goes in front of what follows.
            self.open = true;
        }
        self.expect(Answers::Chunk { octets, last });
    }

    /// Queues all commands that may go out now.
    pub(super) fn pump(&mut self) {
        if self.stage != Stage::Ready {
            return;
        }
        let mut index = 0;
        // Where one was queued whole, the next may follow at once.
        while let Some(transaction) = self.transactions.get(index) {
            if transaction.next != Next::Nothing {
                while (self.pipelining || self.awaited.is_empty()) && self.queue_next(index) {}
            }
            // RFC 2920 section 3.1: nothing follows DATA before its reply. Behind the end of data a new group may begin.
            let ended = |t: &Transaction| t.next == Next::Nothing && t.has_ended();
            if !self.transactions.get(index).is_some_and(ended) {
                return;
            }
            index += 1;
        }
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
                self.outbox.print(format_args!(
                    "MAIL FROM:<{}>{}",
                    transaction.reverse_path(),
                    envelope.parameters()
                ));
                (Answers::Mail, transaction.rcpt_from(0))
            }
            Next::Rcpt(number) => {
                let Some(recipient) = envelope.recipients().get(number) else {
                    return false;
                };
                // RFC 6531 section 3.2: without SMTPUTF8 a domain goes out in A-labels.
                match transaction.ascii_recipient(recipient) {
                    None => print_rcpt(&mut self.outbox, recipient),
                    Some(ascii) => print_rcpt(&mut self.outbox, &ascii),
                }
                let next = transaction.rcpt_from(number + 1);
                (Answers::Rcpt(number), next)
            }
            // All or nothing: what can complete the message is not sent before every RCPT has been answered.
            Next::Data if transaction.is_all_or_nothing() && !self.awaited.is_empty() => {
                return false;
            }
            Next::Data if let Transfer::Whole(octets) = transaction.transfer() => {
                transaction.next = Next::Nothing;
                self.queue_chunk(index, octets, true);
                return false;
            }
            // The recipients' replies have to come first.
            Next::Data if transaction.transfer() == Transfer::Chunks => return false,
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

fn check_chunk(octets: u64) -> Result<(), NotNow> {
    let fits = octets < limits::CHUNK;
    fits.then_some(())
        .ok_or(NotNow::Argument("is too long for one chunk"))
}

fn print_rcpt(outbox: &mut Outbox, recipient: &Recipient) {
    outbox.print(format_args!(
        "RCPT TO:<{}>{}",
        recipient.path(),
        recipient.parameters()
    ));
}
