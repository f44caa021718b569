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
    /// shown.
    #[error("an address must not contain the control character {0:?}")]
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

/// Refuses control characters, and those that break lines or change the direction of text: RFC 6531 section 3.3 would let them
/// in, and nobody who reads the address could see what it is.
fn check_characters(text: &str) -> Result<(), InvalidAddress> {
    // Nearly all are like this, and need no look at each character.
    let plain = |b: u8| (b' '..=b'~').contains(&b);
    if text.bytes().fold(true, |all, b| all & plain(b)) {
        return Ok(());
    }
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}')
    };
    match text.chars().find(|&c| hidden(c)) {
        Some(c) => Err(InvalidAddress::Control(c)),
        None => Ok(()),
    }
}
