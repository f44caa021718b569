//! Finds the files that are ours: everything in the repository but what tools make.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders that tools fill, by name, wherever they stand. The same names are in `.gitignore`.
const MADE_BY_TOOLS: &[&str] = &[
    ".git",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".venv",
    "__pycache__",
    "build",
    "target",
];

/// A text file of the repository.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// Where it lies, from the root of the repository, with `/` between the parts.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl TextFile {
    /// The part of the name behind its last dot, or nothing.
    pub fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file of ours below `folder` (named from the root, `""` for all) whose name has one of `extensions`, sorted by path. A folder
/// that does not exist holds no files. An error means that a file could not be read, or is no UTF-8.
pub fn below(folder: &str, extensions: &[&str]) -> io::Result<Vec<TextFile>> {
    let root = repository();
    let mut found = Vec::new();
    let mut waiting = vec![root.join(folder)];
    while let Some(folder) = waiting.pop() {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !MADE_BY_TOOLS.contains(&name.as_str()) && !name.ends_with(".egg-info") {
                    waiting.push(entry.path());
                }
            } else if kind.is_file()
                && extensions
                    .iter()
                    .any(|extension| has_extension(&name, extension))
            {
                found.push(TextFile {
                    path: from_root(&root, &entry.path()),
                    text: fs::read_to_string(entry.path())?,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn has_extension(name: &str, extension: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, is)| is == extension)
}

fn from_root(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    inside
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}
