//! The table: what somebody has taken for the end of data, and is not, in front of a whole second transaction.

/// Octets that do not end the data, and whether a bare CR or LF is among them. Rows S113 to S121.
pub(crate) const FAMILIES: [(&[u8], bool); 38] = [
    (b"\n.\n", true),
    (b"\n.\r\n", true),
    (b"\n.\r", true),
    (b"\r.\r", true),
    (b"\r.\n", true),
    (b"\r.\r\n", true),
    (b"\r\n.\n", true),
    (b"\r\n.\r", true),
    (b"\r\n.\r\r\n", true),
    (b"\r\r\n.\r\r\n", true),
    (b"\r\n\0.\r\n", false),
    (b"\r\n.\0\r\n", false),
    (b"\r\n. \r\n", false),
    (b"\r\n.\t\r\n", false),
    (b"\r\n..\r\n", false),
    (b"\n\r.\r\n", true),
    (b"\r\n.\n\r", true),
    (b"\r\n\n.\r\n", true),
    (b"\r\n\r.\r\n", true),
    (b"\r\n .\r\n", false),
    (b"\r\r\n..\r\n", true),
    (b"\n\n.\n\n", true),
    // VT, FF, NEL and U+2028, in front of the dot, behind it, on both sides, and instead of the line ends.
    (b"\r\n\x0b.\r\n", false),
    (b"\r\n.\x0b\r\n", false),
    (b"\r\n\x0b.\x0b\r\n", false),
    (b"\x0b.\x0b", false),
    (b"\r\n\x0c.\r\n", false),
    (b"\r\n.\x0c\r\n", false),
    (b"\x0c.\x0c", false),
    (b"\r\n\xc2\x85.\r\n", false),
    (b"\r\n.\xc2\x85\r\n", false),
    (b"\xc2\x85.\xc2\x85", false),
    (b"\x85.\x85", false),
    (b"\r\n\xe2\x80\xa8.\r\n", false),
    (b"\r\n.\xe2\x80\xa8\r\n", false),
    (b"\xe2\x80\xa8.\xe2\x80\xa8", false),
    (b"\r\n.\r\x0b\n", true),
    (b"\r\n.\r.\n", true),
];

/// What would follow the end, were there one: a transaction of its own, up to its last line.
pub(crate) const SECOND: &[u8] =
    b"MAIL FROM:<evil@a.example>\r\nRCPT TO:<victim@b.example>\r\nDATA\r\nsmuggled\r\n";

/// What stands in front of a family: nothing, a line that it interrupts, and whole lines.
const LEADS: [&[u8]; 4] = [b"", b"text", b"text\r\nmore", b"text\r\n"];

/// What stands right before the end mark: nothing, or a bare CR or LF.
const TAILS: [&[u8]; 3] = [b"", b"\r", b"\n"];

/// A message as it is sent behind the 354, without its end mark.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    pub(crate) octets: Vec<u8>,
    /// Whether it has a bare CR or LF, for which it is refused.
    pub(crate) bare: bool,
    /// Whether such an octet stands right before the end mark.
    pub(crate) tail: bool,
}

impl Body {
    /// The octets with their end mark.
    pub(crate) fn ended(&self) -> Vec<u8> {
        [&self.octets, &b".\r\n"[..]].concat()
    }

    /// What a receiver is to make of it: without the stuffed dots (RFC 5321 section 4.5.2).
    pub(crate) fn unstuffed(&self) -> Vec<u8> {
        let mut message = Vec::new();
        for (at, octet) in self.octets.iter().enumerate() {
            let line_start = at == 0 || self.octets[..at].ends_with(b"\r\n");
            if !(line_start && *octet == b'.') {
                message.push(*octet);
            }
        }
        message
    }

    /// The same with a CRLF for each bare CR or LF.
    pub(crate) fn normalised(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        let message = self.unstuffed();
        for (at, octet) in message.iter().enumerate() {
            match octet {
                b'\n' if message[..at].ends_with(b"\r") => {}
                b'\r' | b'\n' => lines.extend_from_slice(b"\r\n"),
                _ => lines.push(*octet),
            }
        }
        lines
    }
}

/// Every family behind every lead, in front of the second transaction and of every tail. Those that begin with CRLF also come as
/// the very first octets of the data, where the CRLF of the command DATA stands in front.
pub(crate) fn bodies() -> Vec<Body> {
    let mut bodies = Vec::new();
    for (family, bare) in FAMILIES {
        let starts = LEADS.iter().map(|lead| [lead, family].concat());
        let first = family.strip_prefix(b"\r\n").map(<[u8]>::to_vec);
        for start in starts.chain(first) {
            for tail in TAILS {
                let end: &[u8] = if tail.is_empty() { b"" } else { b"\r\n" };
                bodies.push(Body {
                    octets: [&start, SECOND, tail, end].concat(),
                    bare: bare || !tail.is_empty(),
                    tail: !tail.is_empty(),
                });
            }
        }
    }
    bodies
}

/// Bodies without any dot of that kind, refused for the octet right before their end mark. `CR CRLF . CRLF` does end the data: its
/// last five octets are CRLF.CRLF.
pub(crate) const LAST_OCTET: [&[u8]; 5] =
    [b"a\r\r\n", b"a\n\r\n", b"a\r\n\r\r\n", b"\n\r\n", b"\r\r\n"];
