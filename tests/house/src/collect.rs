//! Reads Rust source into what the arrows test needs: the names each module has, and every path that is written in it.
//!
//! Paths inside the tokens of macros count like any other: `tokio::select!` and `matches!` would hide half of them.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::visit::Visit;
use syn::{Attribute, File, Item, ItemMod, ItemUse, Meta, UseTree};

/// A module's place from the root of its crate; empty for the root itself.
pub type ModulePath = Vec<String>;

/// What a name in a module stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A module below this one.
    Module,
    /// A function, type, trait, constant or macro defined here.
    Item,
    /// Another path, brought in by `use`.
    Import(Vec<String>),
}

/// The names of one module.
#[derive(Debug, Default)]
pub struct Scope {
    /// What each name may stand for; one name can be a module, a type and a function at once.
    pub names: BTreeMap<String, Vec<Named>>,
    /// The paths of `use path::*`.
    pub globs: Vec<Vec<String>>,
}

/// A path as somebody wrote it.
#[derive(Debug, Clone)]
pub struct Written {
    /// The file it stands in.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The module it stands in.
    pub module: ModulePath,
    /// Its words. A path that began with `::` has an empty first word.
    pub words: Vec<String>,
    /// Whether `::*` follows.
    pub glob: bool,
}

/// One crate, read.
#[derive(Debug, Default)]
pub struct Crate {
    /// The names of each module.
    pub scopes: BTreeMap<ModulePath, Scope>,
    /// Every path in it.
    pub written: Vec<Written>,
    /// What no rule about paths could follow, one sentence each: `#[path]`, `include!`, `extern crate`.
    pub evasions: Vec<String>,
}

impl Crate {
    /// Reads one file as the module that its `path` from the crate's source folder makes it (`proto/mod.rs` is `proto`). The error is
    /// a sentence with the file's name.
    pub fn read(&mut self, path: &str, text: &str) -> Result<(), String> {
        let file = syn::parse_file(text).map_err(|error| format!("{path}: {error}"))?;
        self.add(path, module_of(path), &file);
        Ok(())
    }

    fn add(&mut self, path: &str, module: ModulePath, file: &File) {
        self.scopes.entry(module.clone()).or_default();
        Reader {
            into: self,
            file: path,
            module,
        }
        .visit_file(file);
    }
}

/// The module that a file is, by Rust's rules for file names.
fn module_of(path: &str) -> ModulePath {
    let mut words: ModulePath = path
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    let last = words.last().map_or("", String::as_str);
    if last == "mod" || (words.len() == 1 && (last == "lib" || last == "main")) {
        words.pop();
    }
    words
}

/// Walks a file; `module` follows the inline modules it enters.
struct Reader<'a> {
    into: &'a mut Crate,
    file: &'a str,
    module: ModulePath,
}

impl Reader<'_> {
    fn name(&mut self, name: &Ident, stands_for: Named) {
        let scope = self.into.scopes.entry(self.module.clone()).or_default();
        scope
            .names
            .entry(name.to_string())
            .or_default()
            .push(stands_for);
    }

    fn wrote(&mut self, words: Vec<String>, line: usize, glob: bool) {
        let (file, module) = (self.file.to_owned(), self.module.clone());
        self.into.written.push(Written {
            file,
            line,
            module,
            words,
            glob,
        });
    }

    fn evades(&mut self, line: usize, what: &str) {
        self.into.evasions.push(format!(
            "{}:{line}: {what} hides where code comes from",
            self.file
        ));
    }

    /// Follows a `use` to its leaves. `before` is what stands left of `tree`.
    fn imports(&mut self, before: &[String], tree: &UseTree) {
        let with = |word: &Ident| [before, &[word.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.imports(&with(&path.ident), &path.tree),
            UseTree::Group(group) => group
                .items
                .iter()
                .for_each(|tree| self.imports(before, tree)),
            UseTree::Glob(star) => {
                self.wrote(before.to_vec(), star.star_token.span.start().line, true);
                let scope = self.into.scopes.entry(self.module.clone()).or_default();
                scope.globs.push(before.to_vec());
            }
            UseTree::Name(name) => self.import(with(&name.ident), &name.ident),
            UseTree::Rename(rename) => self.import(with(&rename.ident), &rename.rename),
        }
    }

    fn import(&mut self, mut words: Vec<String>, as_name: &Ident) {
        let mut name = as_name.clone();
        if words.last().is_some_and(|word| word == "self") && words.len() > 1 {
            // `use a::b::{self}` brings in `b`.
            words.pop();
            if as_name == "self" {
                name = Ident::new(words.last().map_or("_", String::as_str), as_name.span());
            }
        }
        self.wrote(words.clone(), as_name.span().start().line, false);
        self.name(&name, Named::Import(words));
    }

    /// Every path among loose tokens. Single words are left out: a name needs a `use` to mean something from elsewhere.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut words: Vec<String> = Vec::new();
        let mut line = 0;
        // How many colons stand behind the last word.
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    if words.is_empty() {
                        line = punct.span().start().line;
                    }
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) => {
                    if colons == 2 {
                        if words.is_empty() {
                            words.push(String::new());
                        }
                    } else {
                        self.loose(&mut words, line);
                        line = ident.span().start().line;
                    }
                    words.push(ident.to_string());
                }
                TokenTree::Group(group) => {
                    if colons == 2 && group.delimiter() == Delimiter::Brace {
                        self.loose_group(&words, group.stream());
                    }
                    self.loose(&mut words, line);
                    self.tokens(group.stream());
                }
                TokenTree::Punct(punct) if punct.as_char() == '*' && colons == 2 => {
                    let before = std::mem::take(&mut words);
                    self.wrote(before, line, true);
                }
                _ => self.loose(&mut words, line),
            }
            colons = 0;
        }
        self.loose(&mut words, line);
    }

    fn loose(&mut self, words: &mut Vec<String>, line: usize) {
        let words = std::mem::take(words);
        if words.len() > 1 {
            self.wrote(words, line, false);
        }
    }

    /// `a::{b, c::d}` inside a macro: a `use` that the parser never sees as one.
    fn loose_group(&mut self, before: &[String], inside: TokenStream) {
        let tree = TokenStream::from(TokenTree::Group(proc_macro2::Group::new(
            Delimiter::Brace,
            inside,
        )));
        if let Ok(tree) = syn::parse2::<UseTree>(tree) {
            self.imports(before, &tree);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Const(item) => self.name(&item.ident, Named::Item),
            Item::Enum(item) => self.name(&item.ident, Named::Item),
            Item::Fn(item) => self.name(&item.sig.ident, Named::Item),
            Item::Macro(item) => item
                .ident
                .iter()
                .for_each(|ident| self.name(ident, Named::Item)),
            Item::Static(item) => self.name(&item.ident, Named::Item),
            Item::Struct(item) => self.name(&item.ident, Named::Item),
            Item::Trait(item) => self.name(&item.ident, Named::Item),
            Item::Type(item) => self.name(&item.ident, Named::Item),
            Item::Union(item) => self.name(&item.ident, Named::Item),
            Item::ExternCrate(item) => {
                self.evades(item.ident.span().start().line, "`extern crate`");
            }
            _ => {}
        }
        syn::visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.name(&item.ident, Named::Module);
        self.module.push(item.ident.to_string());
        self.into.scopes.entry(self.module.clone()).or_default();
        syn::visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        item.attrs
            .iter()
            .for_each(|attribute| self.visit_attribute(attribute));
        let before = if item.leading_colon.is_some() {
            vec![String::new()]
        } else {
            Vec::new()
        };
        self.imports(&before, &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut words: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if path.leading_colon.is_some() {
            words.insert(0, String::new());
        }
        if let Some(first) = path.segments.first() {
            self.wrote(words, first.ident.span().start().line, false);
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        let name = invoked.path.segments.last();
        if let Some(name) = name.filter(|name| name.ident == "include") {
            self.evades(name.ident.span().start().line, "`include!`");
        }
        self.tokens(invoked.tokens.clone());
        syn::visit::visit_macro(self, invoked);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Some(ident) = attribute
            .path()
            .get_ident()
            .filter(|ident| *ident == "path")
        {
            self.evades(ident.span().start().line, "`#[path]`");
        }
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
        syn::visit::visit_attribute(self, attribute);
    }
}
