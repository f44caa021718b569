//! Finds out what a written path stands for, through `use`, renames, globs and re-exports, so that none of them hides an arrow.

use crate::collect::{Crate, ModulePath, Named};

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A place in the same crate, from its root. It is as deep as could be told: the module, the item, and what was named behind it.
    Inside(Vec<String>),
    /// Something whose first word no module of the crate has: another crate, or a type parameter, or a word of the language.
    Outside(Vec<String>),
}

/// Everything that the path `words`, written in `module`, may stand for.
pub fn resolve(source: &Crate, module: &ModulePath, words: &[String]) -> Vec<Target> {
    distinct(
        Walk {
            source,
            followed: Vec::new(),
        }
        .path(module, words),
    )
}

/// What a path from the crate's root, as another crate writes it, stands for.
pub fn from_root(source: &Crate, words: &[String]) -> Vec<Target> {
    distinct(
        Walk {
            source,
            followed: Vec::new(),
        }
        .within(&Vec::new(), words),
    )
}

fn distinct(mut targets: Vec<Target>) -> Vec<Target> {
    let mut seen = Vec::new();
    targets.retain(|target| {
        let new = !seen.contains(target);
        seen.push(target.clone());
        new
    });
    targets
}

/// One resolution. `followed` holds the imports and globs on the way, for those that lead in a circle.
struct Walk<'a> {
    source: &'a Crate,
    followed: Vec<(ModulePath, Vec<String>)>,
}

impl Walk<'_> {
    /// A path as written in `module`.
    fn path(&mut self, module: &ModulePath, words: &[String]) -> Vec<Target> {
        let Some((first, rest)) = words.split_first() else {
            return Vec::new();
        };
        match first.as_str() {
            "" => vec![Target::Outside(rest.to_vec())],
            "crate" => self.within(&Vec::new(), rest),
            "self" => self.within(module, rest),
            "super" => {
                let (mut above, mut rest) = (module.clone(), words);
                while rest.first().is_some_and(|word| word == "super") {
                    above.pop();
                    rest = &rest[1..];
                }
                self.within(&above, rest)
            }
            _ => self
                .below(module, words)
                .unwrap_or_else(|| vec![Target::Outside(words.to_vec())]),
        }
    }

    /// A path that surely begins in `module`: what cannot be followed further still lies there.
    fn within(&mut self, module: &ModulePath, words: &[String]) -> Vec<Target> {
        self.below(module, words)
            .unwrap_or_else(|| vec![Target::Inside([module, words].concat())])
    }

    /// A path by the names of `module`, or `None` where it has no such name.
    fn below(&mut self, module: &ModulePath, words: &[String]) -> Option<Vec<Target>> {
        let Some((first, rest)) = words.split_first() else {
            return Some(vec![Target::Inside(module.clone())]);
        };
        let scope = self.source.scopes.get(module)?;
        let mut targets = Vec::new();
        for named in scope.names.get(first).into_iter().flatten() {
            match named {
                Named::Module => targets.extend(self.within(&[module, &words[..1]].concat(), rest)),
                Named::Item => targets.push(Target::Inside([module, words].concat())),
                Named::Import(import) => targets.extend(self.follow(module, import, rest)),
            }
        }
        if targets.is_empty() {
            for glob in &scope.globs {
                targets.extend(self.through_glob(module, glob, words));
            }
        }
        (!targets.is_empty()).then_some(targets)
    }

    fn follow(&mut self, module: &ModulePath, import: &[String], rest: &[String]) -> Vec<Target> {
        let step = (module.clone(), import.to_vec());
        if self.followed.contains(&step) {
            return Vec::new();
        }
        self.followed.push(step);
        let targets = self.path(module, &[import, rest].concat());
        self.followed.pop();
        targets
    }

    /// What `words` stands for if it comes through `use glob::*`.
    fn through_glob(
        &mut self,
        module: &ModulePath,
        glob: &[String],
        words: &[String],
    ) -> Vec<Target> {
        let mut targets = Vec::new();
        for target in self.follow(module, glob, &[]) {
            if let Target::Inside(place) = target {
                let step = (place.clone(), words.to_vec());
                if !self.followed.contains(&step) {
                    self.followed.push(step);
                    targets.extend(self.below(&place, words).unwrap_or_default());
                    self.followed.pop();
                }
            }
        }
        targets
    }
}
