//! Names of files that no other message has. Nothing in them comes from a peer.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::message::unique as unique_text;

/// A name after the rules for Maildirs: the time in seconds, what tells apart the deliveries of a host, which is a unique text, and the
/// host, with dots between.
pub(super) fn unique(host: &str) -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    format!("{seconds}.{}.{host}", unique_text())
}

/// Whether it has the form of a name by [`unique`], of this host or another.
pub(super) fn is_unique(name: &str) -> bool {
    let mut parts = name.splitn(3, '.');
    let (Some(seconds), Some(text), Some(host)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_time = !seconds.is_empty() && seconds.bytes().all(|octet| octet.is_ascii_digit());
    let is_text = text.len() == 32 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    is_time && is_text && !host.is_empty()
}

/// The machine's name as it may stand in a file's name: what would be a folder or begin the flags of a Maildir is written by number.
pub(super) fn host() -> String {
    let uname = rustix::system::uname();
    safe(&uname.nodename().to_string_lossy())
}

fn safe(name: &str) -> String {
    let mut host = String::new();
    for letter in name.chars().take(64) {
        if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_') {
            host.push(letter);
        } else if letter.is_ascii() {
            // Writing to a string cannot fail.
            let _ = write!(host, "\\{:03o}", u32::from(letter));
        }
    }
    if host.is_empty() {
        host.push_str("localhost");
    }
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_time_and_the_host_and_differs_from_the_next() {
        let name = unique("h.example");
        assert!(is_unique(&name), "{name}");
        assert!(name.ends_with(".h.example"), "{name}");
        let seconds: u64 = name.split('.').next().unwrap().parse().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(now.as_secs() - seconds < 60, "{name}");
        assert_ne!(name, unique("h.example"));
    }

    #[test]
    fn the_names_of_others_are_not_taken_for_ours() {
        let text = "0123456789abcdef0123456789abcdef";
        assert!(is_unique(&format!("1.{text}.h.example")));
        for name in [
            String::new(),
            format!("1.{text}"),
            format!("1.{text}."),
            format!("1.{text}0.h"),
            format!("1.{}.h", &text[1..]),
            format!("1.{}g.h", &text[1..]),
            format!(".{text}.h"),
            format!("x1.{text}.h"),
            "1.M2P3Q4.h".to_owned(),
        ] {
            assert!(!is_unique(&name), "{name}");
        }
    }

    #[test]
    fn a_host_leads_to_no_other_folder_and_has_no_flags() {
        assert_eq!(safe("a/b:c"), "a\\057b\\072c");
        assert_eq!(safe(""), "localhost");
        assert_eq!(safe("mx-1.example.org"), "mx-1.example.org");
        assert!(safe(&"x".repeat(300)).len() <= 64);
        assert!(!host().contains(['/', ':', '\0']));
    }
}
