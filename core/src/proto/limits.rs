//! Every bound of the protocol machines, in one place. Sizes are octets.

/// A command line with its CRLF. RFC 5321 section 4.5.3.1.4 asks for 512 and extensions add to it; nothing legitimate
/// comes near this.
pub const COMMAND_LINE: usize = 4096;

/// What a server may be told to take instead: no less than RFC 5321 asks for, and half of what is skipped at the most.
pub const COMMAND_LINES: std::ops::RangeInclusive<usize> = 512..=SKIPPED_LINE / 2;

/// A line of an AUTH exchange with its CRLF: RFC 4954 section 4 asks for 12288 octets of base64.
pub const AUTH_LINE: usize = 12_288 + 2;

/// What a server may be told to take instead: as much as a command has at least, and no more than any mechanism takes.
pub const AUTH_LINES: std::ops::RangeInclusive<usize> = 512..=AUTH_LINE;

/// The verb of a command that this library does not know.
pub const VERB: usize = 32;

/// An over-long line is skipped up to here and answered once; beyond it the connection ends.
pub const SKIPPED_LINE: usize = 64 * 1024;

/// A line of a reply with its CRLF. RFC 5321 section 4.5.3.1.5 asks for 512; servers exceed it.
pub const REPLY_LINE: usize = 8192;

/// Lines in one reply.
pub const REPLY_LINES: usize = 256;

/// All lines of one reply together.
pub const REPLY_SIZE: usize = 64 * 1024;

/// The text of one line of a reply that we send: 512 (RFC 5321 section 4.5.3.1.5) less code, enhanced code and CRLF.
pub const REPLY_TEXT: usize = 480;

/// A local part. RFC 5321 section 4.5.3.1.1 asks for 64; longer ones are in use.
pub const LOCAL_PART: usize = 128;

/// A domain (RFC 5321 section 4.5.3.1.2).
pub const DOMAIN: usize = 255;

/// Parameters of one MAIL or RCPT command.
pub const PARAMETERS: usize = 16;

/// The value of ENVID in xtext (RFC 3461 section 4.4).
pub const ENVELOPE_ID: usize = 100;

/// The value of ORCPT, the type of the address and its semicolon included (RFC 3461 section 4.2).
pub const ORIGINAL_RECIPIENT: usize = 500;

/// The octets that one BDAT command may announce are fewer: no message is as long as this. They cost no memory.
pub const CHUNK: u64 = 1 << 63;

/// The seconds of BY and of HOLDFOR: nine digits (RFC 2852 section 4, RFC 4865 section 4).
pub const SECONDS: u32 = 999_999_999;

/// A keyword with its parameters, a parameter or a verb that an application adds to a server.
pub const ADDITION: usize = 255;

/// Recipients of one transaction, unless the server is told otherwise. RFC 5321 section 4.5.3.1.8 asks for at least 100.
pub const RECIPIENTS: usize = 1000;

/// Recipients of a transaction that cost next to no memory: a server counts only what those behind them hold.
pub const FEW_RECIPIENTS: usize = 16;

/// Answers that a server machine lets a client's pipelined RCPT commands owe at a time.
pub const PIPELINED_RECIPIENTS: usize = 128;

/// Steps of one AUTH exchange: no mechanism needs more.
pub const AUTH_STEPS: usize = 8;

/// The fewest and the most iterations of SCRAM that a client does for its server.
pub use crate::sasl::{
    LEAST_ITERATIONS as SCRAM_LEAST_ITERATIONS, MOST_ITERATIONS as SCRAM_MOST_ITERATIONS,
};

/// Bad commands in one session before it is ended with 421.
pub const BAD_COMMANDS: u32 = 20;

/// Commands in one session that bring no mail, RCPT within a transaction not counted, before it is ended with 421.
pub const IDLE_COMMANDS: u32 = 200;

/// Failed AUTH commands in one session before it is ended with 421.
pub const AUTH_FAILURES: u32 = 3;
