//! `cargo xtask licenses`: the notices of everything that is in the guest module.
//!
//! The module is Lua, packages of Rust's, Rust's standard library and a C library in one file, and the
//! licences of most of them ask that copies come with their text. So the text lies beside the
//! module, and in the package with it. Which licences may be used at all is said in deny.toml.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::compile::{ForeignPackage, PACKAGE, foreign_packages, lua_sources};
use crate::toolchain::{TARGET, cargo, output};

/// Where the text is, relative to the workspace.
const NOTICES: &str = "host/prebuilt/LICENSES.txt";

/// Texts for what isn't a package: the first line of each says what it is for.
const OTHERS: &str = "guest/licenses";

/// The file of Lua's that ends in its licence, and how that begins.
const LUA_HEADER: &str = "lua.h";
const LUA_NOTICE: &str = "* Copyright (C)";

/// Names of files with a licence, the ones that are taken first.
const FILES: [&str; 5] = [
    "LICENSE-MIT",
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "COPYING",
];

const HEAD: &str = "\
The module moonfork-guest.wasm, beside this file, has in it, besides moonfork's own code, what is
named below. Written by `cargo xtask licenses`.
";

/// Writes the text; with `check`, says instead whether it is as it would be written.
pub(crate) fn run(workspace: &Path, check: bool) -> Result<()> {
    let text = notices(workspace)?;
    let path = workspace.join(NOTICES);
    if check {
        let present = fs::read_to_string(&path);
        let present = present.with_context(|| format!("reading {}", path.display()))?;
        ensure!(
            present == text,
            "{NOTICES} isn't what the guest has in it: run `cargo xtask licenses`"
        );
        println!("{NOTICES} is up to date");
        return Ok(());
    }
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    println!("{NOTICES} is written");
    Ok(())
}

fn notices(workspace: &Path) -> Result<String> {
    let packages = foreign_packages(workspace)?;
    let mut sections = vec![("Lua".to_owned(), lua_notice(&lua_sources(&packages)?)?)];
    // Packages often have the same text to the letter.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in contained(workspace, &packages)? {
        let text = license(package, &packages)?;
        let names = texts.entry(text).or_default();
        names.push(format!("{} {}", package.name, package.version));
    }
    let mut of_packages: Vec<_> = texts
        .into_iter()
        .map(|(text, names)| (names.join(", "), text))
        .collect();
    of_packages.sort();
    sections.extend(of_packages);
    sections.extend(others(workspace)?);

    let mut notices = HEAD.to_owned();
    for (title, text) in sections {
        let line = "-".repeat(79);
        notices.push_str(&format!("\n{line}\n{title}\n{line}\n\n{}\n", text.trim()));
    }
    Ok(notices)
}

/// The packages that are linked into the module, without those that only run while it is built.
fn contained<'a>(
    workspace: &Path,
    packages: &'a [ForeignPackage],
) -> Result<Vec<&'a ForeignPackage>> {
    let mut tree = cargo();
    tree.current_dir(workspace);
    tree.args(["tree", "--locked", "--package", PACKAGE, "--target", TARGET]);
    tree.args([
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--format={p}",
    ]);
    let tree = output(&mut tree)?;
    let mut lines: Vec<_> = tree.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    let mut contained: Vec<&ForeignPackage> = Vec::new();
    for line in lines {
        // Such as `serde v1.0.229` or, further down in the tree, `serde v1.0.229 (*)`.
        let mut words = line.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            bail!("cargo tree gives the line '{line}'");
        };
        if name == PACKAGE {
            continue;
        }
        let is_it = |package: &&ForeignPackage| {
            package.name == name && version.strip_prefix('v') == Some(&package.version)
        };
        let package = packages.iter().find(is_it);
        let package = package.with_context(|| format!("cargo metadata has no {name} {version}"))?;
        if !contained.iter().any(|known| std::ptr::eq(*known, package)) {
            contained.push(package);
        }
    }
    Ok(contained)
}

/// The licence of a package: of its own, or of another one from the same repository.
fn license(package: &ForeignPackage, packages: &[ForeignPackage]) -> Result<String> {
    let siblings = packages
        .iter()
        .filter(|other| package.repository.is_some() && other.repository == package.repository);
    for package in [package].into_iter().chain(siblings) {
        let folder = package.manifest_path.parent().unwrap_or(Path::new("/"));
        let files = FILES.iter().map(|file| folder.join(file));
        if let Some(file) = files.into_iter().find(|file| file.is_file()) {
            let text = fs::read_to_string(&file);
            let text = text.with_context(|| format!("reading {}", file.display()))?;
            return Ok(text.replace("\r\n", "\n"));
        }
    }
    bail!(
        "{} {} has no file with its licence",
        package.name,
        package.version
    )
}

/// What `lua.h` ends with.
fn lua_notice(sources: &Path) -> Result<String> {
    let path = sources.join(LUA_HEADER);
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("reading {}", path.display()))?;
    let notice = text.find(LUA_NOTICE).map(|start| &text[start..]);
    let notice = notice.with_context(|| format!("{LUA_HEADER} has no '{LUA_NOTICE}'"))?;
    let lines = notice
        .lines()
        .take_while(|line| line.starts_with("* ") || *line == "*");
    let lines: Vec<_> = lines.map(|line| line[1..].trim()).collect();
    Ok(lines.join("\n"))
}

/// The texts that are kept by hand.
fn others(workspace: &Path) -> Result<Vec<(String, String)>> {
    let folder = workspace.join(OTHERS);
    let mut files = Vec::<PathBuf>::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))? {
        files.push(entry?.path());
    }
    files.sort();
    let texts = files.iter().map(|file| {
        let text = fs::read_to_string(file);
        let text = text.with_context(|| format!("reading {}", file.display()))?;
        let (title, text) = text.split_once('\n').context("it has no first line")?;
        Ok((title.to_owned(), text.to_owned()))
    });
    texts.collect()
}
