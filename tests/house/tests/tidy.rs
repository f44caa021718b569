//! Looks at every file of the repository, after trying each rule on a file that breaks it.

use std::fs;

use mailwire_house::files::{TextFile, below, repository};
use mailwire_house::tidy::{GENERATED, MOST_LINES, SOURCES, of_file};

fn complaints(path: &str, text: &str) -> usize {
    of_file(&TextFile {
        path: path.to_owned(),
        text: text.to_owned(),
    })
    .len()
}

#[test]
fn a_tidy_file_passes() {
    assert_eq!(
        complaints(
            "core/src/a.rs",
            "//! Says what it is for. No unsafe code.\nfn f() {}\n"
        ),
        0
    );
    assert_eq!(
        complaints(
            "a.py",
            "#!/usr/bin/env python3\n\"\"\"Says what it is for.\"\"\"\n"
        ),
        0
    );
    assert_eq!(complaints("a.c", "/*\n * Says what it is for.\n */\n"), 0);
    assert_eq!(complaints("a.toml", "[section]\n"), 0);
}

#[test]
fn a_long_file_is_seen() {
    let long = format!("//! Says what it is for.\n{}", "//\n".repeat(MOST_LINES));
    assert_eq!(complaints("core/src/a.rs", &long), 1);
    assert_eq!(complaints(GENERATED[0], &long), 0);
}

#[test]
fn work_left_for_later_is_seen() {
    for (path, left) in [
        ("a.rs", concat!("// TO", "DO: later")),
        ("a.c", concat!("int x; /* FIX", "ME */")),
        ("a.rs", "fn f() { todo!() }"),
        ("a.rs", "fn f() { g(|| { unimplemented!(\"x\") }) }"),
        ("a.rs", "fn f() { dbg!(1); }"),
    ] {
        assert_eq!(
            complaints(path, &format!("// Says what it is for.\n{left}\n")),
            1,
            "{left}"
        );
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let code = "//! Says what it is for.\nfn f() { g(|| unsafe { h() }) }\n";
    assert_eq!(complaints("core/src/client/pool.rs", code), 1);
    assert_eq!(complaints("core/src/net/stream.rs", code), 1);
    assert_eq!(complaints("ffi/src/client.rs", code), 0);
}

#[test]
fn a_file_without_a_beginning_is_seen() {
    for (path, text) in [
        ("a.rs", "fn f() {}\n"),
        ("a.rs", ""),
        ("a.rs", "//!\n\nfn f() {}\n"),
        ("__init__.py", ""),
        ("a.py", "#!/usr/bin/env python3\nimport os\n"),
        ("a.h", "#pragma once\n"),
        ("a.hpp", "\n// Says what it is for, one line late.\n"),
        ("a.sh", "#!/bin/sh\nset -eu\n"),
    ] {
        assert_eq!(complaints(path, text), 1, "{path}: {text:?}");
    }
}

#[test]
fn the_repository_is_tidy() {
    let files = below("", SOURCES).unwrap();
    assert!(
        files.iter().any(|file| file.path == "core/src/lib.rs"),
        "the walk found no source at all"
    );
    let broken: Vec<String> = files.iter().flat_map(of_file).collect();
    assert!(
        broken.is_empty(),
        "{} broken:\n{}",
        broken.len(),
        broken.join("\n")
    );
}

/// What somebody's tool has left there is not to be kept by accident.
#[test]
fn nothing_lies_in_the_root_that_does_not_belong_there() {
    const BELONGS: &[&str] = &[
        ".clang-format",
        ".clang-format-ignore",
        ".gitignore",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "Makefile",
        "README.md",
        "SECURITY.md",
        "clippy.toml",
        "deny.toml",
        "ruff.toml",
        "rustfmt.toml",
    ];
    let strange: Vec<String> = fs::read_dir(repository())
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        // What a worktree has instead of a folder.
        .filter(|name| name != ".git" && !BELONGS.contains(&name.as_str()))
        .collect();
    assert!(strange.is_empty(), "{strange:?}");
}
