//! `cargo xtask layers`: imports in `host/` run one way, and no file is too long.
//!
//! The order is [`ORDER`]: a file may need what is below its own folder, never what is above or
//! beside it; anyone may need a leaf, and leaves need leaves alone. No files need each other in a
//! circle. What a file needs is read from its syntax tree: `use` lines, `super::`, full paths
//! also in macros and attributes, and all of them through re-exports, renames and `*` to the file
//! that defines the thing. Methods don't name a file, so that calling one is no need.

mod graph;
mod known;
mod length;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use graph::Graph;
use known::KNOWN;
use length::LONGER;
use tree::{Read, Tree};

/// The folders of `host/` from the top down. Those of one line may not need each other.
///
/// What tests may do to a pool, `testing`, stands at the top: it looks into everything.
const ORDER: [&[&str]; 10] = [
    &["cli", "testing"],
    &["workflow", "plugin"],
    &["pool"],
    &["instance"],
    &["engine"],
    &["store"],
    &["journal"],
    &["run"],
    &["grants"],
    &["sync"],
];

/// What lies at the top of `host/` and may be needed by all of it.
const LEAVES: [&str; 10] = [
    "capability",
    "chunk",
    "codec",
    "diagnostics",
    "error",
    "identity",
    "private_file",
    "report",
    "sparse",
    "wire",
];

/// Folders that use the library's API and know nothing of what runs below it.
const ABOVE_THE_RUNTIME: [&str; 3] = ["cli", "workflow", "plugin"];

/// The roots: they declare and re-export everything, and define nothing.
const ROOTS: [&str; 2] = ["lib.rs", "main.rs"];

/// Prints the layers with how much they need of each other.
///
/// # Errors
///
/// If something is wrong with the order.
pub(crate) fn run(workspace: &Path) -> Result<()> {
    let graph = read(&|file| std::fs::read_to_string(workspace.join("host").join(file)).ok())?;
    print(&graph);
    let mut problems = problems(&graph, KNOWN);
    problems.extend(length::problems(workspace, LONGER)?);
    for problem in &problems {
        println!("{problem}");
    }
    match problems.len() {
        0 => Ok(()),
        many => bail!("{many} problems"),
    }
}

/// Reads the library and the binary.
fn read(file: Read<'_>) -> Result<Graph> {
    let library = Tree::read(Path::new("lib.rs"), file)?;
    let binary = Tree::read(Path::new("main.rs"), file)?;
    let mut graph = Graph::default();
    graph.add(&library, &[]);
    graph.add(&binary, &[("moonfork", &library)]);
    Ok(graph)
}

/// The folder at the top of `host/` that a file belongs to, or its own name if it is none.
fn part(file: &Path) -> String {
    let mut parts = file.iter();
    let first = Path::new(parts.next().unwrap_or_default());
    match parts.next() {
        Some(_) => first.display().to_string(),
        None => first.with_extension("").display().to_string(),
    }
}

fn is_root(file: &Path) -> bool {
    ROOTS.iter().any(|root| file == Path::new(root))
}

/// Where a part stands: the higher, the more it may need. Leaves stand below all.
fn height(part: &str) -> Option<usize> {
    if LEAVES.contains(&part) {
        return Some(0);
    }
    let above = ORDER.iter().position(|line| line.contains(&part))?;
    Some(ORDER.len() - above)
}

/// Why a file of the part `from` may not need one of the part `to`, if so.
fn against(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let Some(height_from) = height(from) else {
        return Some(format!("`{from}` has no place in the order"));
    };
    let Some(height_to) = height(to) else {
        return Some(format!("`{to}` has no place in the order"));
    };
    match height_from.cmp(&height_to) {
        _ if height_from == 0 && height_to == 0 => None,
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Equal => Some(format!("`{to}` is beside `{from}`")),
        std::cmp::Ordering::Less if height_from == 0 => Some(format!("`{from}` is a leaf")),
        std::cmp::Ordering::Less => Some(format!("`{to}` is above `{from}`")),
    }
}

/// All that is wrong, a line each. `known` are needs that are wrong and known to be.
fn problems(graph: &Graph, known: &[(&str, &str)]) -> Vec<String> {
    let known: BTreeSet<(&Path, &Path)> = known
        .iter()
        .map(|(from, to)| (Path::new(*from), Path::new(*to)))
        .collect();
    let needs = || graph.needs.iter().filter(|((from, _), _)| !is_root(from));
    let mut problems = Vec::new();
    for ((from, to), need) in needs() {
        if !known.contains(&(from.as_path(), to.as_path()))
            && let Some(why) = against(&part(from), &part(to))
        {
            problems.push(format!(
                "host/{}:{}: `{}` is in host/{}: {why}",
                from.display(),
                need.line,
                need.path,
                to.display()
            ));
        }
    }
    for ((from, krate), need) in &graph.foreign {
        if ABOVE_THE_RUNTIME.contains(&part(from).as_str()) && krate.starts_with("wasmtime") {
            problems.push(format!(
                "host/{}:{}: `{}`: only the runtime knows of wasmtime",
                from.display(),
                need.line,
                need.path
            ));
        }
    }
    for circle in graph.circles(&known) {
        let inside: BTreeSet<_> = circle.iter().copied().collect();
        let needs = needs().filter(|((from, to), _)| {
            inside.contains(from.as_path())
                && inside.contains(to.as_path())
                && !known.contains(&(from.as_path(), to.as_path()))
        });
        let needs: Vec<_> = needs
            .map(|((from, to), need)| {
                let (from, to) = (from.display(), to.display());
                format!(
                    "\n  host/{from}:{}: `{}` is in host/{to}",
                    need.line, need.path
                )
            })
            .collect();
        problems.push(format!(
            "files need each other in a circle:{}",
            needs.concat()
        ));
    }
    let nothing = BTreeSet::new();
    let circles = graph.circles(&nothing);
    for &(from, to) in &known {
        let in_a_circle = || {
            let has = |circle: &&Vec<&Path>| circle.contains(&from) && circle.contains(&to);
            circles.iter().any(|circle| has(&circle))
        };
        let is_there = graph.needs.contains_key(&(from.into(), to.into()));
        if !is_there || (against(&part(from), &part(to)).is_none() && !in_a_circle()) {
            problems.push(format!(
                "host/{} needs host/{} no longer, or rightly: take it off the list of known exceptions",
                from.display(),
                to.display()
            ));
        }
    }
    problems
}

/// Prints which part needs which, and the circles of files.
fn print(graph: &Graph) {
    let mut parts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut files: BTreeMap<String, BTreeSet<&PathBuf>> = BTreeMap::new();
    for (from, to) in graph.needs.keys() {
        for file in [from, to] {
            files.entry(part(file)).or_default().insert(file);
        }
        if part(from) != part(to) && !is_root(from) {
            *parts.entry((part(from), part(to))).or_default() += 1;
        }
    }
    let mut names: Vec<_> = files.keys().filter(|it| height(it).is_some()).collect();
    names.sort_by_key(|name| (std::cmp::Reverse(height(name)), *name));
    for name in names {
        let needs = parts.iter().filter(|((from, _), _)| from == name);
        let needs: Vec<_> = needs
            .map(|((_, to), many)| format!("{to} {many}"))
            .collect();
        let many = files[name].len();
        println!("{name} ({many} files) needs {}", needs.join(", "));
    }
    let nothing = BTreeSet::new();
    let circles = graph.circles(&nothing);
    let sizes: Vec<_> = circles.iter().map(|it| it.len().to_string()).collect();
    println!("{} circles of files: {}", circles.len(), sizes.join(", "));
}
