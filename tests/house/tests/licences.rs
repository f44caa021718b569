//! Every dependency is under a licence that `deny.toml` allows and comes from the registry, after a try of the reader of licences.

use mailwire_house::licences::{Allowed, dependencies_of, of_repository};

fn mit_and_isc() -> Allowed {
    let exceptions = [("builder".to_owned(), vec!["MPL-2.0".to_owned()])].into();
    Allowed {
        licences: vec!["MIT".to_owned(), "ISC".to_owned()],
        exceptions,
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for (expression, allowed) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("MIT AND ISC", true),
        ("MIT OR GPL-3.0-only AND AGPL-3.0-only", true),
        ("(MIT OR GPL-3.0-only) AND AGPL-3.0-only", false),
        ("(GPL-3.0-only OR (ISC AND MIT))", true),
        ("MIT WITH Some-exception", false),
        ("MPL-2.0", false),
    ] {
        assert_eq!(
            mit_and_isc().allows("other", expression),
            Ok(allowed),
            "{expression}"
        );
    }
}

#[test]
fn an_exception_holds_for_its_crate_alone() {
    assert_eq!(mit_and_isc().allows("builder", "MPL-2.0"), Ok(true));
    assert_eq!(mit_and_isc().allows("other", "MPL-2.0"), Ok(false));
}

#[test]
fn what_is_no_expression_is_an_error() {
    for expression in [
        "", "MIT OR", "(MIT", "MIT)", "MIT ISC", "AND MIT", "MIT WITH",
    ] {
        assert!(
            mit_and_isc().allows("other", expression).is_err(),
            "{expression}"
        );
    }
}

#[test]
fn dependencies_are_named_as_code_names_them() {
    let of_core = dependencies_of("mailwire").unwrap();
    assert!(
        of_core.contains(&"memchr".to_owned()) && of_core.contains(&"mail_builder".to_owned()),
        "{of_core:?}"
    );
    assert!(
        !of_core.contains(&"proptest".to_owned()),
        "a crate for tests alone is no dependency of the library"
    );
}

#[test]
fn every_dependency_is_allowed() {
    let broken = of_repository().unwrap();
    assert!(
        broken.is_empty(),
        "{} not allowed:\n{}",
        broken.len(),
        broken.join("\n")
    );
}
