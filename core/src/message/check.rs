//! What callers give is checked here, before any of it is kept. Each error begins with the field's name.

use crate::error::Error;

use super::address::{self, Address};
use super::words;

/// A field name is short enough that a value fits on its line (RFC 5322 section 2.1.1).
const NAME: usize = 76;

/// A content type with its parameters.
const CONTENT_TYPE: usize = 255;

/// A content id or a message id. The latter has the field name before it and must not be folded.
const IDENTIFIER: usize = 500;

/// Names the field in an error.
pub(super) fn invalid(field: &str, what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("{field}: {what}"))
}

/// Refuses CR, LF and NUL, which could end the field and begin another.
pub(super) fn no_line_break(field: &str, text: &str) -> Result<(), Error> {
    match text.chars().find(|c| matches!(c, '\r' | '\n' | '\0')) {
        Some(c) => Err(invalid(field, format_args!("must not contain {c:?}"))),
        None => Ok(()),
    }
}

/// Refuses every control character.
pub(super) fn no_control(field: &str, text: &str) -> Result<(), Error> {
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(invalid(field, format_args!("must not contain {c:?}"))),
        None => Ok(()),
    }
}

/// One address or more, with or without names.
pub(super) fn addresses(field: &str, text: &str) -> Result<Vec<Address>, Error> {
    no_control(field, text)?;
    let list = address::parse(text).map_err(|what| invalid(field, what))?;
    if list.grouped {
        return Err(invalid(field, "a group of addresses cannot be given here"));
    }
    if list.addresses.is_empty() {
        return Err(invalid(field, "the address is empty"));
    }
    for name in list.addresses.iter().filter_map(|a| a.name.as_deref()) {
        // Again, because an encoded word in the name may have held one.
        no_control(field, name)?;
    }
    Ok(list.addresses)
}

/// Exactly one address.
pub(super) fn address(field: &str, text: &str) -> Result<Address, Error> {
    let mut addresses = addresses(field, text)?.into_iter();
    match (addresses.next(), addresses.next()) {
        (Some(address), None) => Ok(address),
        _ => Err(invalid(field, "one address goes here, not several")),
    }
}

/// RFC 5322 section 3.6.8: printable ASCII without the colon.
pub(super) fn header_name(name: &str) -> Result<(), Error> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
        return Err(invalid(
            "header name",
            format_args!(
                "{name:?} is none: it has printable ASCII characters, no space and no colon"
            ),
        ));
    }
    if name.len() > NAME {
        return Err(invalid(
            "header name",
            format_args!("it is longer than {NAME} characters"),
        ));
    }
    Ok(())
}

/// The value of a structured field, which cannot be encoded.
pub(super) fn plain(field: &str, value: &str) -> Result<(), Error> {
    if value.is_empty() || !words::is_plain(value) {
        return Err(invalid(
            field,
            "the value has printable ASCII characters only and no space at its ends",
        ));
    }
    Ok(())
}

/// RFC 5322 section 3.6.4: `<left@right>`.
pub(super) fn message_id(field: &str, value: &str) -> Result<(), Error> {
    let inside = value
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'));
    if inside.is_some_and(|inside| is_identifier(inside) && inside.contains('@')) {
        Ok(())
    } else {
        Err(invalid(
            field,
            "a message id has the form <left@right>, without spaces",
        ))
    }
}

/// A content id without its angle brackets (RFC 2045 section 7). The `@` that it should have is not insisted on.
pub(super) fn content_id<'a>(field: &str, text: &'a str) -> Result<&'a str, Error> {
    let inside = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(text);
    if is_identifier(inside) {
        Ok(inside)
    } else {
        Err(invalid(
            field,
            "the content id has letters, digits and marks such as . - _ @, without spaces",
        ))
    }
}

fn is_identifier(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_graphic() && !b"<>()[]\\\",;:".contains(&b);
    // A domain literal may stand behind the @ (no-fold-literal).
    let bare = match text.split_once("@[") {
        Some((left, right)) => match right.strip_suffix(']') {
            Some(literal) => {
                literal.bytes().all(|b| fits(b) || b == b':') && left.bytes().all(fits)
            }
            None => false,
        },
        None => text.bytes().all(fits),
    };
    bare && (1..=IDENTIFIER).contains(&text.len())
}

/// A content type with its parameters (RFC 2045 section 5.1). Gives `type/subtype` in lower case.
pub(super) fn content_type(field: &str, text: &str) -> Result<String, Error> {
    let wrong = || {
        invalid(
            field,
            "a content type has the form type/subtype; name=value",
        )
    };
    if text.len() > CONTENT_TYPE || !text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Err(wrong());
    }
    let (kind, parameters) = match text.split_once(';') {
        Some((kind, parameters)) => (kind.trim_end(), Some(parameters)),
        None => (text, None),
    };
    let (main, sub) = kind.split_once('/').ok_or_else(wrong)?;
    if !is_token(main) || !is_token(sub) {
        return Err(wrong());
    }
    let mut rest = parameters;
    while let Some(parameter) = rest {
        let (name, value) = parameter.trim_start().split_once('=').ok_or_else(wrong)?;
        let end = value_end(value).ok_or_else(wrong)?;
        let after = value[end..].trim_start();
        rest = after.strip_prefix(';');
        if !is_token(name) || (rest.is_none() && !after.is_empty()) {
            return Err(wrong());
        }
    }
    Ok(kind.to_ascii_lowercase())
}

/// The length of a parameter's value: a token or a quoted string.
fn value_end(value: &str) -> Option<usize> {
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find([';', ' ']).unwrap_or(value.len());
        return is_token(&value[..end]).then_some(end);
    };
    let mut escaped = false;
    for (index, b) in quoted.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index + 2),
            _ => {}
        }
    }
    None
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_follow_their_grammar() {
        for text in [
            "text/plain",
            "Text/Plain; charset=utf-8",
            "application/vnd.ms-excel.sheet+xml",
            "text/csv;header=present ; charset=\"a; \\\" b\"",
        ] {
            assert!(content_type("x", text).is_ok(), "{text}");
        }
        assert_eq!(content_type("x", "Text/HTML ; a=b").unwrap(), "text/html");
        for text in [
            "",
            "text",
            "text/",
            "/plain",
            "text/pl ain",
            "text/plain;",
            "text/plain; charset",
            "text/plain; charset=",
            "text/plain; charset=a b",
            "text/plain; charset=\"a",
            "text/plain; =a",
            "text/plain; a=\"b\"c",
            "text/plain\r\nX: y",
            "text/pläin",
            &format!("text/plain; a={}", "b".repeat(255)),
        ] {
            assert!(content_type("x", text).is_err(), "{text}");
        }
    }

    #[test]
    fn identifiers_follow_their_grammar() {
        for text in ["<a@b>", "<a.b$c@[192.0.2.1]>", "<a@[IPv6:::1]>"] {
            assert!(message_id("x", text).is_ok(), "{text}");
        }
        for text in [
            "",
            "a@b",
            "<a>",
            "<a b@c>",
            "<a@b> <c@d>",
            "<a@b",
            "<a@[b>",
            "<ü@b>",
            "<@[>",
        ] {
            assert!(message_id("x", text).is_err(), "{text}");
        }
        assert_eq!(content_id("x", "<logo@x>").unwrap(), "logo@x");
        assert_eq!(content_id("x", "logo").unwrap(), "logo");
        for text in ["", "<>", "a b", "a>b", "a\r\nb", "ü"] {
            assert!(content_id("x", text).is_err(), "{text}");
        }
    }

    #[test]
    fn header_names_follow_their_grammar() {
        assert!(header_name("X-Long_Name!").is_ok());
        for name in [
            "",
            "a b",
            "a:",
            "a\r\nb",
            "a\0",
            "ü",
            " a",
            &"x".repeat(NAME + 1),
        ] {
            assert!(header_name(name).is_err(), "{name:?}");
        }
    }
}
