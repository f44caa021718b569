//! How a file of ours looks: it says first what it is for, it is short enough to read, and nothing in it was left for later.

use proc_macro2::{TokenStream, TokenTree};

use crate::files::TextFile;

/// No file has more lines than this.
pub const MOST_LINES: usize = 600;

/// Files that a tool writes and nobody reads from end to end.
pub const GENERATED: &[&str] = &["include/mailwire.h"];

/// The only places where `unsafe` stands: the C boundary, and one socket wrapper.
pub const UNSAFE: &[&str] = &["ffi/", "core/src/net/socket.rs"];

/// Kinds of files whose length is looked at.
pub const SOURCES: &[&str] = &[
    "c", "cpp", "h", "hpp", "md", "py", "pyi", "rs", "sh", "toml",
];

/// Kinds of files that hold code of ours: no word of these may be left in them.
const CODE: &[&str] = &["c", "cpp", "h", "hpp", "py", "pyi", "rs", "sh"];

/// Marks of work left for later. They are put together here so that this file does not hold them.
const LEFT_FOR_LATER: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Macros that stand for code left for later, or print what was being looked for.
const LEFT_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];

/// Kinds of files that begin with what they are for, and how a comment begins there.
const BEGINNINGS: &[(&str, &[&str])] = &[
    ("c", &["//", "/*"]),
    ("cpp", &["//", "/*"]),
    ("h", &["//", "/*"]),
    ("hpp", &["//", "/*"]),
    ("py", &["#", "\"\"\"", "r\"\"\""]),
    ("pyi", &["#", "\"\"\"", "r\"\"\""]),
    ("rs", &["//!", "//", "/*"]),
    ("sh", &["#"]),
];

/// Every broken rule in `file`, one sentence each.
pub fn of_file(file: &TextFile) -> Vec<String> {
    let mut broken = Vec::new();
    let mut complain =
        |line: usize, what: String| broken.push(format!("{}:{line}: {what}", file.path));
    let lines = file.text.lines().count();
    if lines > MOST_LINES && !GENERATED.contains(&file.path.as_str()) {
        complain(
            lines,
            format!("{lines} lines, where {MOST_LINES} is the most"),
        );
    }
    if CODE.contains(&file.extension()) {
        for (number, line) in file.text.lines().enumerate() {
            for word in line.split(|c: char| !c.is_alphanumeric() && c != '_') {
                if LEFT_FOR_LATER.contains(&word) {
                    complain(number + 1, format!("`{word}` is work left for later"));
                }
            }
        }
    }
    if !says_what_it_is_for(file) {
        complain(
            1,
            "the file does not begin by saying what it is for".to_owned(),
        );
    }
    if file.extension() == "rs" {
        match file.text.parse::<TokenStream>() {
            Ok(tokens) => {
                let unsafe_allowed = UNSAFE.iter().any(|place| file.path.starts_with(place));
                words_of(tokens, unsafe_allowed, &mut complain);
            }
            Err(error) => complain(1, format!("cannot be read: {error}")),
        }
    }
    broken
}

/// Whether the first line, after a `#!`, is a comment of three words or more. An empty file (`__init__.py`) says nothing either.
fn says_what_it_is_for(file: &TextFile) -> bool {
    let Some((_, marks)) = BEGINNINGS
        .iter()
        .find(|(extension, _)| *extension == file.extension())
    else {
        return true;
    };
    let lines = file.text.lines().skip_while(|line| line.starts_with("#!/"));
    let mut words = 0;
    let mut first = true;
    for line in lines.take(4) {
        if first && !marks.iter().any(|mark| line.starts_with(mark)) {
            return false;
        }
        first = false;
        words += line
            .split_whitespace()
            .filter(|word| word.chars().any(char::is_alphabetic))
            .count();
        if words >= 3 {
            return true;
        }
    }
    false
}

/// Looks at tokens, not at text: a comment may well speak of unsafe code.
fn words_of(tokens: TokenStream, unsafe_allowed: bool, complain: &mut impl FnMut(usize, String)) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => words_of(group.stream(), unsafe_allowed, complain),
            TokenTree::Ident(ident) => {
                let line = ident.span().start().line;
                if ident == "unsafe" && !unsafe_allowed {
                    complain(
                        line,
                        "`unsafe` stands only in ffi and in the one socket wrapper".to_owned(),
                    );
                }
                let called = matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == '!');
                if called && LEFT_MACROS.iter().any(|name| ident == name) {
                    complain(line, format!("`{ident}!` is work left for later"));
                }
            }
            _ => {}
        }
    }
}
