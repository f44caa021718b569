//! The lists and the cases belong together: each row has one case, or a reason why it has none.

use std::collections::{BTreeMap, BTreeSet};

use mailwire_conformance::case::Case;
use mailwire_conformance::requirements::{self, Row};
use mailwire_conformance::{client, server};

fn rows(list: &str) -> Vec<Row> {
    requirements::rows(list).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn each_row_of_a_server_has_one_case_or_a_reason() {
    let cases = server::cases().unwrap_or_else(|error| panic!("{error}"));
    check(&cases, requirements::SERVER, requirements::SERVER_LEFT_OUT);
}

#[test]
fn each_row_of_a_client_has_one_case_or_a_reason() {
    let cases = client::cases().unwrap_or_else(|error| panic!("{error}"));
    check(&cases, requirements::CLIENT, requirements::CLIENT_LEFT_OUT);
}

fn check(cases: &[Case], list: &str, left_out: &str) {
    let reasons: BTreeMap<String, String> =
        requirements::left_out(left_out).unwrap_or_else(|error| panic!("{error}"));
    let rows: BTreeSet<String> = rows(list).into_iter().map(|row| row.id).collect();
    let mut seen = BTreeSet::new();
    for case in cases {
        assert!(seen.insert(case.id.clone()), "{} has two cases", case.id);
        assert!(rows.contains(&case.id), "{} has no row", case.id);
        assert!(
            !reasons.contains_key(&case.id),
            "{} has a case and is left out",
            case.id
        );
    }
    for id in reasons.keys() {
        assert!(rows.contains(id), "{id} is left out and has no row");
    }
    let neither: Vec<&String> = rows
        .iter()
        .filter(|id| !seen.contains(*id) && !reasons.contains_key(*id))
        .collect();
    assert!(neither.is_empty(), "no case and no reason: {neither:?}");
}

#[test]
fn the_rows_are_well_formed_and_in_order() {
    for (list, letter) in [(requirements::SERVER, 'S'), (requirements::CLIENT, 'C')] {
        let rows = rows(list);
        assert!(rows.len() > 100);
        for pair in rows.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} and {}", pair[0].id, pair[1].id);
        }
        for row in rows {
            assert!(row.id.starts_with(letter) && mailwire_conformance::case::is_id(&row.id));
            let level = row.level.trim_end_matches(" NOT");
            assert!(
                matches!(level, "MUST" | "SHOULD" | "MAY"),
                "{}: {level}",
                row.id
            );
        }
    }
}
