//! Finding lines in lent bytes: only CRLF ends a line (RFC 5321 section 2.3.8) unless a finder is lenient, and no byte is looked at
//! twice.

use memchr::memchr;

/// Finds the end of the line at the start of what it is lent, remembering how far it has looked, so that a line which
/// arrives byte by byte is still scanned once.
#[derive(Debug, Default)]
pub struct LineFinder {
    /// Octets at the start of the line that were searched without finding its end.
    searched: usize,
    /// Octets of an over-long line that were given up already.
    skipped: usize,
    /// LF alone ends a line too.
    lenient: bool,
}

/// What was found at the start of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A line of `len` octets. With what ends it, `used` octets are done with.
    Line {
        /// Octets before the CRLF.
        len: usize,
        /// Octets done with: two more, or one where the finder is lenient and LF stands alone.
        used: usize,
    },
    /// No end yet: read more. `used` octets belong to an over-long line and are done with.
    More {
        /// Octets done with.
        used: usize,
    },
    /// An over-long line ended. `used` octets are done with.
    TooLong {
        /// Octets done with.
        used: usize,
    },
    /// An over-long line went on past `give_up` octets.
    Endless,
}

impl LineFinder {
    /// A finder for which LF alone ends a line too. Never to be used for what a message consists of.
    pub fn lenient(lenient: bool) -> Self {
        Self {
            lenient,
            ..Self::default()
        }
    }

    /// At the start of a line.
    pub fn begin_anew(&mut self) {
        *self = Self::lenient(self.lenient);
    }

    /// Looks for the end of the line that begins `input`. A line of more than `limit` octets with its CRLF is skipped;
    /// one of more than `give_up` octets is [`Found::Endless`].
    pub fn find(&mut self, input: &[u8], limit: usize, give_up: usize) -> Found {
        let mut from = self.searched;
        while let Some(offset) = input.get(from..).and_then(|rest| memchr(b'\n', rest)) {
            let lf = from + offset;
            let cr = lf > 0 && input[lf - 1] == b'\r';
            if cr || self.lenient {
                let line = self.skipped + lf + 1;
                self.begin_anew();
                return if line > give_up {
                    Found::Endless
                } else if line > limit {
                    Found::TooLong { used: lf + 1 }
                } else {
                    Found::Line {
                        len: lf - usize::from(cr),
                        used: lf + 1,
                    }
                };
            }
            from = lf + 1;
        }
        if self.skipped + input.len() > give_up {
            return Found::Endless;
        }
        if self.skipped + input.len() < limit {
            self.searched = input.len();
            return Found::More { used: 0 };
        }
        // Too long already: nothing of it is kept, but for a CR that may be the first half of its end.
        let keep = usize::from(input.last() == Some(&b'\r'));
        let used = input.len() - keep;
        self.skipped += used;
        self.searched = keep;
        Found::More { used }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces that end at each of `cuts`, as a driver would; gives what was found, octets and all.
    fn drive(
        input: &[u8],
        cuts: impl Iterator<Item = usize>,
        limit: usize,
        give_up: usize,
    ) -> Vec<Found> {
        let (mut finder, mut start, mut all) = (LineFinder::default(), 0, Vec::new());
        for cut in cuts.chain([input.len()]) {
            loop {
                match finder.find(&input[start..cut], limit, give_up) {
                    Found::Line { len, used } => {
                        start += used;
                        all.push(Found::Line { len, used });
                    }
                    Found::TooLong { used } => {
                        start += used;
                        all.push(Found::TooLong { used: 0 });
                    }
                    Found::Endless => {
                        all.push(Found::Endless);
                        return all;
                    }
                    Found::More { used } => {
                        start += used;
                        break;
                    }
                }
            }
        }
        all
    }

    #[test]
    fn only_crlf_ends_a_line() {
        let lines = drive(b"a\nb\rc\r\r\n\r\n", [].into_iter(), 100, 200);
        assert_eq!(lines, [line(6), line(0)]);
    }

    #[test]
    fn a_lenient_finder_obeys_lf_alone_as_well() {
        let (mut finder, input) = (LineFinder::lenient(true), b"a\nb\rc\r\n\n");
        let (mut start, mut found) = (0, Vec::new());
        while let Found::Line { len, used } = finder.find(&input[start..], 100, 200) {
            found.push((len, used));
            start += used;
        }
        assert_eq!(found, [(1, 2), (3, 5), (0, 1)]);
        // An over-long line ends likewise, and nothing of leniency is forgotten behind it.
        let mut finder = LineFinder::lenient(true);
        assert_eq!(finder.find(b"0123456789", 4, 60), Found::More { used: 10 });
        assert_eq!(finder.find(b"\nx\n", 4, 60), Found::TooLong { used: 1 });
        assert_eq!(finder.find(b"x\n", 4, 60), Found::Line { len: 1, used: 2 });
    }

    /// A line that CRLF ends.
    fn line(len: usize) -> Found {
        Found::Line { len, used: len + 2 }
    }

    #[test]
    fn any_split_finds_the_same() {
        let input = b"one\r\n0123456789012345678901234567890123456789\r\ntwo\n\r\n\r\n";
        let whole = drive(input, [].into_iter(), 20, 60);
        assert_eq!(whole.len(), 4);
        assert_eq!(drive(input, 1..input.len(), 20, 60), whole);
        for cut in 1..input.len() {
            assert_eq!(
                drive(input, [cut].into_iter(), 20, 60),
                whole,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_line_without_end_is_given_up_and_not_kept() {
        let endless = vec![b'x'; 100];
        assert_eq!(drive(&endless, 1..100, 20, 60), [Found::Endless]);
        let mut finder = LineFinder::default();
        assert_eq!(
            finder.find(&endless[..30], 20, 60),
            Found::More { used: 30 }
        );
    }

    #[test]
    fn what_is_just_at_a_limit() {
        let mut finder = LineFinder::default();
        // One octet more, and it would be too long: no end of a line comes in time.
        assert_eq!(finder.find(b"12345678", 8, 60), Found::More { used: 8 });
        let mut finder = LineFinder::default();
        assert_eq!(finder.find(b"1234567", 8, 60), Found::More { used: 0 });
        let mut finder = LineFinder::default();
        assert_eq!(finder.find(&[b'x'; 60], 8, 60), Found::More { used: 60 });
        assert_eq!(finder.find(b"x", 8, 60), Found::Endless);
    }

    #[test]
    fn the_limit_counts_the_crlf() {
        assert_eq!(drive(b"123456\r\n", [].into_iter(), 8, 60), [line(6)]);
        assert_eq!(
            drive(b"1234567\r\n", [].into_iter(), 8, 60),
            [Found::TooLong { used: 0 }]
        );
    }
}
