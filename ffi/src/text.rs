//! Texts that C reads: NUL-terminated, gathered in one piece of memory, made without aborting when memory runs out.

use std::ffi::c_char;
use std::fmt::{self, Write};

/// The empty text, for what is absent: a function that returns text never returns NULL.
pub(crate) const EMPTY: *const c_char = c"".as_ptr();

/// A text's place in its [`Texts`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text(usize);

impl Text {
    /// What is absent reads as the empty text.
    pub(crate) const ABSENT: Self = Self(usize::MAX);
}

/// The place of words in their [`Texts`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    before: usize,
    pub(crate) count: usize,
}

impl Words {
    pub(crate) const NONE: Self = Self {
        before: usize::MAX,
        count: 0,
    };
}

/// Texts in one piece of memory, which does not move once all of them are in.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
}

impl Texts {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Adds a text of one line: what would end a line or the text is written as a space. The error is lack of memory.
    pub(crate) fn add(&mut self, text: impl fmt::Display) -> Result<Text, fmt::Error> {
        let place = Text(self.bytes.len());
        write!(self, "{text}")?;
        self.push(&[0])?;
        Ok(place)
    }

    /// The same for what may be absent.
    pub(crate) fn add_some(&mut self, text: Option<impl fmt::Display>) -> Result<Text, fmt::Error> {
        text.map_or(Ok(Text::ABSENT), |text| self.add(text))
    }

    /// Adds the parameters of a command, each with a space in front, as a text each, its keyword in capitals.
    pub(crate) fn add_parameters(&mut self, all: impl fmt::Display) -> Result<Words, fmt::Error> {
        let before = self.bytes.len();
        write!(self, "{all}")?;
        let written = &mut self.bytes[before..];
        let mut count = 0;
        for word in written.split_mut(|byte| *byte == b' ').skip(1) {
            let keyword = word.split_mut(|byte| *byte == b'=').next();
            keyword.into_iter().for_each(<[u8]>::make_ascii_uppercase);
            count += 1;
        }
        for byte in written {
            if *byte == b' ' {
                *byte = 0;
            }
        }
        self.push(&[0])?;
        Ok(Words { before, count })
    }

    /// One of the words; absent if there are not so many.
    pub(crate) fn word(&self, words: Words, index: usize) -> Text {
        if index >= words.count {
            return Text::ABSENT;
        }
        let bytes = self.bytes.iter().enumerate().skip(words.before);
        let mut ends = bytes.filter(|(_, byte)| **byte == 0);
        ends.nth(index)
            .map_or(Text::ABSENT, |(end, _)| Text(end + 1))
    }

    /// The text for C, borrowed from `self`.
    pub(crate) fn get(&self, text: Text) -> *const c_char {
        self.bytes
            .get(text.0)
            .map_or(EMPTY, |first| std::ptr::from_ref(first).cast())
    }

    fn push(&mut self, bytes: &[u8]) -> fmt::Result {
        self.bytes
            .try_reserve(bytes.len())
            .map_err(|_| fmt::Error)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl Write for Texts {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let start = self.bytes.len();
        self.push(text.as_bytes())?;
        for byte in &mut self.bytes[start..] {
            if byte.is_ascii_control() {
                *byte = b' ';
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn read(pointer: *const c_char) -> String {
        // SAFETY: every pointer in these tests comes from `Texts::get`.
        unsafe { CStr::from_ptr(pointer) }
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn a_text_is_one_line_and_an_absent_one_is_empty() {
        let mut texts = Texts::new();
        let first = texts.add("a\r\nb\0c").unwrap();
        let second = texts.add(format_args!("{}é", 7)).unwrap();
        let none = texts.add_some(None::<&str>).unwrap();
        assert_eq!(read(texts.get(first)), "a  b c");
        assert_eq!(read(texts.get(second)), "7é");
        assert_eq!(read(texts.get(none)), "");
    }

    #[test]
    fn each_parameter_is_a_text_with_its_keyword_in_capitals() {
        let mut texts = Texts::new();
        texts.add("before").unwrap();
        let none = texts.add_parameters("").unwrap();
        let some = texts.add_parameters(" Size=5 x-one=Two smtputf8").unwrap();
        texts.add("behind").unwrap();
        let words = |words: Words| -> Vec<_> {
            (0..words.count)
                .map(|index| read(texts.get(texts.word(words, index))))
                .collect()
        };
        assert_eq!(words(none), [""; 0]);
        assert_eq!(words(some), ["SIZE=5", "X-ONE=Two", "SMTPUTF8"]);
        for beyond in [none, some, Words::NONE] {
            assert_eq!(read(texts.get(texts.word(beyond, 3))), "");
        }
    }
}
