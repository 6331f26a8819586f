//! Every file of `tests/workflows/`: a small workflow, and under `x-case` what is to come of it.
//! `README.md` there says what the keys of `x-case` mean, and which file covers which line of
//! the contract.

mod case;
mod functions;
mod matching;
mod table;

use std::path::PathBuf;

use case::Case;

/// The folder.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/workflows")
}

/// The names of all cases, sorted.
fn names() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_file_does_what_it_says() {
    let mut failed = Vec::new();
    for name in names() {
        if let Err(why) = Case::load(&name).check() {
            failed.push(format!("{name}: {why}"));
        }
    }
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

#[test]
fn there_are_enough_of_them() {
    assert!(names().len() >= 80);
}
