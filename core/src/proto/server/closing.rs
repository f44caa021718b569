//! Why a machine has said all that it will say.

/// Why a session is over on the machine's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closing {
    /// The client said QUIT.
    Quit,
    /// Something was over its limit.
    Limit,
    /// What came was no SMTP, or nobody knows where a chunk of it ends.
    Violation,
    /// An answer of the application was a 421.
    Answer,
    /// The server ends.
    ShutDown,
}
