//! Mailboxes, domains and paths (RFC 5321 sections 4.1.2 and 4.1.3, RFC 6531 section 3.3). What exists here may go on the wire
//! as it is: where it is ASCII to any server, and else where SMTPUTF8 is in use.

mod domain;
mod domains;
mod mailbox;
mod path;

pub use domain::Domain;
pub use mailbox::Mailbox;
pub use path::{ForwardPath, Postmaster, ReversePath};

pub(super) use domains::Domains;
pub(super) use path::split_path;

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddress {
    /// Nothing was given.
    #[error("the address is empty")]
    Empty,
    /// CR, LF, NUL or another control character, which could smuggle a command; or one that changes how the text around it is
    /// shown, or is not shown itself.
    #[error("an address must not contain {0:?}, which is a control character or is not shown")]
    Control(char),
    /// There is no `@`.
    #[error("an address has the form local-part@domain; the @ is missing")]
    NoAt,
    /// The local part is not a dot-string or a quoted string.
    #[error("the part before the @ is not valid: {0}")]
    LocalPart(&'static str),
    /// The domain is not one.
    #[error("the domain is not valid: {0}")]
    Domain(&'static str),
}

/// Refuses what nobody who reads the address could see: RFC 6531 section 3.3 would let it in.
fn check_characters(text: &str) -> Result<(), InvalidAddress> {
    // Nearly all are like this, and need no look at each character.
    let plain = |b: u8| (b' '..=b'~').contains(&b);
    if text.bytes().fold(true, |all, b| all & plain(b)) {
        return Ok(());
    }
    match text.chars().find(|&c| is_hidden(c)) {
        Some(c) => Err(InvalidAddress::Control(c)),
        None => Ok(()),
    }
}

/// Whether a character is not shown, or not the same to everybody: control characters, those that break lines or change the direction of
/// text, white space other than SP, those that most fonts leave out (Default_Ignorable_Code_Point of Unicode, the joiners among them, without
/// which a word is still the same word, and blank letters), those of private use, those that stand for something else or for what could not
/// be read, and those that are none.
pub(in crate::proto) fn is_hidden(c: char) -> bool {
    let is_none = u32::from(c) & 0xfffe == 0xfffe;
    c.is_control()
        || is_none
        || (c != ' ' && c.is_whitespace())
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
        )
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}')
        || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fffd}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: &str = "\0\t\u{7f}\u{85}\u{a0}\u{ad}\u{1680}\u{2000}\u{200a}\u{202f}\u{205f}\u{3000}\u{34f}\
        \u{61c}\u{115f}\u{1160}\u{17b4}\u{17b5}\u{180b}\u{180f}\u{200b}\u{200d}\u{200f}\u{2028}\
        \u{202e}\u{2060}\u{206f}\u{2800}\u{3164}\u{e000}\u{f8ff}\u{fdd0}\u{fdef}\u{fe00}\u{fe0f}\
        \u{feff}\u{ffa0}\u{fff0}\u{fffd}\u{fffe}\u{ffff}\u{1bca0}\u{1bca3}\u{1d173}\u{1d17a}\
        \u{1fffe}\u{2ffff}\u{e0000}\u{e0fff}\u{f0000}\u{10ffff}";

    /// Next to those, and letters.
    const SHOWN: &str = " ~\u{a1}\u{ac}\u{ae}\u{e4}\u{34e}\u{350}\u{61b}\u{115e}\u{1161}\u{17b3}\u{17b6}\u{180a}\
        \u{1810}\u{1fff}\u{2010}\u{2027}\u{2030}\u{205e}\u{2070}\u{3001}\u{27ff}\u{2801}\u{3163}\
        \u{3165}\u{4e2d}\u{d7ff}\u{f900}\u{fdcf}\u{fdf0}\u{fdff}\u{fe10}\u{fefe}\u{ff00}\u{ff9f}\
        \u{ffa1}\u{ffef}\u{10000}\u{1bc9f}\u{1bca4}\u{1d172}\u{1d17b}\u{1fffd}\u{20000}\u{dfffd}";

    #[test]
    fn what_is_not_shown_is_hidden_and_letters_are_not() {
        for c in HIDDEN.chars() {
            assert!(is_hidden(c), "{c:?}");
            let text = format!("a{c}b");
            assert_eq!(check_characters(&text), Err(InvalidAddress::Control(c)));
        }
        for c in SHOWN.chars() {
            assert!(!is_hidden(c), "{c:?}");
        }
    }
}
