//! Memory for messages: what those of all sessions may hold, what those from one address may, and the lines of who waits for it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

use super::Options;
use super::buffer::READ_BUFFER;
use super::limits::network;
use super::options::within;
use super::recycled;
use crate::error::Error;
use crate::net::ForkGuard;
use crate::proto::{Envelope, Mailbox, Parameter, Recipient, Reply};

/// No room for a message now (RFC 5321 section 4.2.3, RFC 3463 section 3.4).
pub(crate) const NO_ROOM: Reply = Reply::fixed(
    452,
    Some((4, 3, 1)),
    "Insufficient system storage, try again later",
);

/// The same where it is one client's own doing.
const NO_ROOM_OF_YOURS: Reply = Reply::fixed(
    452,
    Some((4, 3, 1)),
    "Too much of messages from your address is held, try again later",
);

/// The message alone is more than may ever be held: trying again does not help (RFC 3463 section 3.4).
const NEVER_ROOM: Reply = Reply::fixed(
    552,
    Some((5, 3, 4)),
    "Message too big for the memory that is kept for messages here",
);

/// What a piece of a message costs beside its octets, at the most: its allocations, and the event that tells of it. A client chooses
/// how small its pieces are.
pub(crate) const PIECE: u64 = 768;

/// What a recipient of an envelope that is held costs beside its octets, at the most.
const RECIPIENT: u64 = 256;

// With the allocations for its address.
const _: () = assert!(size_of::<Recipient>() as u64 + 64 <= RECIPIENT);

/// The same for each of the parameters of an envelope.
const PARAMETER: u64 = 128;

impl Options {
    /// The most octets of messages held in memory over all sessions, where each piece counts for 768 more. The default is 256 MiB. Of
    /// what a [`Collect`](crate::disposition::Collect) holds, the envelopes count too: their octets, 768 for each of them, 256 for each
    /// recipient and 128 for each parameter; and so do, while a transaction goes on, its recipients beyond the first 16.
    /// Over it, streamed messages are not read on until memory was given back, and others, and such recipients, are answered 452; a message
    /// that is held whole and is more than that alone is answered 552. Who waits is served in the order of coming, where all sessions of an
    /// address have one place in the line at a time.
    pub fn set_body_memory(&mut self, octets: u64) -> Result<(), Error> {
        self.body_memory = within("body_memory", octets, 1..=u64::MAX)?;
        Ok(())
    }

    /// The most of [`set_body_memory`](Self::set_body_memory) that messages from one address may hold; of IPv6, from one /64 network.
    /// Over it that address alone waits or is answered 452, with a text that says so, or 552 for a message that is held whole and is more by
    /// itself. By default it is a quarter of it, or more if
    /// one message of [`set_max_message_size`](Self::set_max_message_size) takes more. A client of a Unix socket has no address,
    /// and behind XCLIENT or the PROXY protocol it is that which the proxy tells.
    pub fn set_body_memory_per_address(&mut self, octets: u64) -> Result<(), Error> {
        let octets = within("body_memory_per_address", octets, 1..=u64::MAX)?;
        self.body_memory_per_address = Some(octets);
        Ok(())
    }

    fn memory_of_one_address(&self) -> u64 {
        // One message can be held whole, with what its pieces cost.
        let message = self.max_message_size;
        let message = message
            .saturating_add(message / 16)
            .saturating_add(READ_BUFFER as u64);
        let usual = message.max(self.body_memory / 4);
        self.body_memory_per_address.unwrap_or(usual)
    }
}

/// The memory for the messages of a server, and who has a share of it.
#[derive(Debug)]
pub(super) struct BodyMemory {
    all: Arc<Room>,
    most_of_one: u64,
    /// Of those addresses that have a session which takes messages, or of whose messages something is held.
    shares: Mutex<HashMap<IpAddr, Weak<Room>>>,
}

impl BodyMemory {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            all: Arc::new(Room::new(options.body_memory)),
            most_of_one: options.memory_of_one_address(),
            shares: Mutex::default(),
        }
    }

    /// What is held now.
    pub(super) fn used(&self) -> u64 {
        self.all.used.load(Ordering::Relaxed)
    }

    /// The room for messages from this address. Whatever of them is held counts there, also once their session is over.
    pub(super) fn of(self: &Arc<Self>, address: Option<IpAddr>) -> Arc<Room> {
        let Some(address) = address.map(network) else {
            return Arc::clone(&self.all);
        };
        let mut shares = self.shares();
        if let Some(room) = shares.get(&address).and_then(Weak::upgrade) {
            return room;
        }
        let share = Share {
            address,
            memory: Arc::clone(self),
        };
        let room = Arc::new(Room {
            share: Some(share),
            ..Room::new(self.most_of_one)
        });
        shares.insert(address, Arc::downgrade(&room));
        room
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<IpAddr, Weak<Room>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room for octets of messages, which are counted with what it takes to hold them, and the line of who waits for it.
#[derive(Debug)]
pub(crate) struct Room {
    most: u64,
    used: AtomicU64,
    /// Its one permit is the turn of who comes next.
    line: Semaphore,
    /// Told to that one when it may be below `most` again.
    less: Notify,
    /// Those who wait are the parent's.
    guard: ForkGuard,
    share: Option<Share>,
}

/// Whose share of a server's memory a room is.
#[derive(Debug)]
struct Share {
    address: IpAddr,
    memory: Arc<BodyMemory>,
}

impl Drop for Share {
    fn drop(&mut self) {
        // In the child of a fork a thread may hold the lock that is not there, and nobody looks at the shares.
        if self.memory.all.guard.is_child() {
            return;
        }
        let mut shares = self.memory.shares();
        // There may be a new one already.
        if let Some(room) = shares.get(&self.address)
            && room.strong_count() == 0
        {
            shares.remove(&self.address);
        }
    }
}

impl Room {
    pub(crate) fn new(most: u64) -> Self {
        Self {
            most,
            used: AtomicU64::new(0),
            line: Semaphore::new(1),
            less: Notify::new(),
            guard: ForkGuard::new(),
            share: None,
        }
    }

    /// The room that this is a share of.
    fn all(&self) -> Option<&Room> {
        self.share.as_ref().map(|share| &*share.memory.all)
    }

    fn is_below_most(&self) -> bool {
        self.used.load(Ordering::SeqCst) < self.most
    }

    /// Whether there is room, and nobody waits for it. What is about to be read may exceed the limit by one read buffer for each
    /// session.
    pub(super) fn is_free(&self) -> bool {
        let free = self.is_below_most() && self.line.available_permits() > 0;
        free && self.all().is_none_or(Self::is_free)
    }

    /// What is answered to who cannot wait, if there is no room.
    pub(super) fn refusal(&self) -> Option<Reply> {
        match &self.share {
            _ if self.is_below_most() => self.all().and_then(Self::refusal),
            Some(_) => Some(NO_ROOM_OF_YOURS),
            None => Some(NO_ROOM),
        }
    }

    /// The same to who holds so many octets of a message already: as many as there ever is room for are refused for good.
    pub(super) fn refusal_beside(&self, octets: u64) -> Option<Reply> {
        let refusal = self.refusal()?;
        let most = self.all().map_or(self.most, |all| all.most.min(self.most));
        Some(if octets < most { refusal } else { NEVER_ROOM })
    }

    /// What is answered to who has waited in vain.
    pub(super) fn refusal_after_waiting(&self) -> Reply {
        self.refusal().unwrap_or(NO_ROOM)
    }

    /// Waits until there is room, behind those who came before. Dropping the future gives the place in the line up.
    pub(crate) async fn room(&self) {
        if self.is_free() {
            return;
        }
        // Its turn in its own line is kept in that of all, or an address could fill that with its sessions.
        let _own = self.turn().await;
        if let Some(all) = self.all() {
            let _all = all.turn().await;
        }
    }

    /// Waits for the turn, and then for room.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        let turn = self.line.acquire().await.ok();
        loop {
            let less = self.less.notified();
            tokio::pin!(less);
            // Listening begins before the look, or a release in between would go unheard.
            less.as_mut().enable();
            if self.is_below_most() {
                return turn;
            }
            less.await;
        }
    }

    /// Counts `octets` and a [`PIECE`] until the result and all its clones and slices are dropped.
    pub(crate) fn charge(self: &Arc<Self>, octets: Bytes) -> Bytes {
        let held = self.hold(octets.len() as u64 + PIECE);
        Bytes::from_owner(Charged {
            octets,
            _held: held,
        })
    }

    /// Counts an envelope until the result is dropped.
    pub(super) fn hold_envelope(self: &Arc<Self>, envelope: &Envelope) -> Held {
        self.hold(cost(envelope))
    }

    /// Counts so many octets until the result is dropped.
    pub(super) fn hold(self: &Arc<Self>, octets: u64) -> Held {
        self.add(octets);
        Held {
            octets,
            room: Arc::clone(self),
        }
    }

    fn add(&self, octets: u64) {
        self.used.fetch_add(octets, Ordering::Relaxed);
        if let Some(all) = self.all() {
            all.add(octets);
        }
    }

    fn give_back(&self, octets: u64) {
        let before = self.used.fetch_sub(octets, Ordering::SeqCst);
        if before >= self.most && !self.guard.is_child() {
            self.less.notify_waiters();
        }
        if let Some(all) = self.all() {
            all.give_back(octets);
        }
    }
}

/// What it takes to keep an envelope.
fn cost(envelope: &Envelope) -> u64 {
    let sender = envelope.reverse_path().mailbox().map_or(0, octets_of);
    let own = sender + parameters(&envelope.parameters().to_parameters());
    let recipients = envelope.recipients().iter().map(cost_of_recipient);
    PIECE + own + recipients.sum::<u64>()
}

/// What it takes to keep a recipient of an envelope.
pub(super) fn cost_of_recipient(recipient: &Recipient) -> u64 {
    let address = recipient.path().mailbox().map_or(0, octets_of);
    RECIPIENT + address + parameters(&recipient.parameters().to_parameters())
}

fn octets_of(mailbox: &Mailbox) -> u64 {
    let a_labels = match mailbox.domain() {
        domain if domain.is_ascii() => 0,
        _ => mailbox.domain_as_ascii().len(),
    };
    (mailbox.as_str().len() + a_labels) as u64
}

fn parameters(parameters: &[Parameter]) -> u64 {
    let octets = parameters.iter().map(|parameter| {
        let value = parameter.value().map_or(0, str::len);
        PARAMETER + (parameter.keyword().len() + value) as u64
    });
    octets.sum()
}

/// Memory that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    octets: u64,
    room: Arc<Room>,
}

impl Held {
    /// What is answered to who would have more counted here, if there is no room.
    pub(super) fn refusal(&self) -> Option<Reply> {
        self.room.refusal()
    }

    /// Counts so many more.
    pub(super) fn grow(&mut self, octets: u64) {
        self.octets += octets;
        self.room.add(octets);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.give_back(self.octets);
    }
}

struct Charged {
    octets: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for Charged {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Charged {
    fn drop(&mut self) {
        recycled::give(std::mem::take(&mut self.octets));
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

    fn memory(most: u64, most_of_one: u64) -> Arc<BodyMemory> {
        let mut options = Options::new();
        options.set_body_memory(most).unwrap();
        options.set_body_memory_per_address(most_of_one).unwrap();
        Arc::new(BodyMemory::new(&options))
    }

    fn from(memory: &Arc<BodyMemory>, address: &str) -> Arc<Room> {
        memory.of(Some(address.parse().unwrap()))
    }

    /// Something that counts for so much.
    fn held(room: &Arc<Room>, octets: u64) -> Bytes {
        room.charge(vec![0; usize::try_from(octets - PIECE).unwrap()].into())
    }

    fn waiting(room: &Room) -> Waiting<'_> {
        Box::pin(room.room())
    }

    /// Whether it may go on, as a task that has just been woken.
    fn may_go(waiting: &mut Waiting<'_>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        waiting.as_mut().poll(&mut context) == Poll::Ready(())
    }

    #[test]
    fn room_comes_back_with_the_last_clone() {
        let memory = memory(1000, 1000);
        let room = from(&memory, "192.0.2.1");
        let octets = held(&room, 1000);
        let part = octets.slice(3..4);
        drop(octets);
        assert_eq!((memory.used(), room.is_free()), (1000, false));
        let mut one = waiting(&room);
        assert!(!may_go(&mut one));
        drop(part);
        assert!(may_go(&mut one));
        assert_eq!((memory.used(), room.is_free()), (0, true));
    }

    #[test]
    fn who_waits_is_served_before_who_comes_later() {
        let memory = memory(1000, 1000);
        let rooms: Vec<_> = (1..5)
            .map(|number| from(&memory, &format!("192.0.2.{number}")))
            .collect();
        let mut octets = held(&rooms[3], 1000);
        let mut line: Vec<_> = rooms[..3].iter().map(|room| waiting(room)).collect();
        assert!(!line.iter_mut().any(may_go));
        for place in 0..3 {
            drop(octets);
            // There is room, and it is not for who comes now, nor for who is behind.
            let mut late = waiting(&rooms[3]);
            assert!(!rooms[3].is_free() && !may_go(&mut late));
            assert!(!line[place + 1..].iter_mut().any(may_go));
            assert!(may_go(&mut line[place]));
            octets = held(&rooms[place], 1000);
        }
        drop(octets);
        assert!(rooms[3].is_free());
    }

    #[test]
    fn who_gives_up_has_no_place_in_the_line() {
        let memory = memory(1000, 1000);
        let room = from(&memory, "192.0.2.1");
        let octets = held(&room, 1000);
        let (mut one, mut two) = (waiting(&room), waiting(&room));
        assert!(!may_go(&mut one) && !may_go(&mut two));
        drop(one);
        drop(octets);
        assert!(may_go(&mut two) && room.is_free());
    }

    #[test]
    fn many_sessions_of_an_address_have_one_place_in_the_line() {
        let memory = memory(1000, 1000);
        let (many, other) = (from(&memory, "192.0.2.1"), from(&memory, "192.0.2.2"));
        let octets = held(&memory.of(None), 1000);
        let (mut first, mut second) = (waiting(&many), waiting(&many));
        assert!(!may_go(&mut first) && !may_go(&mut second));
        let mut late = waiting(&other);
        assert!(!may_go(&mut late));
        drop(octets);
        assert!(may_go(&mut first));
        assert!(!may_go(&mut second), "it is behind the other address");
        assert!(may_go(&mut late) && may_go(&mut second));
    }

    #[test]
    fn an_address_that_holds_its_share_waits_alone() {
        let memory = memory(4000, 2000);
        let own = from(&memory, "2001:db8::1");
        let below = held(&own, 1999);
        assert_eq!((own.is_free(), own.refusal()), (true, None));
        let at_edge = held(&own, PIECE);
        assert_eq!(own.refusal(), Some(NO_ROOM_OF_YOURS));
        // Of IPv6 the network counts.
        let neighbour = from(&memory, "2001:db8::2");
        let mut waits = waiting(&neighbour);
        assert!(!may_go(&mut waits));
        // Others never notice.
        let other = from(&memory, "2001:db8:0:1::1");
        assert!(other.is_free() && other.refusal().is_none());
        let more = held(&other, 4000 - 1999 - PIECE);
        assert_eq!(memory.of(None).refusal(), Some(NO_ROOM));
        drop(at_edge);
        assert!(!may_go(&mut waits) || memory.used() < 4000);
        drop((below, more));
        assert_eq!((memory.used(), own.is_free()), (0, true));
    }

    #[test]
    fn what_is_held_counts_though_its_sessions_are_over() {
        let memory = memory(4000, 1000);
        let first = from(&memory, "192.0.2.1");
        let octets = held(&first, 1000);
        drop(first);
        let again = from(&memory, "192.0.2.1");
        assert_eq!(again.refusal(), Some(NO_ROOM_OF_YOURS));
        drop(octets);
        assert!(again.is_free() && memory.shares().len() == 1);
        drop(again);
        assert!(memory.shares().is_empty());
    }

    fn room_of_another_process() -> Arc<Room> {
        Arc::new(Room {
            guard: ForkGuard::of_another_process(),
            ..Room::new(1000)
        })
    }

    #[test]
    fn in_the_child_of_a_fork_what_is_dropped_waits_for_no_lock() {
        let memory = Arc::new(BodyMemory {
            all: room_of_another_process(),
            ..BodyMemory::new(&Options::new())
        });
        let octets = held(&from(&memory, "192.0.2.1"), 1000);
        let _locked = memory.shares();
        drop(octets);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn in_the_child_of_a_fork_nobody_is_told_that_there_is_room() {
        let room = room_of_another_process();
        let octets = held(&room, 1000);
        let mut waits = waiting(&room);
        assert!(!may_go(&mut waits));
        drop(octets);
        assert!(!may_go(&mut waits) && room.is_below_most());
    }

    #[test]
    fn the_usual_share_is_a_quarter_or_one_message() {
        let mut options = Options::new();
        assert_eq!(options.memory_of_one_address(), 64 << 20);
        options.set_max_message_size(80 << 20).unwrap();
        let most = options.memory_of_one_address();
        assert!(((80 << 20)..(90 << 20)).contains(&most), "{most}");
        options.set_max_message_size(u64::MAX).unwrap();
        assert_eq!(options.memory_of_one_address(), u64::MAX);
        options.set_body_memory_per_address(5).unwrap();
        assert_eq!(options.memory_of_one_address(), 5);
    }

    #[test]
    fn the_replies_are_well_formed() {
        for reply in [NO_ROOM, NO_ROOM_OF_YOURS] {
            let again = Reply::new(reply.code(), reply.text().to_owned()).unwrap();
            assert_eq!(
                again.with_enhanced(reply.enhanced().unwrap()).unwrap(),
                reply
            );
        }
    }
}
