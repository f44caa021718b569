//! Which of the two protocols is spoken.

/// SMTP, or LMTP, which answers the end of data once for each recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// SMTP (RFC 5321).
    #[default]
    Smtp,
    /// LMTP (RFC 2033).
    Lmtp,
}
