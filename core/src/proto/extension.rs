//! The service extensions that this library knows, by their keywords in the reply to EHLO (RFC 5321 section 2.2).

use std::fmt;

/// A service extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extension {
    /// PIPELINING (RFC 2920): commands in groups.
    Pipelining,
    /// SIZE (RFC 1870): the size of a message is declared and limited.
    Size,
    /// 8BITMIME (RFC 6152): octets above 127 in messages.
    EightBitMime,
    /// SMTPUTF8 (RFC 6531): letters outside ASCII in addresses and headers.
    SmtpUtf8,
    /// CHUNKING (RFC 3030): BDAT.
    Chunking,
    /// BINARYMIME (RFC 3030): messages that are not in lines.
    BinaryMime,
    /// DSN (RFC 3461): what notices a sender wants.
    Dsn,
    /// ENHANCEDSTATUSCODES (RFC 2034).
    EnhancedStatusCodes,
    /// STARTTLS (RFC 3207).
    StartTls,
    /// AUTH (RFC 4954).
    Auth,
    /// REQUIRETLS (RFC 8689): a message may travel through verified TLS alone.
    RequireTls,
    /// LIMITS (RFC 9422): how much the server takes in a session.
    Limits,
    /// DELIVERBY (RFC 2852): until when a message is to be delivered.
    DeliverBy,
    /// MT-PRIORITY (RFC 6710).
    MtPriority,
    /// FUTURERELEASE (RFC 4865): a message is held before it is sent on.
    FutureRelease,
    /// ETRN (RFC 1985): a queue is started.
    Etrn,
    /// XCLIENT: a proxy tells on whose behalf it speaks.
    Xclient,
    /// EXPN (RFC 5321 section 3.5.2).
    Expn,
    /// HELP.
    Help,
}

impl Extension {
    /// Every one.
    pub const ALL: [Self; 19] = [
        Self::Pipelining,
        Self::Size,
        Self::EightBitMime,
        Self::SmtpUtf8,
        Self::Chunking,
        Self::BinaryMime,
        Self::Dsn,
        Self::EnhancedStatusCodes,
        Self::StartTls,
        Self::Auth,
        Self::RequireTls,
        Self::Limits,
        Self::DeliverBy,
        Self::MtPriority,
        Self::FutureRelease,
        Self::Etrn,
        Self::Xclient,
        Self::Expn,
        Self::Help,
    ];

    /// The keyword in the reply to EHLO.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Pipelining => "PIPELINING",
            Self::Size => "SIZE",
            Self::EightBitMime => "8BITMIME",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Chunking => "CHUNKING",
            Self::BinaryMime => "BINARYMIME",
            Self::Dsn => "DSN",
            Self::EnhancedStatusCodes => "ENHANCEDSTATUSCODES",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::RequireTls => "REQUIRETLS",
            Self::Limits => "LIMITS",
            Self::DeliverBy => "DELIVERBY",
            Self::MtPriority => "MT-PRIORITY",
            Self::FutureRelease => "FUTURERELEASE",
            Self::Etrn => "ETRN",
            Self::Xclient => "XCLIENT",
            Self::Expn => "EXPN",
            Self::Help => "HELP",
        }
    }

    /// The extension of that keyword, in any case.
    pub fn from_keyword(keyword: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|extension| extension.keyword().eq_ignore_ascii_case(keyword))
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_keyword() {
        for extension in Extension::ALL {
            let keyword = extension.keyword();
            assert_eq!(
                Extension::from_keyword(&keyword.to_ascii_lowercase()),
                Some(extension)
            );
        }
        assert_eq!(Extension::from_keyword("X-FOO"), None);
    }
}
