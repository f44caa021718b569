//! A password that nothing but a test's own masked copy remembers, and a look for it in all the memory of this process.

use std::array;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::{Duration, Instant};

use base64::engine::{Engine, general_purpose::STANDARD};
use memchr::memchr_iter;
use zeroize::Zeroizing;

/// No octet of a text is one with this.
const MASK: u8 = 0x80;

/// As much of a text as counts as a find: half a password is one.
const PART: usize = 12;

/// How much is looked at in one go.
const WINDOW: usize = 1024 * 1024;

/// Letters by chance, as they are and in base64, with [`MASK`] over each octet: not to be found by itself.
pub(crate) struct Password {
    plain: [u8; 24],
    coded: [u8; 32],
}

impl Password {
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        // It never stands anywhere without its mask: what a stack held once comes along in the gaps of what is built there next.
        let plain: [u8; 24] = array::from_fn(|index| {
            let letter = random.hash_one(index) % 26;
            (b'a' + u8::try_from(letter).unwrap()) ^ MASK
        });
        let mut coded = [0; 32];
        for (three, four) in plain.chunks_exact(3).zip(coded.chunks_exact_mut(4)) {
            let three: [u8; 3] = array::from_fn(|index| three[index] ^ MASK);
            STANDARD.encode_slice(three, four).unwrap();
            for octet in four {
                *octet ^= MASK;
            }
        }
        Self { plain, coded }
    }

    /// As it is. Belongs where room is for it already: what grows leaves a copy behind.
    pub(crate) fn plain(&self) -> impl Iterator<Item = u8> {
        self.plain.iter().map(|octet| octet ^ MASK)
    }

    /// In base64.
    pub(crate) fn coded(&self) -> impl Iterator<Item = u8> {
        self.coded.iter().map(|octet| octet ^ MASK)
    }

    /// Sees to it that it is nowhere, and gives those a moment who are just about to forget it: another
    /// test's look, too, holds what it looks at.
    pub(crate) fn assert_forgotten(&self, by: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while let Some(place) = self.find() {
            assert!(Instant::now() < end, "{by}: still at {place}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where this process holds a half of it, in any of its forms.
    pub(crate) fn find(&self) -> Option<String> {
        let memory = File::open("/proc/self/mem").unwrap();
        // It holds for a moment what others look for.
        let mut window = Zeroizing::new(vec![0; WINDOW]);
        for (name, range) in writable() {
            let mut at = range.start;
            while at < range.end {
                let len = WINDOW.min(usize::try_from(range.end - at).unwrap());
                // What is gone meanwhile holds nothing any more.
                let Ok(read) = memory.read_at(&mut window[..len], at) else {
                    break;
                };
                if self.is_in(&window[..read]) {
                    return Some(name);
                }
                // A part may stand across the edge.
                let next = at + u64::try_from(read.saturating_sub(PART)).unwrap();
                if read < len || at + u64::try_from(read).unwrap() == range.end {
                    break;
                }
                at = next;
            }
        }
        None
    }

    fn is_in(&self, window: &[u8]) -> bool {
        [
            &self.plain[..PART],
            &self.plain[PART..],
            &self.coded[..PART],
            &self.coded[32 - PART..],
        ]
        .iter()
        .any(|part| {
            memchr_iter(part[0] ^ MASK, window).any(|at| {
                let found = window.get(at..at + PART);
                found.is_some_and(|found| found.iter().zip(*part).all(|(a, b)| a ^ MASK == *b))
            })
        })
    }
}

/// The parts of this process's memory that can be written to, with the name of each.
fn writable() -> Vec<(String, Range<u64>)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (place, rights) = (words.next()?, words.next()?);
            let (start, end) = place.split_once('-')?;
            let address = |text| u64::from_str_radix(text, 16).ok();
            rights
                .starts_with("rw")
                .then_some((line.to_owned(), address(start)?..address(end)?))
        })
        .collect()
}
