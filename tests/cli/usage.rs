//! Mistakes on the command line: exit code 2, and nothing on standard output.

use rstest::rstest;

use crate::command::{moonfork, run};

#[rstest]
#[case::nothing(&[], &["Usage"])]
#[case::unknown_command(&["walk"], &["unrecognized subcommand 'walk'"])]
#[case::unknown_flag(&["run", "w.yaml", "--wal", "1s"], &["--wal", "--wall"])]
#[case::no_file(&["run"], &["<FILE>"])]
#[case::no_code(&["eval"], &["<CODE|@FILE>"])]
#[case::no_duration(&["eval", "1", "--wall", "fast"], &["--wall", "write it as in 300ms"])]
#[case::no_time(&["eval", "1", "--wall", "0s"], &["--wall", "nothing could run in no time"])]
#[case::no_size(&["eval", "1", "--memory", "much"], &["--memory", "write it as in 16MiB"])]
#[case::too_little_memory(&["eval", "1", "--memory", "1KiB"], &["--memory", "between 4MiB and 4GiB"])]
#[case::no_workers(&["run", "w.yaml", "--max-workers", "0"], &["--max-workers"])]
#[case::bad_json(&["eval", "1", "-i", "{bad"], &["--input", "1:2: not JSON: key must be a string"])]
#[case::no_input(&["eval", "1", "-i", "text"], &["--input", "1:2: not JSON", "KEY=TEXT, KEY:=JSON"])]
fn mistakes(#[case] args: &[&str], #[case] said: &[&str]) {
    run(moonfork().args(args)).assert_failed(2, said);
}

#[rstest]
#[case(&["--help"], "Exit codes")]
#[case(&["run", "--help"], "KEY:=@FILE")]
#[case(&["--version"], env!("CARGO_PKG_VERSION"))]
fn what_is_asked_for_is_no_mistake(#[case] args: &[&str], #[case] said: &str) {
    let ran = run(moonfork().args(args));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(said), "{ran:?}");
}
