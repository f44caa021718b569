//! What mailwire is built from: every dependency's licence is one that `deny.toml` allows, and its source is the crates.io registry.
//!
//! The list lives in `deny.toml` alone, so that this test and `make audit` cannot disagree.

use std::collections::BTreeMap;
use std::fs;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use toml::{Table, Value};

use crate::files;

/// Where crates may come from, as Cargo.lock writes it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The licences that dependencies may have.
#[derive(Debug, Default)]
pub struct Allowed {
    /// By their SPDX names, for any crate.
    pub licences: Vec<String>,
    /// Further ones for a single crate, by its name.
    pub exceptions: BTreeMap<String, Vec<String>>,
}

impl Allowed {
    /// Reads the lists of `deny.toml`. The error says what is amiss.
    pub fn read() -> Result<Self, String> {
        let text = fs::read_to_string(files::repository().join("deny.toml"))
            .map_err(|error| error.to_string())?;
        let table: Table = text
            .parse()
            .map_err(|error| format!("deny.toml: {error}"))?;
        let licences = table.get("licenses").ok_or("deny.toml has no [licenses]")?;
        let mut allowed = Self {
            licences: words(licences.get("allow")),
            exceptions: BTreeMap::new(),
        };
        for exception in licences
            .get("exceptions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let name = exception
                .get("crate")
                .and_then(Value::as_str)
                .ok_or("an exception without a crate")?;
            allowed
                .exceptions
                .insert(name.to_owned(), words(exception.get("allow")));
        }
        Ok(allowed)
    }

    /// Whether the crate `name` may be used under the licence `expression` (SPDX, or the old form with `/` for OR).
    /// The error says why the expression could not be read.
    pub fn allows(&self, name: &str, expression: &str) -> Result<bool, String> {
        let more = self.exceptions.get(name).map_or(&[][..], Vec::as_slice);
        Expression::of(expression, |licence| {
            self.licences
                .iter()
                .chain(more)
                .any(|allowed| allowed == licence)
        })
    }
}

/// Every dependency whose licence or source is not allowed, one sentence each. The error says why they could not be had.
pub fn of_repository() -> Result<Vec<String>, String> {
    let allowed = Allowed::read()?;
    let metadata = metadata()?;
    let mut broken = Vec::new();
    for package in &metadata.packages {
        let who = format!("{} {}", package.name, package.version);
        if let Some(source) = package
            .source
            .as_ref()
            .filter(|source| source.repr != REGISTRY)
        {
            broken.push(format!("{who} comes from {source}"));
        }
        if package.source.is_none() && !metadata.workspace_members.contains(&package.id) {
            broken.push(format!("{who} is a folder outside the workspace"));
        }
        match &package.license {
            None => broken.push(format!("{who} names no licence")),
            Some(licence) if !allowed.allows(&package.name, licence)? => {
                broken.push(format!(
                    "{who} is under {licence}, which deny.toml does not allow"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(broken)
}

/// The crates that the workspace's crate `name` depends on outside its tests, as code names them.
/// The error says why they could not be had.
pub fn dependencies_of(name: &str) -> Result<Vec<String>, String> {
    let metadata = metadata()?;
    let package = metadata
        .workspace_packages()
        .into_iter()
        .find(|package| package.name == name);
    let package = package.ok_or_else(|| format!("no crate {name} in the workspace"))?;
    let normal = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind == DependencyKind::Normal);
    Ok(normal
        .map(|dependency| {
            dependency
                .rename
                .as_ref()
                .unwrap_or(&dependency.name)
                .replace('-', "_")
        })
        .collect())
}

fn metadata() -> Result<Metadata, String> {
    let manifest = files::repository().join("Cargo.toml");
    let mut command = MetadataCommand::new();
    command
        .manifest_path(manifest)
        .other_options(vec!["--locked".to_owned()]);
    command.exec().map_err(|error| error.to_string())
}

fn words(value: Option<&Value>) -> Vec<String> {
    let values = value.and_then(Value::as_array).into_iter().flatten();
    values
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Reads a licence expression from left to right: AND binds tighter than OR, and WITH belongs to the licence before it.
struct Expression<'a, F> {
    tokens: std::iter::Peekable<std::vec::IntoIter<String>>,
    whole: &'a str,
    allowed: F,
}

impl<'a, F: Fn(&str) -> bool> Expression<'a, F> {
    fn of(whole: &'a str, allowed: F) -> Result<bool, String> {
        let spaced = whole
            .replace('(', " ( ")
            .replace(')', " ) ")
            .replace('/', " OR ");
        let tokens: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
        let mut expression = Self {
            tokens: tokens.into_iter().peekable(),
            whole,
            allowed,
        };
        let satisfied = expression.any()?;
        if expression.tokens.peek().is_some() {
            return Err(expression.unreadable());
        }
        Ok(satisfied)
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut satisfied = self.all()?;
        while self.tokens.next_if(|token| token == "OR").is_some() {
            satisfied |= self.all()?;
        }
        Ok(satisfied)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut satisfied = self.one()?;
        while self.tokens.next_if(|token| token == "AND").is_some() {
            satisfied &= self.one()?;
        }
        Ok(satisfied)
    }

    fn one(&mut self) -> Result<bool, String> {
        let Some(token) = self
            .tokens
            .next()
            .filter(|token| token != ")" && token != "OR" && token != "AND")
        else {
            return Err(self.unreadable());
        };
        if token == "(" {
            let satisfied = self.any()?;
            return self
                .tokens
                .next_if(|token| token == ")")
                .map(|_| satisfied)
                .ok_or_else(|| self.unreadable());
        }
        if self.tokens.next_if(|token| token == "WITH").is_some() {
            let exception = self.tokens.next().ok_or_else(|| self.unreadable())?;
            return Ok((self.allowed)(&format!("{token} WITH {exception}")));
        }
        Ok((self.allowed)(&token))
    }

    fn unreadable(&self) -> String {
        format!("the licence expression `{}` cannot be read", self.whole)
    }
}
