//! `moonfork validate` on the files of `tests/broken/`: every problem of a file in one go, each
//! with its place, none twice. What is expected stands at the end of each file.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rstest::rstest;

use crate::command::{moonfork, run};

/// What a file says is wrong with it: `line:column CODE`, one a line.
fn expected(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("the file can be read");
    let (_, expected) = text.split_once("# expected:\n").expect("it says so");
    let lines = expected.lines();
    lines
        .map(|line| line.trim_start_matches("# ").to_owned())
        .collect()
}

#[rstest]
fn every_problem_is_found_in_one_go_with_its_place_and_once(
    #[files("tests/broken/*.yaml")] file: PathBuf,
) {
    let ran = run(moonfork().arg("validate").arg(&file));
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
    let prefix = format!("{}:", file.display());
    let problems: Vec<_> = ran
        .stderr
        .lines()
        .filter(|line| !line.starts_with("  hint: "))
        .collect();
    let distinct: HashSet<_> = problems.iter().collect();
    assert_eq!(
        distinct.len(),
        problems.len(),
        "one is there twice: {ran:?}"
    );
    let found: Vec<_> = problems
        .iter()
        .filter_map(|line| line.strip_prefix(&prefix))
        .filter_map(|line| line.split_once(" error ["))
        .filter_map(|(place, rest)| Some((place.trim_end_matches(':'), rest.split_once(']')?.0)))
        .map(|(place, code)| format!("{place} {code}"))
        .collect();
    assert_eq!(found, expected(&file), "{}", ran.stderr);
}

/// The list of files is as old as the compiled tests: a file that is added is counted here, which
/// compiles them again.
#[test]
fn each_file_has_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let files = std::fs::read_dir(folder).expect("the folder is there");
    assert_eq!(files.count(), 22);
}
