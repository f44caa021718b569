//! Reads `SERVER_OPTIONS.md`: it has a row for each option and each statistic and no other, each default there is the default here,
//! what it says is refused is refused, each sample is one of Prometheus' text, and it says of each statistic what the rustdoc says.

use super::super::{Options, Statistics};

/// Read while the test runs: whoever changes the page alone builds nothing anew.
fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SERVER_OPTIONS.md")).unwrap()
}

/// The only option that is none of [`Options`], which know no disposition: it is set where a server is made.
const DISPOSITION: &str = "disposition";

/// The cells of the rows of all tables whose first column has this heading.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let mut here = false;
    let mut found = Vec::new();
    for line in page.lines() {
        let Some(row) = line
            .strip_prefix("| ")
            .and_then(|line| line.strip_suffix('|'))
        else {
            here = false;
            continue;
        };
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        if cells[0] == heading {
            here = true;
        } else if here && !cells[0].starts_with("---") {
            found.push(cells);
        }
    }
    found
}

/// What stands in back-ticks in a cell.
fn values(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// What is wrong with the options of a page.
fn mistakes_in_options(page: &str) -> Vec<String> {
    let rows = rows(page, "option");
    let mut mistakes = Vec::new();
    for name in Options::names().iter().chain([&DISPOSITION]) {
        let named = format!("`{name}`");
        match rows.iter().filter(|row| row[0] == named).count() {
            1 => {}
            count => mistakes.push(format!("{name}: {count} rows")),
        }
    }
    for row in &rows {
        let [name, _, default, refused, _] = row[..] else {
            mistakes.push(format!("{}: {} cells", row[0], row.len()));
            continue;
        };
        let name = name.trim_matches('`');
        if name != DISPOSITION && !Options::names().contains(&name) {
            mistakes.push(format!("{name}: no option"));
        }
        if !is_default(name, default) {
            mistakes.push(format!("{name}: the default is not {default}"));
        }
        for value in values(refused).filter(|value| !Options::names().contains(value)) {
            if name != DISPOSITION && Options::new().set(name, value).is_ok() {
                mistakes.push(format!("{name}: {value} is not refused"));
            }
        }
    }
    mistakes
}

/// Whether an option that is set to this default leaves all as it was; of a default in words, whether nothing is set by itself.
fn is_default(name: &str, default: &str) -> bool {
    let defaults = format!("{:#?}", Options::new());
    let value = default
        .strip_prefix('`')
        .and_then(|default| default.strip_suffix('`'));
    match value {
        Some(value) => {
            let mut options = Options::new();
            options.set(name, value).is_ok() && format!("{options:#?}") == defaults
        }
        // Those that add to something else have no field of their own.
        None => defaults
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("    {name}: ")))
            .all(|set| matches!(set, "None," | "[],")),
    }
}

/// The names of the statistics of a page, and the samples that it gives for them.
fn statistics(page: &str) -> (Vec<&str>, Vec<&str>) {
    let rows = rows(page, "statistic");
    let column = |index: usize| rows.iter().flat_map(move |row| values(row[index]));
    (column(0).collect(), column(1).collect())
}

/// Both stand in the order of the code, so that each sample is beside its name.
#[test]
fn the_page_has_every_statistic_with_its_sample() {
    let numbers = Statistics::default();
    let names: Vec<_> = numbers.values().map(|(name, _)| name).collect();
    let text = numbers.to_prometheus();
    let samples: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.strip_suffix(" 0"))
        .collect();
    assert_eq!(statistics(&page()), (names, samples));
}

/// What the code says of each statistic, its lines joined and without the last full stop.
fn documented(code: &str) -> Vec<(&str, String)> {
    let (_, fields) = code.split_once("pub struct Statistics {").unwrap();
    let (fields, _) = fields.split_once("\n}").unwrap();
    let mut words: Vec<&str> = Vec::new();
    let mut all = Vec::new();
    for line in fields.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            words.push(text);
        } else if let Some(field) = line.strip_prefix("pub ") {
            let (name, _) = field.split_once(':').unwrap();
            let text = words.join(" ");
            all.push((name, text.trim_end_matches('.').to_owned()));
            words.clear();
        }
    }
    all
}

#[test]
fn the_page_says_of_each_statistic_what_the_code_says() {
    let code = concat!(env!("CARGO_MANIFEST_DIR"), "/src/server/statistics.rs");
    let code = std::fs::read_to_string(code).unwrap();
    let documented = documented(&code);
    assert_eq!(documented.len(), Statistics::default().values().count());
    let page = page();
    let rows = rows(&page, "statistic");
    for ((name, text), row) in documented.iter().zip(&rows) {
        assert_eq!((values(row[0]).next(), row[2]), (Some(*name), &text[..]));
    }
}

#[test]
fn the_page_has_every_option_with_its_default() {
    let mistakes = mistakes_in_options(&page());
    assert!(mistakes.is_empty(), "{mistakes:#?}");
}

#[test]
fn a_page_that_is_wrong_is_seen() {
    let wrong = "\
| option | takes | default | refused | for |\n\
| --- | --- | --- | --- | --- |\n\
| `grace` | a time | `31` | `30` | x |\n\
| `workers` | a number | one | | x |\n\
| `nonsense` | | none | | x |\n";
    let mistakes = mistakes_in_options(wrong);
    for mistake in [
        "listen: 0 rows",
        "grace: the default is not `31`",
        "grace: 30 is not refused",
        "workers: the default is not one",
        "nonsense: no option",
    ] {
        assert!(mistakes.iter().any(|one| one == mistake), "{mistakes:#?}");
    }
}
