//! Numbers that look random and are the same in each run.

/// A generator of 64-bit numbers (xorshift with a multiplication behind it).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// From any seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// From the bytes of an input, so that one input always means the same.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let fold = |seed: u64, byte: &u8| (seed ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Self::new(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold))
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`, or 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or(0)
    }
}

/// `bytes` cut into up to eight segments, some of them perhaps empty.
pub(crate) fn segments<'a>(bytes: &'a [u8], random: &mut Random) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = (0..random.below(8))
        .map(|_| random.below(bytes.len() + 1))
        .collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| &bytes[pair[0]..pair[1]])
        .collect()
}
