//! Where a process may not have much address space, as under `ulimit -v`, a pool reserves less
//! of it; where even that is not to be had, it says what to change.

use std::process::Command;

use serde_json::json;

use crate::command::{moonfork, run};

/// The binary under a limit of so many KiB.
fn limited(kibibytes: u64, args: &[&str]) -> Command {
    let binary = moonfork();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("ulimit -v {kibibytes} && exec \"$0\" \"$@\""))
        .arg(binary.get_program())
        .args(args);
    for (name, value) in binary.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

#[test]
fn with_little_address_space_it_reserves_less() {
    // Less than the 4 GiB that a memory takes where there is room.
    let ran = run(&mut limited(3 << 20, &["eval", "1 + 1"]));
    assert_eq!(ran.json(), json!(2));
}

#[test]
fn with_too_little_it_says_what_to_change() {
    let ran = run(&mut limited(
        3 << 20,
        &["eval", "--memory", "3GiB", "1 + 1"],
    ));
    ran.assert_failed(1, &["address space", "less memory", "ulimit -v"]);
}
