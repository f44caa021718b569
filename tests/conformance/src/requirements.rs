//! The lists of requirements: one row for each, and the rows that have no case, with the reason.

use std::collections::BTreeMap;

/// The rows about servers.
pub const SERVER: &str = include_str!("../requirements/server.tsv");

/// The rows about clients.
pub const CLIENT: &str = include_str!("../requirements/client.tsv");

/// The server's rows that have no case.
pub const SERVER_LEFT_OUT: &str = include_str!("../requirements/server-left-out.tsv");

/// The client's rows that have no case.
pub const CLIENT_LEFT_OUT: &str = include_str!("../requirements/client-left-out.tsv");

/// A requirement.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its number.
    pub id: String,
    /// The RFC and its section, or `impl` where it is our own demand.
    pub source: String,
    /// MUST, SHOULD and so on, as in RFC 2119.
    pub level: String,
    /// What is wanted.
    pub text: String,
    /// What a client says, roughly.
    pub sketch: String,
    /// What comes back, roughly.
    pub expected: String,
    /// Why the row does not say what it once said, with the RFC's words; often nothing.
    pub note: String,
}

impl Row {
    /// Whether an RFC leaves no choice: what does otherwise does not conform.
    pub fn is_binding(&self) -> bool {
        self.level.starts_with("MUST") && !self.source.starts_with("impl")
    }
}

/// Reads a list. The error names the line.
pub fn rows(list: &str) -> Result<Vec<Row>, String> {
    let mut lines = list.lines();
    if lines.next() != Some("id\trfc\tlevel\trequirement\tinput_sketch\texpected\tnote") {
        return Err("the first line does not name the columns".to_owned());
    }
    lines
        .map(
            |line| match line.split('\t').collect::<Vec<_>>().as_slice() {
                [id, source, level, text, sketch, expected, note] => Ok(Row {
                    id: (*id).to_owned(),
                    source: (*source).to_owned(),
                    level: (*level).to_owned(),
                    text: (*text).to_owned(),
                    sketch: (*sketch).to_owned(),
                    expected: (*expected).to_owned(),
                    note: (*note).to_owned(),
                }),
                _ => Err(format!("not seven columns: {line:?}")),
            },
        )
        .collect()
}

/// Reads a list of rows without a case: each with its reason. The error names the line.
pub fn left_out(list: &str) -> Result<BTreeMap<String, String>, String> {
    list.lines()
        .skip(1)
        .map(|line| match line.split_once('\t') {
            Some((id, reason)) if reason.split_whitespace().count() > 2 => {
                Ok((id.to_owned(), reason.to_owned()))
            }
            _ => Err(format!("no number with a reason: {line:?}")),
        })
        .collect()
}
