//! CR, LF and NUL in every text that a caller can give: refused when it is given, by an error that names what it was given for.
//!
//! `entry_points.txt` lists every public function that takes a text; a test in `tests/house` compares it with the source, and one
//! here with the rows. So a new function without a row fails a test.

#![cfg(feature = "io")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise"
)]
#![allow(clippy::too_many_lines, reason = "a table is as long as it is")]

mod dispositions;
mod engine;
mod mail;
mod options;
mod row;
mod sent;
mod settings;

use row::{Row, Rule};

/// What ends a line, a message or a text in C, and what an attacker would put behind it.
const BAD: [&str; 6] = [
    "\r",
    "\n",
    "\r\n",
    "\0",
    "\r\nMAIL FROM:<evil@a.example>\r\n",
    "\r\n.\r\nRSET\r\n",
];

fn rows() -> Vec<Row> {
    let mut rows = engine::rows();
    rows.extend(options::rows());
    rows.extend(mail::rows());
    rows.extend(dispositions::rows());
    rows
}

/// A text with `bad` where its row says, at its start and at its end.
fn spoilt(row: &Row, bad: &str) -> [String; 3] {
    let good = row.text.replace("{}", "");
    [
        row.text.replace("{}", bad),
        format!("{bad}{good}"),
        format!("{good}{bad}"),
    ]
}

#[test]
fn every_entry_point_has_a_row_and_every_row_an_entry_point() {
    let mut wanted = Vec::new();
    for line in include_str!("entry_points.txt").lines() {
        if line.starts_with('#') {
            continue;
        }
        let (entry, parameters) = line.split_once('(').unwrap_or((line, ""));
        for parameter in parameters.trim_end_matches(')').split(", ") {
            wanted.push(format!("{entry} {parameter}").trim_end().to_owned());
        }
    }
    let have: Vec<String> = rows().iter().map(Row::name).collect();
    let missing: Vec<_> = wanted.iter().filter(|name| !have.contains(name)).collect();
    let unknown: Vec<_> = have.iter().filter(|name| !wanted.contains(name)).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "no row: {missing:#?}\nno such entry point: {unknown:#?}"
    );
}

#[test]
fn what_is_good_is_taken() {
    for row in rows() {
        let good = row.text.replace("{}", "");
        let taken = (row.call)(&good);
        assert!(
            taken.is_ok() || row.rule == Rule::Never,
            "{}: {taken:?}",
            row.name()
        );
    }
}

#[test]
fn what_could_smuggle_is_refused_and_the_error_names_the_parameter() {
    let mut broken = Vec::new();
    for row in rows() {
        for bad in BAD {
            for text in spoilt(&row, bad) {
                let outcome = (row.call)(&text);
                let kept = match (&outcome, row.rule) {
                    // A line end in an error would spoil a log.
                    (Err(error), Rule::Refused(word)) => {
                        error.contains(word) && !error.contains(['\r', '\n', '\0'])
                    }
                    (Ok(_), Rule::Refused(_) | Rule::Never) => false,
                    (Err(_), Rule::Never | Rule::Contained(_)) => true,
                    (Ok(out), Rule::Contained(_)) => !out.contains(['\r', '\n', '\0']),
                };
                if !kept {
                    broken.push(format!("{} {text:?}: {outcome:?}", row.name()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn what_is_contained_says_why_it_does_no_harm() {
    for row in rows() {
        if let Rule::Contained(reason) = row.rule {
            assert!(reason.split(' ').count() > 3, "{}: {reason:?}", row.name());
        }
    }
}
