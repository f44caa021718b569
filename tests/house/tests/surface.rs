//! Compares the public functions that take a text with the list that the injection tests walk, after trying the finder.
#![allow(clippy::unwrap_used, reason = "the helpers of a test may stop it")]

use mailwire_house::files::{TextFile, below, repository};
use mailwire_house::surface::of_file;

fn found(text: &str) -> Vec<String> {
    let path = "core/src/client/a.rs".to_owned();
    of_file(&TextFile {
        path,
        text: text.to_owned(),
    })
    .unwrap()
}

#[test]
fn what_takes_a_text_is_found() {
    for (text, line) in [
        ("pub fn f(a: &str) {}", "client f(a)"),
        (
            "pub fn f(a: u8, b: Option<&str>, c: &[String]) {}",
            "client f(b, c)",
        ),
        (
            "pub fn f<R: AsRef<str>>(all: impl IntoIterator<Item = R>) {}",
            "client f(all)",
        ),
        (
            "pub fn f<I>(all: I) where I: IntoIterator<Item = String> {}",
            "client f(all)",
        ),
        (
            "impl A { pub async fn f(&self, a: impl Into<std::borrow::Cow<'static, str>>) {} }",
            "client A::f(a)",
        ),
        (
            "impl std::str::FromStr for A { fn from_str(_: &str) {} }",
            "client A::FromStr",
        ),
        (
            "impl From<&str> for A { fn from(_: &str) {} }",
            "client A::From",
        ),
        ("pub struct A { pub name: String }", "client A::name"),
        (
            "pub mod b { pub fn f(a: &std::path::Path) {} }",
            "client f(a)",
        ),
    ] {
        assert_eq!(found(text), [line], "{text}");
    }
}

#[test]
fn what_takes_none_or_is_not_public_is_not() {
    for text in [
        "pub fn f(a: u8) -> String {}",
        "fn f(a: &str) {}",
        "pub(crate) fn f(a: &str) {}",
        "#[cfg(test)] mod tests { pub fn f(a: &str) {} }",
        "impl From<u8> for A { fn from(_: u8) {} }",
        "pub struct A { name: String }",
    ] {
        assert!(found(text).is_empty(), "{text}");
    }
}

#[test]
fn the_list_has_every_entry_point_and_no_other() {
    let files = below("core/src", &["rs"]).unwrap();
    let mut surface: Vec<String> = files
        .iter()
        .flat_map(|file| of_file(file).unwrap())
        .collect();
    surface.sort();
    surface.dedup();
    assert!(surface.len() > 50, "the finder found too little");
    let path = repository().join("core/tests/injection/entry_points.txt");
    let list = std::fs::read_to_string(path).unwrap();
    let list: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let missing: Vec<_> = surface
        .iter()
        .filter(|line| !list.contains(&line.as_str()))
        .collect();
    let gone: Vec<_> = list
        .iter()
        .filter(|line| !surface.iter().any(|one| one == *line))
        .collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "core/tests/injection/entry_points.txt lacks these, each of which needs a row in the tests there too:\n{missing:#?}\nand has \
         these, which are no more:\n{gone:#?}"
    );
}
