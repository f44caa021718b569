//! Read buffers, shared by the sessions of a thread: a session that waits for its client holds none.

use std::cell::RefCell;

use bytes::BytesMut;
use zeroize::Zeroize;

use super::recycled;

/// The size of a read buffer, in octets. Larger ones leave the processor's cache, smaller ones cost more system calls.
pub(crate) const READ_BUFFER: usize = 64 * 1024;

/// Buffers that a thread keeps for later.
const KEPT: usize = 8;

thread_local! {
    static POOL: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Makes room in `buffer`: all of [`READ_BUFFER`] if it is empty, and at least `least` octets behind what it holds.
pub(crate) fn make_room(buffer: &mut BytesMut, least: usize) {
    if buffer.capacity() == 0 {
        *buffer = fresh();
    } else if buffer.is_empty() {
        // The memory is had again unless a part of it was handed out and is still held.
        if !buffer.try_reclaim(READ_BUFFER) {
            *buffer = fresh();
        }
    } else if buffer.capacity() - buffer.len() < least {
        let mut full = std::mem::replace(buffer, fresh());
        buffer.reserve(full.len() + least);
        buffer.extend_from_slice(&full);
        // It may be half a line of AUTH.
        overwrite(&mut full);
        full.clear();
        give_back(&mut full);
    }
}

/// An empty buffer of [`READ_BUFFER`] octets.
fn fresh() -> BytesMut {
    POOL.try_with(|pool| pool.borrow_mut().pop())
        .ok()
        .flatten()
        .or_else(recycled::take)
        .unwrap_or_else(|| BytesMut::with_capacity(READ_BUFFER))
}

/// Adds octets to what is gathered of a message. What grows large comes into a buffer that can be had again.
pub(crate) fn append(gathered: &mut BytesMut, octets: &[u8]) {
    let len = gathered.len() + octets.len();
    if len > gathered.capacity() && (READ_BUFFER / 2..=READ_BUFFER).contains(&len) {
        let mut larger = fresh();
        larger.extend_from_slice(gathered);
        *gathered = larger;
    }
    gathered.extend_from_slice(octets);
}

/// Overwrites octets that may be a password: the memory of a buffer goes to the next session.
pub(crate) fn overwrite(octets: &mut [u8]) {
    octets.zeroize();
}

/// Takes the memory of an empty buffer back, unless a part of it was handed out and is still held.
pub(crate) fn give_back(buffer: &mut BytesMut) {
    if !buffer.is_empty() || buffer.capacity() == 0 {
        return;
    }
    let mut taken = std::mem::take(buffer);
    if taken.try_reclaim(READ_BUFFER) {
        // A thread that ends has no pool any more, and needs none.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT {
                pool.push(taken);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_unless_a_part_of_it_is_held() {
        let mut buffer = BytesMut::new();
        make_room(&mut buffer, 1);
        let address = buffer.as_ptr();
        buffer.extend_from_slice(b"hello");
        let part = buffer.split().freeze();
        give_back(&mut buffer);
        make_room(&mut buffer, 1);
        assert_ne!(buffer.as_ptr(), address, "the part is still held");
        assert_eq!(part, "hello");

        let address = buffer.as_ptr();
        buffer.extend_from_slice(b"hello");
        drop(buffer.split().freeze());
        give_back(&mut buffer);
        assert_eq!(buffer.capacity(), 0);
        make_room(&mut buffer, 1);
        assert_eq!(buffer.as_ptr(), address);
        assert!(buffer.capacity() >= READ_BUFFER);
    }

    #[test]
    fn room_is_made_behind_what_is_kept() {
        let mut buffer = BytesMut::with_capacity(8);
        buffer.extend_from_slice(b"12345678");
        make_room(&mut buffer, 1);
        assert_eq!(&buffer[..], b"12345678");
        assert!(buffer.capacity() >= READ_BUFFER);
    }

    /// Where a line of AUTH ends behind the end of the buffer.
    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_moved_elsewhere_leaves_nothing_behind() {
        let mut buffer = BytesMut::new();
        make_room(&mut buffer, 1);
        buffer.resize(buffer.capacity(), b'x');
        let _ = buffer.split_to(buffer.len() - 8);
        buffer.copy_from_slice(b"AHRpbQBw");
        let place = u64::try_from(buffer.as_ptr().addr()).unwrap();
        make_room(&mut buffer, 1);
        assert_eq!(&buffer[..], b"AHRpbQBw");
        assert_ne!(u64::try_from(buffer.as_ptr().addr()).unwrap(), place);
        // The old memory waits for the next session of this thread.
        let mut left = [1; 8];
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        std::os::unix::fs::FileExt::read_exact_at(&memory, &mut left, place).unwrap();
        assert_eq!(left, [0; 8]);
    }

    #[test]
    fn a_secret_is_overwritten_and_what_stands_behind_it_is_not() {
        let mut buffer = BytesMut::from(&b"AUTH PLAIN AHRpbQBwdw==\r\nNOOP\r\n"[..]);
        let line = 25;
        overwrite(&mut buffer[..line]);
        assert_eq!(&buffer[..line], [0; 25]);
        assert_eq!(&buffer[line..], b"NOOP\r\n");
    }
}
