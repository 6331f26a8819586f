//! The example, run on this repository's own `Cargo.lock`, against a count of our own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::command::{moonfork, run};

/// What the example should find, by another way: a TOML parser.
fn expected(lock: &str) -> Value {
    let lock: toml::Table = lock.parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("a list of packages");
    let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();

    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ranked = Vec::new();
    for package in packages {
        let (name, version) = (text(package, "name"), text(package, "version"));
        versions
            .entry(name.clone())
            .or_default()
            .push(version.clone());
        let dependencies = package.get("dependencies").and_then(toml::Value::as_array);
        ranked.push((dependencies.map_or(0, Vec::len), name, version));
    }
    let external = packages
        .iter()
        .filter(|package| package.get("source").is_some())
        .count();
    let names = versions.len();
    versions.retain(|_, versions| versions.len() > 1);
    let duplicates: Vec<_> = versions
        .iter()
        .map(|(name, versions)| json!({"name": name, "versions": versions}))
        .collect();
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (&a.1, &a.2).cmp(&(&b.1, &b.2))));
    let top: Vec<_> = ranked
        .iter()
        .take(10)
        .map(|(dependencies, name, version)| {
            json!({"package": format!("{name} {version}"), "dependencies": dependencies})
        })
        .collect();
    json!({
        "counts": {
            "packages": packages.len(),
            "names": names,
            "external": external,
            "workspace": packages.len() - external,
        },
        "duplicates": duplicates,
        "most_dependencies": top,
    })
}

#[test]
fn the_lockfile_example_finds_what_a_toml_parser_finds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = moonfork();
    command.current_dir(root);
    command.args([
        "run",
        "examples/lockfile/workflow.yaml",
        "-i",
        "lock=@Cargo.lock",
    ]);
    let ran = run(&mut command);
    assert_eq!(ran.stderr, "");
    let lock = fs::read_to_string(root.join("Cargo.lock")).expect("Cargo.lock is there");
    assert_eq!(ran.json()["summary"], expected(&lock));
}

#[test]
fn without_a_lockfile_it_says_what_to_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = moonfork();
    command
        .current_dir(root)
        .args(["run", "examples/lockfile/workflow.yaml"]);
    run(&mut command).assert_failed(
        1,
        &["workflow.yaml:17: node 'parse': ", "-i lock=@Cargo.lock"],
    );
}
