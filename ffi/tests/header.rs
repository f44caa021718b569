//! include/mailwire.h is what ffi/src makes, and keeps the promises about its words. To write it anew, run
//! `MAILWIRE_WRITE_HEADER=1 cargo test -p mailwire-ffi --test header`; symbols.txt is then written too.

#![allow(clippy::unwrap_used, reason = "a test may end in a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(here(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The header as the source makes it: the modules in the order in which lib.rs names them.
fn made() -> String {
    let [major, minor, patch] = [
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    ];
    let number = |text: &str| text.parse::<u32>().unwrap();
    let number = number(major) << 16 | number(minor) << 8 | number(patch);
    let settings = read("cbindgen.toml")
        .replace("@MAJOR@", major)
        .replace("@MINOR@", minor)
        .replace("@PATCH@", patch)
        .replace("@NUMBER@", &format!("0x{number:06x}"))
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    let folder = std::env::temp_dir().join(format!("mailwire-header-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("cbindgen.toml"), settings).unwrap();
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    fs::remove_dir_all(&folder).unwrap();

    let mut header = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(here("src/lib.rs"))
        .generate()
        .unwrap()
        .write(&mut header);
    String::from_utf8(header).unwrap()
}

/// A function of the header: its comment, and its declaration on one line.
struct Function {
    name: String,
    comment: String,
    declaration: String,
}

fn functions(header: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for part in header.split("/**").skip(1) {
        let Some((comment, rest)) = part.split_once("*/") else {
            continue;
        };
        let rest = rest.trim_start();
        if !rest.starts_with("MAILWIRE_API") {
            continue;
        }
        let (declaration, _) = rest.split_once(';').unwrap();
        let declaration = declaration.split_whitespace().collect::<Vec<_>>().join(" ");
        let name = declaration.split('(').next().unwrap();
        let name = name.rsplit([' ', '*']).next().unwrap();
        found.push(Function {
            name: name.to_owned(),
            comment: comment.to_owned(),
            declaration,
        });
    }
    found
}

fn statuses(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| {
            word.starts_with("MAILWIRE_ERR_") || matches!(*word, "MAILWIRE_OK" | "MAILWIRE_END")
        })
        .collect()
}

#[test]
fn the_committed_header_is_what_the_source_makes() {
    let made = made();
    if std::env::var_os("MAILWIRE_WRITE_HEADER").is_some() {
        fs::write(here("../include/mailwire.h"), &made).unwrap();
        let known = read("symbols.txt");
        let mut symbols = String::from(
            "# Every exported function, the version that it came with, and the one that deprecated it.\n",
        );
        for function in functions(&made) {
            let old = known
                .lines()
                .find(|line| line.split(' ').next() == Some(&function.name));
            let new = format!("{} 0.1 -", function.name);
            symbols += old.unwrap_or(&new);
            symbols.push('\n');
        }
        fs::write(here("symbols.txt"), symbols).unwrap();
    }
    assert!(
        read("../include/mailwire.h") == made,
        "include/mailwire.h is out of date: run MAILWIRE_WRITE_HEADER=1 cargo test -p mailwire-ffi --test header"
    );
}

#[test]
fn symbols_txt_names_what_the_header_declares() {
    let header = read("../include/mailwire.h");
    let declared: BTreeSet<String> = functions(&header)
        .into_iter()
        .map(|function| function.name)
        .collect();
    assert!(
        declared.len() > 100,
        "only {} functions found",
        declared.len()
    );
    let listed: BTreeSet<String> = read("symbols.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            assert_eq!(
                words.len(),
                3,
                "{line}: the form is symbol, since, deprecated"
            );
            words[0].to_owned()
        })
        .collect();
    assert_eq!(declared, listed);
    let declarations = header
        .lines()
        .filter(|line| line.starts_with("MAILWIRE_API"))
        .count();
    assert_eq!(declarations, declared.len(), "a function has no comment");
}

#[test]
fn every_name_has_the_prefix_and_no_comment_speaks_another_language() {
    let header = read("../include/mailwire.h");
    for word in [
        "[`", "Rust", "crate", "unsafe", "Vec<", "&mut", "panic", "t::", "e::",
    ] {
        assert!(!header.contains(word), "the header says {word:?}");
    }
    for line in header.lines() {
        let name = ["#define ", "typedef struct "]
            .iter()
            .find_map(|start| line.strip_prefix(start));
        if let Some(name) = name {
            assert!(
                name.starts_with("MAILWIRE_") || name.starts_with("mailwire_"),
                "{line}"
            );
        }
        if let Some(alias) = line
            .strip_prefix("typedef int32_t ")
            .or(line.strip_prefix("typedef uint32_t "))
        {
            assert!(
                alias.starts_with("mailwire_") && !alias.ends_with("_t;"),
                "{line}"
            );
        }
        assert!(
            !line.starts_with("enum "),
            "an enum crosses as a number of known size: {line}"
        );
    }
    for function in functions(&header) {
        assert!(function.name.starts_with("mailwire_"), "{}", function.name);
        for of_unknown_size in [" long ", "ssize_t", "time_t", " int "] {
            assert!(
                !function.declaration.contains(of_unknown_size),
                "{}",
                function.declaration
            );
        }
    }
}

#[test]
fn every_function_says_what_it_returns_and_who_may_call_it() {
    let header = read("../include/mailwire.h");
    for Function {
        name,
        comment,
        declaration,
    } in functions(&header)
    {
        assert!(
            comment.contains("Thread: "),
            "{name} does not say which threads may call it"
        );
        assert!(
            comment.contains("Since 0."),
            "{name} does not say since when it is there"
        );
        let returns_status = declaration.contains("MAILWIRE_NODISCARD mailwire_status ");
        assert_eq!(
            returns_status,
            declaration.contains("mailwire_error **err"),
            "{declaration}"
        );
        if returns_status {
            assert!(
                declaration.ends_with("mailwire_error **err)"),
                "{declaration}"
            );
            let listed = statuses(&comment);
            assert!(
                listed.contains("MAILWIRE_OK"),
                "{name} does not list its statuses"
            );
            let more = listed.len() > 1
                || comment.contains("return what")
                || comment.contains("Returns what");
            assert!(more, "{name} does not say how it fails");
        }
        if declaration.contains("const char *mailwire_") {
            let says = ["never freed", "never NULL", "NULL"]
                .iter()
                .any(|words| comment.contains(words));
            assert!(says, "{name} does not say how long its text lives");
        }
    }
}

#[test]
fn every_status_is_documented_where_it_comes_from() {
    let header = read("../include/mailwire.h");
    let of_functions: String = functions(&header)
        .into_iter()
        .map(|function| function.comment)
        .collect();
    let documented = statuses(&of_functions);
    for status in statuses(&header) {
        // No callback of this version can call back.
        if matches!(status, "MAILWIRE_ERR_REENTRANT" | "MAILWIRE_ERR_") {
            continue;
        }
        assert!(
            documented.contains(status),
            "no function says that it returns {status}"
        );
    }
}
