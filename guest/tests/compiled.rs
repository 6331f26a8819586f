//! Chunks compiled in one machine and run in another.

mod common;

use common::{Machine, framed};
use moonfork_guest::wire::{Bytecode, Chunk, Failure, FailureKind, HeldChunk, Op};
use rstest::rstest;
use serde_json::{Value, json};

fn chunk(code: &str) -> Chunk<'_> {
    common::chunk("test", code, true)
}

/// Compiles `code` in a machine of its own.
fn compile(code: &str, state: Option<&Value>) -> Result<Vec<u8>, Failure> {
    let request = framed(&chunk(code), state.map(|_| &()));
    Machine::new().bytes(Op::Compile as u32, &request)
}

#[rstest]
#[case::expression("1 + 1", None)]
#[case::chunk("local t = {a = {1, 2}} return t", None)]
#[case::state("local sum = 0 for _, v in ipairs(state) do sum = sum + v end return sum", Some(json!([1, 2, 3])))]
#[case::closures(
    "local n = 0 local function next() n = n + 1 return n end next() return next()",
    None
)]
#[case::error("\n\nlocal function f() error('boom') end\nf()", None)]
#[case::names("local config = {} return config.a.b", None)]
fn bytecode_does_what_its_text_does(#[case] code: &str, #[case] state: Option<Value>) {
    let from_text = Machine::new().eval_with(code, state.as_ref());
    let bytecode = compile(code, state.as_ref()).unwrap();
    let compiled = Machine::new().request(Op::Run, &Bytecode(&bytecode), state.as_ref());
    assert_eq!(compiled, from_text);
}

#[test]
fn compiling_runs_nothing() {
    let request = framed::<()>(&chunk("ran = true"), None);
    let mut machine = Machine::new();
    machine.bytes(Op::Compile as u32, &request).unwrap();
    assert_eq!(machine.eval("ran == nil").unwrap(), json!(true));
}

#[test]
fn what_does_not_parse_does_not_compile() {
    let failure = compile("local x =\n= 1", None).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Syntax);
    assert!(failure.message.starts_with("test:2: "), "{failure:?}");
}

#[rstest]
#[case::text(b"return 1")]
#[case::nothing(b"")]
#[case::another_version(b"\x1bLuaS\0\x19\x93\r\n\x1a\n")]
#[case::cut_off(b"\x1bLua")]
fn what_is_no_bytecode_is_not_run(#[case] bytes: &[u8]) {
    let mut machine = Machine::new();
    let failure = machine
        .request::<()>(Op::Run, &Bytecode(bytes), None)
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Request, "{failure:?}");
    let failure = machine
        .request::<()>(Op::Hold, &Bytecode(bytes), None)
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Request, "{failure:?}");
    assert_eq!(machine.eval("1 + 1").unwrap(), json!(2), "it goes on");
}

/// Runs what `machine` holds.
fn run_held(machine: &mut Machine, held: HeldChunk, state: &Value) -> Result<Value, Failure> {
    machine.request(Op::RunHeld, &held, Some(state))
}

/// Has a machine hold what `code` compiles to.
fn hold(machine: &mut Machine, code: &str) -> HeldChunk {
    let bytecode = compile(code, Some(&Value::Null)).unwrap();
    let number = machine.request::<()>(Op::Hold, &Bytecode(&bytecode), None);
    HeldChunk(u32::try_from(number.unwrap().as_u64().unwrap()).unwrap())
}

#[rstest]
#[case::value("return state[1] + 1")]
#[case::globals("n = (n or state[1]) + 1 return n")]
#[case::closures(
    "local n = state[1] local function next() n = n + 1 return n end next() return next()"
)]
#[case::another_environment("_ENV = {n = state[1], was = n} return {n, was}")]
#[case::arguments("state = nil return state == nil")]
#[case::error("\n\nlocal function f() error('boom') end\nf()")]
#[case::names("local config = {} return config.a.b")]
fn what_is_held_does_the_same_each_time(#[case] code: &str) {
    let state = json!([1]);
    let mut machine = Machine::new();
    let mut other = Machine::new();
    // Another one before it, which is not this one.
    hold(&mut machine, "return 'another'");
    let held = hold(&mut machine, code);
    for _ in 0..3 {
        let from_text = other.eval_with(code, Some(&state));
        assert_eq!(run_held(&mut machine, held, &state), from_text);
    }
}

#[test]
fn what_is_not_held_is_not_run() {
    let mut machine = Machine::new();
    let held = hold(&mut machine, "return 1");
    for number in [held.0 + 1, u32::MAX] {
        let failure = run_held(&mut machine, HeldChunk(number), &Value::Null).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Request, "{failure:?}");
    }
    let request = framed::<()>(&Bytecode(b"12"), None);
    let failure = machine.raw(Op::RunHeld as u32, &request).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Request, "{failure:?}");
    assert_eq!(run_held(&mut machine, held, &Value::Null), Ok(json!(1)));
}
