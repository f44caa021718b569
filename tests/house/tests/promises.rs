//! Reads `tests/README.md`: each rule and each decision names tests, and each test that it names exists.

use std::fs;

use mailwire_house::files::repository;

/// The names of the tests of a row that do not exist, and how many do.
fn check(row: &str) -> (Vec<String>, usize) {
    let (mut missing, mut good, mut text, mut file) = (Vec::new(), 0, String::new(), "");
    for name in row.split('`').skip(1).step_by(2) {
        if name.contains('/') {
            file = name;
            text = fs::read_to_string(repository().join(file)).unwrap_or_default();
            continue;
        }
        let begins = ["fn ", "def ", "static void "].map(|word| format!("{word}{name}("));
        if begins.iter().any(|begin| text.contains(begin)) {
            good += 1;
        } else {
            missing.push(format!("{file}: {name}"));
        }
    }
    (missing, good)
}

#[test]
fn a_name_that_is_gone_is_seen() {
    let here =
        "| x | `tests/house/tests/promises.rs` `a_name_that_is_gone_is_seen` `no_such_test` |";
    assert_eq!(
        check(here),
        (
            vec!["tests/house/tests/promises.rs: no_such_test".to_owned()],
            1
        )
    );
    assert_eq!(check("| x | `tests/no/such.rs` `check` |").0.len(), 1);
}

#[test]
fn every_test_that_the_page_names_exists() {
    let page = fs::read_to_string(repository().join("tests/README.md")).unwrap();
    let mut broken = Vec::new();
    let mut rows = 0;
    for line in page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
    {
        let Some((_, tests)) = line.trim_end_matches(" |").rsplit_once(" | ") else {
            continue;
        };
        if tests == "tests" {
            continue;
        }
        rows += 1;
        let (missing, good) = check(tests);
        if good == 0 {
            broken.push(format!("no test: {line}"));
        }
        broken.extend(missing);
    }
    assert!(broken.is_empty(), "{broken:#?}");
    let rules = (1..=12).all(|rule| page.contains(&format!("\n| {rule}. ")));
    assert!(
        rules && rows > 25,
        "a rule is missing, or the page was not read: {rows} rows"
    );
}
