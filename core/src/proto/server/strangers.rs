//! Clients of other protocols: a browser that was made to post a form here, or TLS on a port where it is not spoken yet.
//!
//! Their bytes must not be obeyed as commands, whatever stands in them, so they are noticed by their first octets.

/// Methods of HTTP, with the space behind them. `PRI` begins HTTP/2 (RFC 9113 section 3.4).
const METHODS: [&[u8]; 10] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"TRACE ",
    b"PATCH ",
    b"PRI ",
];

/// The protocol that `line`, perhaps only the start of a line, belongs to, if it is another one.
pub(super) fn other_protocol(line: &[u8], tls: bool) -> Option<&'static str> {
    // RFC 8446 section 5.1: a record of type handshake, version 3.x.
    if !tls && line.starts_with(&[0x16, 0x03]) {
        return Some("TLS");
    }
    METHODS
        .iter()
        .any(|method| line.starts_with(method))
        .then_some("HTTP")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s022_s023_http_and_tls_are_known_by_their_first_octets() {
        assert_eq!(other_protocol(b"POST / HTTP/1.1", false), Some("HTTP"));
        assert_eq!(other_protocol(b"GET ", true), Some("HTTP"));
        assert_eq!(other_protocol(b"\x16\x03\x01\x02", false), Some("TLS"));
        for line in [
            b"".as_slice(),
            b"GET",
            b"\x16",
            b"QUIT",
            b"EHLO GET ",
            b"HELP GET ",
        ] {
            assert_eq!(other_protocol(line, false), None, "{}", line.escape_ascii());
        }
        assert_eq!(other_protocol(b"\x16\x03\x01", true), None);
    }
}
