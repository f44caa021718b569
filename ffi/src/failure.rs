//! Why a call from C failed, before it becomes a status and a `mailwire_error`. Made without allocating, so that it can be
//! told even where memory has run out.

use std::fmt;

use mailwire::{Error, Status};

/// Why a call failed.
pub(crate) enum Failure {
    /// The engine says so.
    Engine(Error),
    /// A parameter that must not be NULL is.
    Null(&'static str),
    /// A parameter has a value that it must not have.
    Argument(&'static str, &'static str),
    /// A parameter is not what its type asks for, and the engine said why.
    Invalid(&'static str, String),
    /// The call does not fit the state of the object.
    Misuse(&'static str),
    /// Another call is using the object.
    InUse(&'static str),
    /// The object belongs to the parent process.
    Forked(&'static str),
    /// A panic passed through an earlier call on the object.
    Poisoned(&'static str),
    /// A panic.
    Panic(String),
    /// The time that the caller gave has passed without an event.
    NoEvent,
    /// Memory ran out.
    NoMemory,
}

impl Failure {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Engine(error) => error.status(),
            Self::Null(_) | Self::Argument(..) | Self::Invalid(..) => Status::InvalidArgument,
            Self::Misuse(_) | Self::InUse(_) => Status::Misuse,
            Self::Forked(_) => Status::Forked,
            Self::Poisoned(_) | Self::Panic(_) => Status::Internal,
            Self::NoEvent => Status::Timeout,
            Self::NoMemory => Status::NoMemory,
        }
    }

    /// What the engine says about a parameter.
    pub(crate) fn invalid(name: &'static str, problem: impl fmt::Display) -> Self {
        Self::Invalid(name, problem.to_string())
    }

    /// The engine's error, if it is one.
    pub(crate) fn engine(&self) -> Option<&Error> {
        match self {
            Self::Engine(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => error.fmt(f),
            Self::Null(name) => write!(f, "{name} is NULL"),
            Self::Argument(name, problem) => write!(f, "{name} {problem}"),
            Self::Invalid(name, problem) => write!(f, "{name}: {problem}"),
            Self::Misuse(problem) => f.write_str(problem),
            Self::InUse(name) => write!(f, "another call is using the {name}"),
            Self::Forked(name) => write!(
                f,
                "the {name} was made before a fork and belongs to the parent process"
            ),
            Self::Poisoned(name) => write!(
                f,
                "an earlier call on the {name} met a defect of this library; it can only be freed"
            ),
            Self::Panic(text) => write!(f, "a defect of this library: {text}"),
            Self::NoEvent => f.write_str("no event came within the time given"),
            Self::NoMemory => f.write_str("memory ran out"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl From<fmt::Error> for Failure {
    /// Writing a text fails for lack of memory alone.
    fn from(_: fmt::Error) -> Self {
        Self::NoMemory
    }
}
