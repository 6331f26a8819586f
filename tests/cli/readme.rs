//! README.md shows what its commands print: every block of commands that is followed by a block of
//! text is run here, and compared with it.

use std::path::Path;
use std::process::Command;

use crate::command::{moonfork, run};
use crate::markdown::{assert_fits, blocks};

#[expect(dead_code, reason = "what it prints is asked for as text")]
#[path = "../../examples/plugin_host.rs"]
mod plugin_host;

const README: &str = include_str!("../../README.md");

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

#[test]
fn what_is_shown_is_what_is_printed() {
    let blocks = blocks(README);
    let mut compared = 0;
    for [(language, commands), (next, shown)] in blocks.array_windows() {
        if (*language, *next) == ("sh", "text") {
            assert_fits(commands, shown, &printed(commands));
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
