//! BODY: what a message's octets are.

/// What a message's octets are (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyType {
    /// ASCII in lines.
    SevenBit,
    /// Any octets in lines.
    EightBitMime,
    /// Any octets, in lines or not. It needs BDAT (RFC 3030 section 3).
    BinaryMime,
}

impl BodyType {
    /// The value of the BODY parameter.
    pub fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }

    /// The type of that name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::SevenBit, Self::EightBitMime, Self::BinaryMime]
            .into_iter()
            .find(|body| body.name().eq_ignore_ascii_case(name))
    }
}

impl std::fmt::Display for BodyType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
