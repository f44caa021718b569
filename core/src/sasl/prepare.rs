//! SASLprep (RFC 4013): the one form in which names and passwords are compared, however they were typed.

use std::borrow::Cow;

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// A name or password in the form in which it is to be kept (RFC 4013, as a stored string). `None` if SASLprep forbids it, or leaves
/// nothing of it.
///
/// ```
/// use mailwire::sasl::saslprep;
///
/// assert_eq!(saslprep("\u{2168}").as_deref(), Some("IX"));
/// assert_eq!(saslprep("a\tb"), None);
/// ```
pub fn saslprep(text: &str) -> Option<String> {
    prepare(text, Use::Stored).map(Cow::into_owned)
}

/// What a string is prepared for (RFC 3454 section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// To be kept: code points that Unicode 3.2 gives no meaning are refused, since they may get one.
    Stored,
    /// To be compared with what is kept: such code points may stand, and match nothing.
    Query,
}

/// The string as SASLprep has it. `None` if it forbids the string, or leaves nothing of it.
pub(crate) fn prepare(text: &str, purpose: Use) -> Option<Cow<'_, str>> {
    // Most names and passwords are printable ASCII, which nothing changes.
    if !text.is_empty() && text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return Some(Cow::Borrowed(text));
    }
    // RFC 4013 section 2.1. U+200B stands in both lists; it vanishes.
    let mapped = text
        .chars()
        .filter(|&c| !tables::commonly_mapped_to_nothing(c))
        .map(|c| {
            if tables::non_ascii_space_character(c) {
                ' '
            } else {
                c
            }
        });
    // Room for all but very odd text: a string that grows leaves a copy of the password behind.
    let mut normalised = Zeroizing::new(String::with_capacity(4 * text.len()));
    normalised.extend(mapped.nfkc());
    let refused = normalised.is_empty()
        || normalised.contains(is_prohibited)
        || breaks_bidi(&normalised)
        || (purpose == Use::Stored && normalised.contains(tables::unassigned_code_point));
    (!refused).then(|| Cow::Owned(std::mem::take(&mut *normalised)))
}

/// RFC 4013 section 2.3.
fn is_prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::surrogate_code(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

/// RFC 3454 section 6: text from right to left begins and ends so, and has nothing that runs from left to right in it.
fn breaks_bidi(text: &str) -> bool {
    let from_right = tables::bidi_r_or_al;
    text.contains(from_right)
        && (text.contains(tables::bidi_l)
            || !text.starts_with(from_right)
            || !text.ends_with(from_right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4013_section_3_examples() {
        for purpose in [Use::Stored, Use::Query] {
            for (given, prepared) in [
                ("I\u{AD}X", Some("IX")),
                ("user", Some("user")),
                ("USER", Some("USER")),
                ("\u{AA}", Some("a")),
                ("\u{2168}", Some("IX")),
                ("\u{7}", None),
                ("\u{627}1", None),
            ] {
                assert_eq!(prepare(given, purpose).as_deref(), prepared, "{given:?}");
            }
        }
    }

    #[test]
    fn s236_what_is_forbidden_or_vanishes_is_no_name() {
        for given in [
            "",
            "\u{AD}",
            "\u{200B}",
            "\u{FFF9}",
            "a\u{E000}",
            "\t",
            "a\u{7f}",
            "a\u{85}",
            "a\u{FDD0}",
            "a\u{2FF0}",
            "a\u{200E}",
            "a\u{E0020}",
        ] {
            assert_eq!(prepare(given, Use::Query), None, "{given:?}");
        }
        assert_eq!(saslprep("a\u{A0}b").as_deref(), Some("a b"));
        assert_eq!(saslprep("\u{1F511}"), None);
        assert_eq!(prepare("a\u{A0}b", Use::Query).as_deref(), Some("a b"));
        assert_eq!(prepare("a\u{200B}b", Use::Query).as_deref(), Some("ab"));
    }

    #[test]
    fn rfc_3454_section_7_only_queries_may_have_unassigned_code_points() {
        // U+1F511 came with Unicode 6.0.
        assert_eq!(prepare("\u{1F511}", Use::Stored), None);
        assert_eq!(
            prepare("\u{1F511}", Use::Query).as_deref(),
            Some("\u{1F511}")
        );
    }

    #[test]
    fn text_from_right_to_left_is_whole() {
        assert!(prepare("\u{5D0}\u{5D1}", Use::Stored).is_some());
        assert!(prepare("\u{5D0}1\u{5D1}", Use::Stored).is_some());
        assert!(prepare("\u{5D0}a\u{5D1}", Use::Stored).is_none());
        assert!(prepare("1\u{5D0}", Use::Stored).is_none());
    }
}
