//! The table of what became of each row.

use std::fmt::Write as _;

use crate::requirements::Row;
use crate::verdict::Verdict;

/// A row, and what became of its case.
#[derive(Debug)]
pub struct Entry {
    /// The row.
    pub row: Row,
    /// What became of it.
    pub verdict: Verdict,
}

impl Entry {
    /// The verdict on a row. Where the row is a SHOULD, a MAY or a demand of ours, another server may do otherwise and still conform.
    pub fn new(row: Row, verdict: Verdict) -> Self {
        let verdict = match verdict {
            Verdict::Not(what) if !row.is_binding() => Verdict::Latitude(what),
            other => other,
        };
        Self { row, verdict }
    }
}

/// How many rows have each verdict: conformant, latitude, inconclusive, not.
pub fn counts(entries: &[Entry]) -> [usize; 4] {
    let mut counts = [0; 4];
    for entry in entries {
        let place = match entry.verdict {
            Verdict::Conformant => 0,
            Verdict::Latitude(_) => 1,
            Verdict::Inconclusive(_) => 2,
            Verdict::Not(_) => 3,
        };
        counts[place] += 1;
    }
    counts
}

/// The table, a line for each row, and the sums below it.
pub fn table(entries: &[Entry]) -> String {
    let mut table = String::new();
    for entry in entries {
        let remark = entry.verdict.remark();
        let row = &entry.row;
        let source = format!("{} {}", row.level, row.source);
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{:<6} {:<12} {:<24} {:.90}{}{:.200}",
            row.id,
            entry.verdict.word(),
            source,
            row.text,
            if remark.is_empty() { "" } else { "\n       " },
            remark
        );
    }
    let [conformant, latitude, inconclusive, not] = counts(entries);
    let _ = writeln!(
        table,
        "\n{conformant} conformant, {latitude} allowed latitude, {inconclusive} inconclusive, {not} not conformant"
    );
    table
}

/// One line for each row, its parts separated by tabs, for other programs to read.
pub fn lines(entries: &[Entry]) -> String {
    let mut lines = String::new();
    for entry in entries {
        let _ = writeln!(
            lines,
            "{}\t{}\t{}",
            entry.row.id,
            entry.verdict.word(),
            entry.verdict.remark().replace(['\t', '\n'], " ")
        );
    }
    lines
}
