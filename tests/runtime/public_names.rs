//! One name, one thing: no name is public in two modules.

use std::collections::BTreeMap;

const MODULES: [(&str, &str); 5] = [
    ("moonfork", include_str!("../../host/lib.rs")),
    ("diagnostics", include_str!("../../host/diagnostics/mod.rs")),
    ("plugin", include_str!("../../host/plugin/mod.rs")),
    ("testing", include_str!("../../host/testing.rs")),
    ("workflow", include_str!("../../host/workflow/mod.rs")),
];

/// What a module's source makes public by `pub use`.
fn names(source: &str) -> Vec<&str> {
    let uses = source.split("\npub use ").skip(1);
    let paths = uses.filter_map(|rest| rest.split_once(';'));
    let names = paths.flat_map(|(path, _)| match path.split_once('{') {
        Some((_, list)) => list.trim_end_matches('}').split(',').collect(),
        None => vec![path.rsplit("::").next().unwrap_or(path)],
    });
    names
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn no_name_is_there_twice() {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (module, source) in MODULES {
        let names = names(source);
        assert!(!names.is_empty(), "nothing is found in {module}");
        for name in names {
            all.entry(name).or_default().push(module);
        }
    }
    all.retain(|_, modules| modules.len() > 1);
    assert!(all.is_empty(), "in several modules: {all:?}");
}
