//! Which version of the library is running, and what it can do.

use std::ffi::{CStr, c_char};

use crate::argument::TextIn;
use crate::call::look;

/// The version as a number, 0xMMmmpp.
const NUMBER: u32 = number(env!("CARGO_PKG_VERSION_MAJOR")) << 16
    | number(env!("CARGO_PKG_VERSION_MINOR")) << 8
    | number(env!("CARGO_PKG_VERSION_PATCH"));

/// The version as text, NUL-terminated.
const STRING: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// What this build can do, by the names that `mailwire_has_feature` takes.
const FEATURES: &[&str] = &[
    "client",
    "server",
    "lmtp",
    "starttls",
    "implicit-tls",
    "auth-plain",
    "auth-login",
    "auth-cram-md5",
    "auth-scram-sha-1",
    "auth-scram-sha-1-plus",
    "auth-scram-sha-256",
    "auth-scram-sha-256-plus",
    "size",
    "8bitmime",
    "smtputf8",
    "chunking",
    "pipelining",
    "enhancedstatuscodes",
];

/// The version of the library that is running, as MAILWIRE_VERSION_NUMBER has it: 0xMMmmpp.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_version_number() -> u32 {
    NUMBER
}

/// The version of the library that is running, as "0.1.0".
///
/// The text is never NULL and is never freed.
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_version_string() -> *const c_char {
    STRING.as_ptr().cast()
}

/// Whether the library that is running can stand in for the one that a program was compiled with: pass
/// MAILWIRE_VERSION_NUMBER. Before 1.0 the minor version must be the same, and from then on the major version; what is
/// running must not be older.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn mailwire_version_check(compiled_with: u32) -> bool {
    stands_in(NUMBER, compiled_with)
}

/// Whether the library can do something: "client", "server", "lmtp", "starttls", "implicit-tls", "auth-plain",
/// "auth-login", "auth-cram-md5", "auth-scram-sha-1", "auth-scram-sha-1-plus", "auth-scram-sha-256",
/// "auth-scram-sha-256-plus", "size", "8bitmime", "smtputf8", "chunking", "pipelining", "enhancedstatuscodes". False for
/// NULL and for a name that it does not know.
///
/// Thread: any.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mailwire_has_feature(name: *const c_char) -> bool {
    // SAFETY: the pointer is NULL or a text, as the header asks.
    let name = unsafe { TextIn::new("name", name) };
    look(false, || Ok(FEATURES.contains(&name.required()?)))
}

fn stands_in(running: u32, compiled_with: u32) -> bool {
    let kind = |version: u32| {
        if version >> 16 == 0 {
            version >> 8
        } else {
            version >> 16 << 8
        }
    };
    kind(running) == kind(compiled_with) && running >= compiled_with
}

const fn number(text: &str) -> u32 {
    let mut value = 0;
    let mut rest = text.as_bytes();
    while let [digit, others @ ..] = rest {
        value = value * 10 + (*digit - b'0') as u32;
        rest = others;
    }
    value
}

const _: () = assert!(CStr::from_bytes_with_nul(STRING.as_bytes()).is_ok());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_has_major_minor_and_patch_in_their_places() {
        let text = format!("{}.{}.{}", NUMBER >> 16, NUMBER >> 8 & 255, NUMBER & 255);
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn only_what_is_compatible_stands_in() {
        assert!(stands_in(0x00_01_03, 0x00_01_02));
        assert!(!stands_in(0x00_01_01, 0x00_01_02));
        assert!(!stands_in(0x00_02_00, 0x00_01_02));
        assert!(stands_in(0x01_04_00, 0x01_02_09));
        assert!(!stands_in(0x02_00_00, 0x01_00_00));
        assert!(!stands_in(0x01_00_00, 0x00_01_00));
    }
}
