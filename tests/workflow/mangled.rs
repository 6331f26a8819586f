//! Files that are cut off, lack a line, or have a character too many: reading them ends with a
//! workflow or with problems, never in any other way.

use std::path::Path;

use moonfork::workflow::Workflow;

/// Every file of the conformance folder.
fn files() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workflows");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.extension().is_some_and(|it| it == "yaml") {
            files.push(std::fs::read_to_string(path).expect("it can be read"));
        }
    }
    files
}

/// Reads a file; what is wrong with it has to be said, and each problem once.
fn read(text: &str) {
    if let Err(error) = Workflow::parse(text, "w.yaml") {
        let problems: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
        assert!(!problems.is_empty());
        let distinct: std::collections::HashSet<_> = problems.iter().collect();
        assert_eq!(distinct.len(), problems.len(), "{problems:#?}\n{text}");
    }
}

#[test]
fn cut_off_anywhere() {
    for file in files() {
        let ends: Vec<_> = file.char_indices().map(|(at, _)| at).collect();
        for end in ends.into_iter().step_by(5) {
            read(&file[..end]);
        }
    }
}

#[test]
fn without_any_of_its_lines() {
    for file in files() {
        let lines: Vec<_> = file.lines().collect();
        for without in 0..lines.len() {
            let mut rest = lines.clone();
            rest.remove(without);
            read(&rest.join("\n"));
        }
    }
}

#[test]
fn with_a_character_in_the_wrong_place() {
    for file in files() {
        let places: Vec<_> = file.char_indices().map(|(at, _)| at).collect();
        for (turn, at) in places.into_iter().step_by(9).enumerate() {
            let intruder = [
                "{",
                "]",
                ":",
                "'",
                "*a",
                "&a ",
                "- ",
                "\n",
                "{{",
                "%",
                "\u{1F300}",
            ];
            let (before, after) = file.split_at(at);
            let intruder = intruder[turn % intruder.len()];
            read(&format!("{before}{intruder}{after}"));
        }
    }
}
