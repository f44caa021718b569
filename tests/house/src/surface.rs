//! Finds every public function and field of the library that takes a text, which must not become a command or a header field.
//!
//! `core/tests/injection/entry_points.txt` holds the list, and a test there has a row for each of its lines.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{
    Attribute, FnArg, Generics, Ident, ImplItemFn, ItemFn, ItemImpl, ItemMod, ItemStruct, Meta,
    Pat, PathArguments, Signature, Type, Visibility, WherePredicate,
};

use crate::files::TextFile;

/// Types that hold text, as words of a type or of a bound such as `AsRef<str>`.
const TEXT: &[&str] = &["str", "String", "Path", "PathBuf", "OsStr", "Secret"];

/// Traits that make a value from a text.
const MAKERS: &[&str] = &["From", "TryFrom", "FromStr"];

/// The entry points of a file of `core/src`, one line each: `client Options::set_server(host)`, the room in front. The error is a
/// sentence with the file's name.
pub fn of_file(file: &TextFile) -> Result<Vec<String>, String> {
    let inside = file.path.strip_prefix("core/src/").unwrap_or(&file.path);
    let room = inside.rsplit_once('/').map_or("", |(room, _)| room);
    if room.split('/').any(|part| part == "tests") || inside.contains("/test") {
        return Ok(Vec::new());
    }
    let parsed = syn::parse_file(&file.text).map_err(|error| format!("{}: {error}", file.path))?;
    let mut finder = Finder {
        room,
        found: Vec::new(),
        of: None,
    };
    finder.visit_file(&parsed);
    Ok(finder.found)
}

struct Finder<'a> {
    room: &'a str,
    found: Vec<String>,
    /// The type whose functions are looked at.
    of: Option<String>,
}

impl Finder<'_> {
    fn function(&mut self, signature: &Signature) {
        let bounded = bounded_by_text(&signature.generics);
        let arguments: Vec<String> = signature
            .inputs
            .iter()
            .filter_map(|argument| match argument {
                FnArg::Typed(typed) if takes_text(&typed.ty, &bounded) => match &*typed.pat {
                    Pat::Ident(name) => Some(name.ident.to_string()),
                    _ => Some("_".to_owned()),
                },
                _ => None,
            })
            .collect();
        if !arguments.is_empty() {
            self.push(
                &signature.ident.to_string(),
                &format!("({})", arguments.join(", ")),
            );
        }
    }

    fn push(&mut self, name: &str, arguments: &str) {
        let of = self
            .of
            .as_ref()
            .map_or(String::new(), |of| format!("{of}::"));
        self.found
            .push(format!("{} {of}{name}{arguments}", self.room));
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if is_public(&function.vis) && !is_for_tests(&function.attrs) {
            self.function(&function.sig);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        if is_for_tests(&block.attrs) {
            return;
        }
        self.of = Some(name_of(&block.self_ty));
        match &block.trait_ {
            None => visit::visit_item_impl(self, block),
            Some((path, _)) => {
                if let Some(last) = path.segments.last()
                    && MAKERS.iter().any(|maker| last.ident == maker)
                    && makes_from_text(last.ident == "FromStr", &last.arguments)
                {
                    self.push(&last.ident.to_string(), "");
                }
            }
        }
        self.of = None;
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if is_public(&function.vis) && !is_for_tests(&function.attrs) {
            self.function(&function.sig);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        if !is_public(&item.vis) || is_for_tests(&item.attrs) {
            return;
        }
        self.of = Some(item.ident.to_string());
        for field in &item.fields {
            if let Some(name) = &field.ident
                && is_public(&field.vis)
                && takes_text(&field.ty, &BTreeSet::new())
            {
                self.push(&name.to_string(), "");
            }
        }
        self.of = None;
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// `#[cfg(test)]`, alone or with more.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string().contains("test"),
        _ => false,
    })
}

fn name_of(of: &Type) -> String {
    match of {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .map_or(String::new(), |last| last.ident.to_string()),
        _ => String::new(),
    }
}

fn makes_from_text(always: bool, arguments: &PathArguments) -> bool {
    let mut words = Words::default();
    words.visit_path_arguments(arguments);
    always || words.any_of(&BTreeSet::new())
}

/// Type parameters that a bound makes text.
fn bounded_by_text(generics: &Generics) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for parameter in generics.type_params() {
        let mut words = Words::default();
        parameter
            .bounds
            .iter()
            .for_each(|bound| words.visit_type_param_bound(bound));
        if words.any_of(&found) {
            found.insert(parameter.ident.to_string());
        }
    }
    for predicate in generics
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates)
    {
        if let WherePredicate::Type(bound) = predicate {
            let mut words = Words::default();
            bound
                .bounds
                .iter()
                .for_each(|bound| words.visit_type_param_bound(bound));
            // What a closure gives back is asked for later, and checked there.
            if words.any_of(&found) && !words.0.contains("Future") {
                found.insert(name_of(&bound.bounded_ty));
            }
        }
    }
    found
}

fn takes_text(of: &Type, bounded: &BTreeSet<String>) -> bool {
    let mut words = Words::default();
    words.visit_type(of);
    words.any_of(bounded)
}

/// Every word of a type.
#[derive(Default)]
struct Words(BTreeSet<String>);

impl Words {
    fn any_of(&self, bounded: &BTreeSet<String>) -> bool {
        self.0
            .iter()
            .any(|word| TEXT.contains(&word.as_str()) || bounded.contains(word))
    }
}

impl<'ast> Visit<'ast> for Words {
    fn visit_ident(&mut self, word: &'ast Ident) {
        self.0.insert(word.to_string());
    }
}
