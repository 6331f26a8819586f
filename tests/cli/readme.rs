//! README.md shows what its commands print: every block of commands that is followed by a block of
//! text is run here, and compared with it. `...` stands for anything in a line, and for any number
//! of lines where it is one.

use std::path::Path;
use std::process::Command;

use crate::command::{moonfork, run};

#[expect(dead_code, reason = "what it prints is asked for as text")]
#[path = "../../examples/plugin_host.rs"]
mod plugin_host;

const README: &str = include_str!("../../README.md");

/// The blocks of a text in Markdown: the language, and what is in it.
fn blocks(text: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let inside: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((language, inside.join("\n")));
        }
    }
    blocks
}

/// What the commands of a block print, one after the other.
fn printed(commands: &str) -> String {
    let mut printed = String::new();
    for command in commands.lines() {
        if let Some(args) = command.strip_prefix("cargo run -- ") {
            let ran = run(&mut by_a_shell(args));
            assert_eq!(ran.code, Some(0), "{command}: {ran:?}");
            printed += &ran.stdout;
        } else if command == "cargo run --example plugin_host" {
            printed += &plugin_host::tale().expect("it fails where it says so alone");
        } else {
            panic!("README.md shows what `{command}` prints: say here how it is run");
        }
    }
    printed
}

/// The binary with the arguments that a shell makes of this.
fn by_a_shell(args: &str) -> Command {
    let binary = moonfork();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("exec \"$0\" {args}"))
        .arg(binary.get_program())
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, value) in binary.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

/// Whether `line` is what `shown` says.
fn line_fits(shown: &str, line: &str) -> bool {
    match shown.split_once("...") {
        None => shown == line,
        Some((before, after)) => line.strip_prefix(before).is_some_and(|rest| {
            let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.any(|at| line_fits(after, &rest[at..]))
        }),
    }
}

/// Whether `lines` are what `shown` says.
fn fits(shown: &[&str], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        [first, rest @ ..] if first.trim() == "..." => {
            (0..=lines.len()).any(|from| fits(rest, &lines[from..]))
        }
        [first, rest @ ..] => match lines {
            [line, lines @ ..] => line_fits(first, line) && fits(rest, lines),
            [] => false,
        },
    }
}

#[test]
fn what_is_shown_is_what_is_printed() {
    let blocks = blocks(README);
    let mut compared = 0;
    for [(language, commands), (next, shown)] in blocks.array_windows() {
        if (*language, *next) == ("sh", "text") {
            let printed = printed(commands);
            let lines: Vec<_> = printed.lines().collect();
            assert!(
                fits(&shown.lines().collect::<Vec<_>>(), &lines),
                "README.md shows another output of `{commands}` than\n{printed}"
            );
            compared += 1;
        }
    }
    let texts = blocks.iter().filter(|(language, _)| *language == "text");
    assert_eq!(compared, texts.count(), "a text is no output of a command");
    assert!(compared > 0, "README.md shows no output");
}

#[test]
fn paths_that_it_names_are_there() {
    let links = README
        .split("](")
        .skip(1)
        .filter_map(|it| it.split_once(')'));
    for (target, _) in links.filter(|(target, _)| !target.starts_with("http")) {
        let (path, _) = target.split_once('#').unwrap_or((target, ""));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        assert!(path.exists(), "README.md leads to {target}");
    }
}

#[test]
fn other_outputs_do_not_fit() {
    let fit = |shown: &str, printed: &str| {
        let split = |text: &str| -> Vec<String> { text.split('|').map(str::to_owned).collect() };
        let (shown, printed) = (split(shown), split(printed));
        let shown: Vec<_> = shown.iter().map(String::as_str).collect();
        let printed: Vec<_> = printed.iter().map(String::as_str).collect();
        fits(&shown, &printed)
    };
    assert!(fit("a|b", "a|b") && fit("a|...|d", "a|b|c|d") && fit("a|  ...|b", "a|b"));
    assert!(fit("n: ...,|b", "n: 12,|b") && fit("...", "a|b"));
    assert!(!fit("a|b", "a") && !fit("a", "a|b") && !fit("a|...|d", "a|b|c"));
    assert!(!fit("n: ...,", "n: 12") && !fit("n: ...,", "m: 12,") && !fit("a", "b"));
}
