//! `docs/workflows.md`: all its examples are files that can be run, and print what it shows.

use std::path::Path;
use std::process::Command;

use crate::command::{Folder, moonfork, run};
use crate::markdown::{assert_fits, blocks};

const PAGE: &str = include_str!("../../docs/workflows.md");

/// The name that an example has in its first line, behind the sign of a comment.
fn name<'t>(language: &str, text: &'t str) -> &'t str {
    let sign = if language == "lua" { "-- " } else { "# " };
    let first = text.lines().next().and_then(|line| line.strip_prefix(sign));
    first.unwrap_or_else(|| panic!("an example has no name:\n{text}"))
}

/// What a command prints: its result, then what goes to standard error.
fn printed(folder: &Folder, line: &str) -> String {
    let binary = moonfork();
    let place = Path::new(binary.get_program()).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(place.to_owned()).chain(std::env::split_paths(&path));
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(folder.path(""))
        .env("PATH", std::env::join_paths(paths).unwrap());
    for (name, value) in binary.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let ran = run(&mut command);
    let code = match ran.code {
        Some(0) => String::new(),
        code => format!("(exit code {})\n", code.unwrap_or(-1)),
    };
    ran.stdout + &ran.stderr + &code
}

#[test]
fn every_example_is_run_and_prints_what_is_shown() {
    let blocks = blocks(PAGE);
    let folder = Folder::new();
    let commands = blocks.iter().filter(|(language, _)| *language == "sh");
    let commands: Vec<_> = commands.flat_map(|(_, text)| text.lines()).collect();
    for (language, text) in blocks.iter().filter(|it| ["yaml", "lua"].contains(&it.0)) {
        let path = folder.path(name(language, text));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let mut compared = 0;
    let mut followed = blocks.iter().peekable();
    while let Some((language, text)) = followed.next() {
        match *language {
            "yaml" => {
                // What no command of the page runs has no mistake, and comes to its end.
                let name = name(language, text);
                if !commands.iter().any(|line| line.contains(name)) {
                    let printed = printed(&folder, &format!("moonfork run {name}"));
                    assert!(printed.starts_with('{'), "{name}: {printed}");
                    assert!(!printed.contains("(exit code"), "{name}: {printed}");
                }
            }
            "sh" => {
                let printed: String = text.lines().map(|line| printed(&folder, line)).collect();
                match followed.peek() {
                    Some(("text", shown)) => {
                        assert_fits(text, shown, &printed);
                        compared += 1;
                    }
                    _ => assert!(!printed.contains("(exit code"), "{text}: {printed}"),
                }
            }
            "lua" | "text" => {}
            other => panic!("say here what becomes of a block of {other}"),
        }
    }
    let texts = blocks.iter().filter(|(language, _)| *language == "text");
    assert_eq!(compared, texts.count(), "a text is no output of a command");
    assert!(compared > 0, "it shows no output");
}
