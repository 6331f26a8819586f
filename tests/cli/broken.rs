//! `moonfork validate` on the files of `tests/broken/`: every problem of a file in one go, each
//! with its place, none twice. What is expected stands at the end of each file.

use std::path::{Path, PathBuf};

use crate::command::{moonfork, run};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    files.sort();
    files
}

/// What a file says is wrong with it: `line:column CODE`, one a line.
fn expected(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("the file can be read");
    let (_, expected) = text.split_once("# expected:\n").expect("it says so");
    let lines = expected.lines();
    lines
        .map(|line| line.trim_start_matches("# ").to_owned())
        .collect()
}

#[test]
fn every_problem_is_found_in_one_go_with_its_place_and_once() {
    let files = files();
    assert!(files.len() >= 20);
    let mut wrong = Vec::new();
    for file in files {
        let ran = run(moonfork().arg("validate").arg(&file));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        let prefix = format!("{}:", file.display());
        let problems: Vec<_> = ran
            .stderr
            .lines()
            .filter(|line| !line.starts_with("  hint: "))
            .collect();
        let distinct: std::collections::HashSet<_> = problems.iter().collect();
        assert_eq!(
            distinct.len(),
            problems.len(),
            "one is there twice: {ran:?}"
        );
        let found: Vec<_> = problems
            .iter()
            .filter_map(|line| line.strip_prefix(&prefix))
            .filter_map(|line| line.split_once(" error ["))
            .filter_map(|(place, rest)| {
                Some((place.trim_end_matches(':'), rest.split_once(']')?.0))
            })
            .map(|(place, code)| format!("{place} {code}"))
            .collect();
        if found != expected(&file) {
            wrong.push(format!(
                "{}\nfound {found:#?}\n{}",
                file.display(),
                ran.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
