//! The table in `README.md`: it lists every file, and every line of it has one.

use std::collections::BTreeSet;
use std::path::Path;

/// The text as it was when the tests were compiled. The list of files is as old: a file that is
/// added has to be added here, which compiles the tests again.
const README: &str = include_str!("../../workflows/README.md");

/// The names of all files, sorted.
fn names() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workflows");
    std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// The names in backticks in the last cell of each row that is about the contract.
fn rows() -> Vec<(String, Vec<String>)> {
    let (_, table) = README
        .split_once("## What covers what")
        .expect("the table has a heading");
    let cells = |line: &str| -> Option<(String, Vec<String>)> {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let (clause, files) = line.rsplit_once(" | ")?;
        if clause.starts_with("---") || files == "files" {
            return None;
        }
        let files = files.split('`').filter(|name| !name.trim().is_empty());
        Some((clause.to_owned(), files.map(str::to_owned).collect()))
    };
    table.lines().filter_map(cells).collect()
}

#[test]
fn every_line_of_the_table_has_a_file_and_every_file_a_line() {
    let rows = rows();
    assert!(rows.len() > 50, "the table was not found: {}", rows.len());
    for (clause, files) in &rows {
        assert!(!files.is_empty(), "no file for {clause:?}");
    }
    let listed: BTreeSet<_> = rows.into_iter().flat_map(|(_, files)| files).collect();
    assert_eq!(listed, names());
}
