//! The lines of a chunk that is part of a file are the lines of that file.

use moonfork::{Chunk, Error, Pool};
use rstest::rstest;
use serde_json::Value;

use crate::common;

fn chunk(code: &str, line: u32) -> Chunk<'_> {
    Chunk::body(code).named("shop.yaml").first_line(line)
}

/// What a chunk fails with that begins in some line of a file.
#[track_caller]
fn failure(code: &str, line: u32) -> Error {
    let mut branch = common::pool().branch().unwrap();
    branch.eval::<Value>(chunk(code, line)).unwrap_err()
}

#[rstest]
#[case::runtime("local x\nx.y = 1", 8, 9)]
#[case::first_line("error('boom')", 8, 8)]
#[case::far_down("\n\nerror('boom')", 1_000_000, 1_000_002)]
#[case::syntax("local t = {\n1 2}", 8, 9)]
#[case::unfinished("if x then", 8, 8)]
#[case::as_ever("\nerror('boom')", 1, 2)]
#[case::no_line("\nerror('boom')", 0, 2)]
fn errors_have_the_line_of_the_file(#[case] code: &str, #[case] first: u32, #[case] line: u32) {
    let error = failure(code, first);
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("shop.yaml:{line}: ")),
        "{message}"
    );
    assert_eq!(error.position().unwrap().line, line);
}

#[test]
fn what_a_message_says_of_other_lines_is_of_the_file_too() {
    let message = failure("local t = {\n1\nreturn t", 20).to_string();
    assert!(message.contains("(to close '{' at line 20)"), "{message}");
}

#[test]
fn tracebacks_have_the_lines_of_the_file() {
    let code = "local function inner()\n  error('boom')\nend\nlocal function outer()\n  inner()\nend\nouter()";
    let error = failure(code, 11);
    let traceback = error.traceback().unwrap();
    for frame in [
        "shop.yaml:12: in",
        "shop.yaml:15: in",
        "shop.yaml:17: in main chunk",
    ] {
        assert!(traceback.contains(frame), "no {frame:?} in {traceback}");
    }
}

#[test]
fn expressions_have_them_as_well() {
    let mut branch = common::pool().branch().unwrap();
    let chunk = Chunk::new("nil + 1").named("shop.yaml").first_line(5);
    let message = branch.eval::<Value>(chunk).unwrap_err().to_string();
    assert!(message.starts_with("shop.yaml:5: "), "{message}");
}

#[test]
fn the_same_text_at_two_places_has_two_lines_however_often_it_is_run() {
    let pool: Pool = common::builder().build().unwrap();
    for _ in 0..4 {
        for line in [3, 300] {
            let mut branch = pool.branch().unwrap();
            let error = branch
                .eval::<Value>(chunk("error('boom')", line))
                .unwrap_err();
            assert_eq!(error.to_string(), format!("shop.yaml:{line}: boom"));
        }
    }
}

#[test]
fn texts_that_a_script_compiles_itself_begin_at_one() {
    let code = "\nlocal ok, message = pcall(load(\"error('boom')\", '=own'))\nreturn message";
    let mut branch = common::pool().branch().unwrap();
    let message: String = branch.eval(chunk(code, 500)).unwrap();
    assert_eq!(message, "own:1: boom");
    // Nor does a number last beyond the text that it was for.
    let error = branch.eval::<Value>("error('boom')").unwrap_err();
    assert_eq!(error.to_string(), "eval:1: boom");
}
