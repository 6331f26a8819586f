//! The table in `README.md`: it lists every file, and every line of it has one.

use std::collections::BTreeSet;

/// The names in backticks in the last cell of each row that is about the contract.
fn rows() -> Vec<(String, Vec<String>)> {
    let path = super::folder().join("README.md");
    let text = std::fs::read_to_string(path).expect("the table is there");
    let (_, table) = text
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
    let there: BTreeSet<_> = super::names().into_iter().collect();
    assert_eq!(listed, there);
}
