//! Mutations of a corpus, the same in each run: what a fuzzer does, without its feedback.

use crate::random::Random;

/// Words that reach deep into SMTP. libFuzzer reads the same file.
const DICTIONARY: &str = include_str!("../dictionary.txt");

/// Makes new inputs out of old ones.
#[derive(Debug)]
pub struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
    words: Vec<Vec<u8>>,
    random: Random,
}

impl<'a> Mutator<'a> {
    /// Over a corpus; what comes is decided by it alone.
    pub fn new(corpus: &'a [Vec<u8>]) -> Self {
        Self {
            corpus,
            words: words(DICTIONARY),
            random: Random::of(&corpus.concat()),
        }
    }

    /// The next input: one of the corpus with one to six changes.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.pick(self.corpus);
        for _ in 0..=self.random.below(6) {
            self.change(&mut input);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        let to = at + self.random.below((input.len() - at).min(32) + 1);
        let inserted = match self.random.below(8) {
            0 => self.random.next().to_le_bytes()[..=self.random.below(3)].to_vec(),
            1 => b"\r\n\0.\x20\x80\xff="[self.random.below(8)..][..1].to_vec(),
            2 | 3 => {
                let words = std::mem::take(&mut self.words);
                let word = self.pick(&words);
                self.words = words;
                word
            }
            // A piece of another input.
            4 => {
                let other = self.pick(self.corpus);
                let from = self.random.below(other.len() + 1);
                let len = self.random.below((other.len() - from).min(64) + 1);
                other[from..from + len].to_vec()
            }
            // A piece of itself, once or many times over.
            5 => input[at..to].repeat(1 + self.random.below(3)),
            6 => {
                if let Some(octet) = input.get_mut(at) {
                    *octet ^= 1 << self.random.below(8);
                }
                return;
            }
            _ => Vec::new(),
        };
        let to = if self.random.below(2) == 0 { at } else { to };
        input.splice(at..to, inserted);
    }

    fn pick(&mut self, from: &[Vec<u8>]) -> Vec<u8> {
        from.get(self.random.below(from.len()))
            .cloned()
            .unwrap_or_default()
    }
}

/// The words of a dictionary as libFuzzer has it: one in double quotes a line, with `\xNN` for any octet.
fn words(dictionary: &str) -> Vec<Vec<u8>> {
    let quoted = dictionary
        .lines()
        .filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(unescaped).collect()
}

fn unescaped(word: &str) -> Vec<u8> {
    let mut parts = word.split("\\x");
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (number, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        octets.extend(u8::from_str_radix(number, 16).ok());
        octets.extend_from_slice(rest.as_bytes());
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_read() {
        assert_eq!(
            words("# no word\n\"a\\x0d\\x0Ab\"\n\n\"c\""),
            [&b"a\r\nb"[..], b"c"]
        );
        assert!(words(DICTIONARY).contains(&b"\r\n.\r\n".to_vec()));
    }

    #[test]
    fn the_same_corpus_gives_the_same_inputs_and_not_twice_the_same() {
        let corpus = [b"EHLO a\r\n".to_vec(), b"QUIT\r\n".to_vec()];
        let run = || {
            let mut mutator = Mutator::new(&corpus);
            (0..200).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        let inputs = run();
        assert_eq!(inputs, run());
        let different: std::collections::HashSet<_> = inputs.iter().collect();
        assert!(different.len() > 150, "{}", different.len());
    }
}
