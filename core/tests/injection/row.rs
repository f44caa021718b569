//! One row: an entry point, a parameter of it, and what has to become of a text that could smuggle.

/// What becomes of CR, LF and NUL in a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// They are refused by an error that has this word; empty where the caller's own error gives it.
    Refused(&'static str),
    /// Nothing is made of them, and there is no error to say so.
    Never,
    /// They are taken, for this reason, and what could be sent or printed of them has no such octet.
    Contained(&'static str),
}

/// Gives a text to an entry point: what could be sent or printed of it, or the error.
pub(crate) type Call = fn(&str) -> Result<String, String>;

pub(crate) struct Row {
    /// As in `entry_points.txt`, without parameters.
    pub(crate) entry: &'static str,
    pub(crate) parameter: &'static str,
    /// A good text, with `{}` where the bad octets go.
    pub(crate) text: &'static str,
    pub(crate) rule: Rule,
    pub(crate) call: Call,
}

impl Row {
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.entry, self.parameter)
            .trim_end()
            .to_owned()
    }
}

/// A row whose text is refused by an error with `word`.
pub(crate) fn refused(
    entry: &'static str,
    parameter: &'static str,
    text: &'static str,
    word: &'static str,
    call: Call,
) -> Row {
    Row {
        entry,
        parameter,
        text,
        rule: Rule::Refused(word),
        call,
    }
}

/// A row of which nothing is made.
pub(crate) fn never(
    entry: &'static str,
    parameter: &'static str,
    text: &'static str,
    call: Call,
) -> Row {
    Row {
        entry,
        parameter,
        text,
        rule: Rule::Never,
        call,
    }
}

/// A row whose text does no harm.
pub(crate) fn contained(
    entry: &'static str,
    parameter: &'static str,
    reason: &'static str,
    call: Call,
) -> Row {
    Row {
        entry,
        parameter,
        text: "a{}b",
        rule: Rule::Contained(reason),
        call,
    }
}

/// The end of a row's call: nothing of a text that was taken is looked at, or its error is told.
pub(crate) fn told<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<String, String> {
    result
        .map(|_| String::new())
        .map_err(|error| error.to_string())
}

/// The same for what gives no error.
pub(crate) fn some<T>(made: Option<T>) -> Result<String, String> {
    made.map(|_| String::new()).ok_or_else(String::new)
}
