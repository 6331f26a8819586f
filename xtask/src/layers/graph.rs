//! Which file needs which: every path that a file names leads to the file that defines what it
//! stands for, through imports and re-exports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::tree::{ModuleId, ROOT, Tree};

/// What a file needs of another, and where it first says so.
pub(crate) struct Need {
    pub(crate) line: usize,
    /// As it is written.
    pub(crate) path: String,
}

/// All needs, by who has them and of whom.
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) needs: BTreeMap<(PathBuf, PathBuf), Need>,
    /// Paths into other crates, by file and crate.
    pub(crate) foreign: BTreeMap<(PathBuf, String), Need>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Module(ModuleId),
    /// Something that this module defines.
    Item(ModuleId),
}

/// Imports that lead to imports: more than anyone writes, so it is a circle of them.
const DEEPEST: usize = 32;

impl Graph {
    /// Adds what the modules of `tree` need. A path into the crate of a name in `others` leads
    /// into that tree.
    pub(crate) fn add(&mut self, tree: &Tree, others: &[(&str, &Tree)]) {
        for (id, module) in tree.modules.iter().enumerate() {
            for (file, line) in &module.includes {
                let path = format!("include!({:?})", file.display());
                let key = (module.file.clone(), file.clone());
                self.needs.entry(key).or_insert(Need { line: *line, path });
            }
            for mention in &module.mentions {
                let need = || Need {
                    line: mention.line,
                    path: mention.path.join("::"),
                };
                let (tree, target) = match tree.resolve(id, &mention.path, 0) {
                    Some(target) => (tree, target),
                    None => {
                        let first = &mention.path[0];
                        let Some((_, other)) = others.iter().find(|(name, _)| name == first) else {
                            if mention.path.len() > 1 || mention.imported {
                                let key = (module.file.clone(), first.clone());
                                self.foreign.entry(key).or_insert_with(need);
                            }
                            continue;
                        };
                        match other.walk(ROOT, &mention.path[1..], 0) {
                            Some(target) => (*other, target),
                            None => continue,
                        }
                    }
                };
                let file = match target {
                    Target::Item(module) => &tree.modules[module].file,
                    Target::Module(module) if mention.glob => &tree.modules[module].file,
                    // What is named by way of the module is a mention of its own.
                    Target::Module(_) => continue,
                };
                if *file != module.file {
                    let key = (module.file.clone(), file.clone());
                    self.needs.entry(key).or_insert_with(need);
                }
            }
        }
    }

    /// The groups of files that can all be reached from each other, without the needs in
    /// `without`.
    pub(crate) fn circles(&self, without: &BTreeSet<(&Path, &Path)>) -> Vec<Vec<&Path>> {
        let mut next: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
        for (from, to) in self.needs.keys() {
            if !without.contains(&(from.as_path(), to.as_path())) {
                next.entry(from).or_default().push(to);
            }
        }
        let reachable = |start: &Path| {
            let mut seen: BTreeSet<&Path> = BTreeSet::new();
            let mut open: Vec<&Path> = next.get(start).cloned().unwrap_or_default();
            while let Some(file) = open.pop() {
                if seen.insert(file) {
                    open.extend(next.get(file).into_iter().flatten());
                }
            }
            seen
        };
        let reached: BTreeMap<&Path, BTreeSet<&Path>> =
            next.keys().map(|&file| (file, reachable(file))).collect();
        let both = |a: &Path, b: &Path| {
            let leads = |from, to| reached.get(from).is_some_and(|it| it.contains(to));
            leads(a, b) && leads(b, a)
        };
        let mut circles: Vec<Vec<&Path>> = Vec::new();
        for &file in reached.keys() {
            match circles.iter_mut().find(|circle| both(circle[0], file)) {
                Some(circle) => circle.push(file),
                None if both(file, file) => circles.push(vec![file]),
                None => {}
            }
        }
        circles
    }
}

impl Tree {
    /// What a path leads to that is written in `module`; `None` if it leads out of the crate, or
    /// is the name of something local.
    fn resolve(&self, module: ModuleId, path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(ROOT, rest, depth),
            "self" => self.walk(module, rest, depth),
            "super" => {
                let parent = self.modules[module].parent?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.resolve(parent, rest, depth),
                    _ => self.walk(parent, rest, depth),
                }
            }
            "Self" => None,
            _ => {
                let found = self.lookup(module, first, depth)?;
                match found {
                    Target::Module(inner) => self.walk(inner, rest, depth),
                    item => Some(item),
                }
            }
        }
    }

    /// What `path` leads to from inside of `module` on.
    fn walk(&self, module: ModuleId, path: &[String], depth: usize) -> Option<Target> {
        let Some((first, rest)) = path.split_first() else {
            return Some(Target::Module(module));
        };
        match self.lookup(module, first, depth) {
            Some(Target::Module(inner)) => self.walk(inner, rest, depth),
            Some(item) => Some(item),
            // What a macro defines can't be seen, but where it does so can.
            None if self.leads_out(module, first) => None,
            None => Some(Target::Item(module)),
        }
    }

    /// What `name` stands for in `module`.
    fn lookup(&self, module: ModuleId, name: &str, depth: usize) -> Option<Target> {
        let this = &self.modules[module];
        if let Some(&child) = this.children.get(name) {
            return Some(Target::Module(child));
        }
        if this.items.contains(name) {
            return Some(Target::Item(module));
        }
        if depth > DEEPEST {
            return None;
        }
        let named = this
            .imports
            .iter()
            .filter(|it| it.name.as_deref() == Some(name));
        for import in named {
            // `use serde;` names nothing of this crate.
            if import.path.len() > 1 || import.path[0] != name {
                let found = self.resolve(module, &import.path, depth + 1);
                if found.is_some() {
                    return found;
                }
            }
        }
        let globs = this.imports.iter().filter(|it| it.name.is_none());
        for import in globs {
            if let Some(Target::Module(other)) = self.resolve(module, &import.path, depth + 1)
                && other != module
                && let Some(found) = self.lookup(other, name, depth + 1)
            {
                return Some(found);
            }
        }
        None
    }

    /// Whether `module` imports this name from another crate.
    fn leads_out(&self, module: ModuleId, name: &str) -> bool {
        let imports = &self.modules[module].imports;
        imports.iter().any(|it| it.name.as_deref() == Some(name))
    }
}
