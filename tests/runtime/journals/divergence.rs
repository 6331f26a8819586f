//! A changed script goes another way: which call of the host that is at, and where.

use moonfork::{Chunk, ErrorKind, Grants, HostError, Journal, ReplayEnd, ReplayOptions};
use rstest::rstest;

use super::{recording, replay_with, taken};
use crate::common;

const RECORDED: &str = "local a = get('one')\nlocal b = get('two')\nreturn a + b";

fn journal() -> Journal {
    let pool = common::builder()
        .max_branches(1)
        .function("get", |(name,): (String,)| Ok::<_, HostError>(name.len()))
        .build()
        .unwrap();
    let mut branch = pool
        .branch_with(&recording(Grants::none().function("get")))
        .unwrap();
    branch
        .eval::<u64>(Chunk::new(RECORDED).named("sum"))
        .unwrap();
    taken(&mut branch)
}

#[rstest]
#[case::another_argument(
    "local a = get('one')\n\nlocal b = get('three')\nreturn a + b",
    Some(3),
    Some("get(\"two\")"),
    Some("get(\"three\")"),
    2
)]
#[case::another_order(
    "get('two') get('one')",
    Some(1),
    Some("get(\"one\")"),
    Some("get(\"two\")"),
    1
)]
#[case::one_more(
    "get('one')\nget('two')\nget('three')",
    Some(3),
    None,
    Some("get(\"three\")"),
    3
)]
#[case::one_less("return get('one')", None, Some("get(\"two\")"), None, 2)]
#[case::in_a_protected_call(
    "return pcall(get, 'three')",
    Some(1),
    Some("get(\"one\")"),
    Some("get(\"three\")"),
    1
)]
fn it_says_where(
    #[case] script: &str,
    #[case] line: Option<u32>,
    #[case] was: Option<&str>,
    #[case] is: Option<&str>,
    #[case] number: usize,
) {
    let options = ReplayOptions::new().script(None, script);
    let replay = replay_with(&journal(), &options);
    let ReplayEnd::Diverged(error) = replay.end() else {
        panic!("{replay}");
    };
    assert!(error.is_diverged() && !error.is_script() && !replay.is_same());
    assert_eq!(error.code(), "diverged");
    let ErrorKind::Diverged {
        call,
        recorded,
        asked,
        at,
        ..
    } = error.kind()
    else {
        panic!("{error:?}");
    };
    assert_eq!(
        (recorded.as_deref(), asked.as_deref(), *call),
        (was, is, number)
    );
    let at = at
        .as_ref()
        .map(|site| (site.position.chunk.as_str(), site.position.line));
    assert_eq!(at, line.map(|line| ("sum", line)));
    let shown = replay.to_string();
    assert!(shown.contains(&error.to_string()), "{shown}");
}

#[test]
fn one_that_does_the_same_goes_the_same_way() {
    let script = "local t = {}\nfor _, name in ipairs {'one', 'two'} do t[#t + 1] = get(name) end\nreturn t[1] + t[2]";
    let replay = replay_with(
        &journal(),
        &ReplayOptions::new().script(Some("sum"), script),
    );
    assert!(replay.is_same(), "{replay}");
    assert!(
        replay.to_string().contains("sum:2: get(\"two\") -> 3"),
        "{replay}"
    );
}

#[test]
fn one_that_gives_something_else_is_said_to() {
    let script = "return get('one') * get('two')";
    let replay = replay_with(&journal(), &ReplayOptions::new().script(None, script));
    assert!(matches!(replay.end(), ReplayEnd::Done) && !replay.is_same());
    assert_eq!(replay.differences(), ["call 1: it had returned 6"]);
    let replay = replay_with(
        &journal(),
        &ReplayOptions::new().script(None, "print('x') get('one') get('two') error('no')"),
    );
    assert_eq!(
        replay.differences(),
        [
            "call 1: it had not failed",
            "call 1: the output is another one, from its line 1"
        ]
    );
}

#[test]
fn scripts_of_other_names_stay() {
    let options = ReplayOptions::new().script(Some("other"), "get('none')");
    let replay = replay_with(&journal(), &options);
    assert!(replay.is_same(), "{replay}");
}
