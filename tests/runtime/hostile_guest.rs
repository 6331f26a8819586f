//! The host trusts nothing that comes out of the guest: these modules are written by an
//! attacker who has taken the sandbox over, and none of them gets further than an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moonfork::testing::Inspect;
use moonfork::{Error, Pool, PoolBuilder};
use rstest::rstest;
use serde_json::Value;

use crate::common;

/// What a sound module has, for an attack to replace a part of.
struct Module {
    imports: &'static str,
    alloc: String,
    call: String,
    data: String,
}

impl Default for Module {
    fn default() -> Module {
        Module {
            imports: "",
            alloc: "(i32.const 1024)".into(),
            call: answer(4096, 2),
            // Status 0, then null.
            data: "\\00\\c0".into(),
        }
    }
}

/// A pointer and a length, packed.
fn answer(ptr: u32, len: u32) -> String {
    format!("(i64.const {})", i64::from(len) | (i64::from(ptr) << 32))
}

impl Module {
    fn pool(&self) -> Pool {
        pool(&self.text()).unwrap()
    }

    fn text(&self) -> String {
        let Module {
            imports,
            alloc,
            call,
            data,
        } = self;
        format!(
            "(module
                (import \"moonfork\" \"print\" (func $print (param i32 i32)))
                (import \"moonfork\" \"host_call\" (func $host_call (param i32 i32 i32) (result i64)))
                (import \"moonfork\" \"host_take\" (func $host_take (param i32)))
                (import \"moonfork\" \"panicked\" (func $panicked (param i32 i32)))
                {imports}
                (memory (export \"memory\") 16)
                (data (i32.const 2048) \"\\00\\c0\")
                (data (i32.const 4096) \"{data}\")
                (func (export \"moonfork_alloc\") (param i32) (result i32) {alloc})
                (func $call (export \"moonfork_call\") (param i32 i32 i64 i32) (result i64)
                    (local $at i32) (local $found i32)
                    ;; The highest bit says that a seed comes along.
                    (local.set 0 (i32.and (local.get 0) (i32.const 0x7fff_ffff)))
                    ;; Operation 0 tells a fresh instance its settings: there is nothing to say.
                    (if (i32.eqz (local.get 0)) (then (return {})))
                    {call}))",
            answer(2048, 2)
        )
    }

    fn error(&self) -> Error {
        let pool = self.pool();
        let mut branch = pool.branch().unwrap();
        let error = branch.eval::<Value>("1").unwrap_err();
        if error.ends_instance() {
            assert_eq!(pool.live_count(), 0);
        }
        error
    }
}

fn pool(text: &str) -> moonfork::Result<Pool> {
    builder(text).build()
}

fn builder(text: &str) -> PoolBuilder {
    common::builder()
        .guest(wat::parse_str(text).unwrap())
        .memory(8 << 20)
        .max_branches(1)
        .grants(moonfork::Grants::none().all_functions())
        .function("identity", |(x,): (Value,)| Ok(x))
        .function("large", |()| Ok("x".repeat(1000)))
}

#[test]
fn a_module_that_keeps_to_the_convention_is_heard() {
    let pool = Module::default().pool();
    assert_eq!(
        pool.branch().unwrap().eval::<Value>("1").unwrap(),
        Value::Null
    );
}

/// What is asked for bytecode is asked in an instance that nobody else has.
#[rstest]
#[case::traps("unreachable")]
#[case::never_ends("(loop $again (br $again)) unreachable")]
#[case::outside_of_its_memory("(return (i64.const 0x7fff_ffff_0000_ffff))")]
#[case::more_than_there_may_be("(return (i64.const 0x1000_000f_0000))")]
fn a_compiler_that_misbehaves_harms_no_run(#[case] compile: &str) {
    let pool = Module {
        call: format!(
            "(if (i32.eq (local.get 0) (i32.const 5)) (then {compile})) {}",
            answer(4096, 2)
        ),
        ..Module::default()
    }
    .pool();
    for _ in 0..4 {
        let mut branch = pool.branch().unwrap();
        assert_eq!(branch.eval::<Value>("1").unwrap(), Value::Null);
        assert!(branch.is_live());
    }
    assert_eq!(moonfork::testing::compiled_chunks(&pool), 0);
}

#[rstest]
#[case::past_the_end("(i32.const 1048576)")]
#[case::at_the_end("(i32.const 1048575)")]
#[case::negative("(i32.const -1)")]
fn a_request_buffer_outside_of_the_memory(#[case] alloc: &str) {
    let alloc = alloc.to_owned();
    let error = Module {
        alloc,
        ..Module::default()
    }
    .error();
    assert!(error.is_internal() && error.ends_instance(), "{error}");
}

#[rstest]
#[case::past_the_end(answer(1 << 20, 1))]
#[case::over_the_end(answer((1 << 20) - 1, 2))]
#[case::wrapping_around(answer(u32::MAX, u32::MAX))]
#[case::longer_than_all_memory(answer(0, u32::MAX))]
#[case::nothing(answer(4096, 0))]
#[case::unknown_status(answer(4097, 1))]
#[case::failure_without_words(answer(8192, 1))]
fn an_answer_that_is_none(#[case] call: String) {
    let data = "\\00\\c0".into();
    let error = Module {
        call,
        data,
        ..Module::default()
    }
    .error();
    assert!(error.is_internal() && error.ends_instance(), "{error}");
}

#[rstest]
#[case::nothing("")]
#[case::unfinished_text("\\db\\ff\\ff\\ff\\ffabc")]
#[case::unfinished_array("\\dd\\ff\\ff\\ff\\ff\\c0")]
#[case::unfinished_map("\\df\\ff\\ff\\ff\\ff\\c0")]
#[case::no_value("\\c1")]
#[case::an_extension("\\d4\\01\\00")]
fn a_value_that_is_none(#[case] bytes: &str) {
    let data = format!("\\00{bytes}");
    let len = u32::try_from(wat_len(&data)).unwrap();
    let error = Module {
        call: answer(4096, len),
        data,
        ..Module::default()
    }
    .error();
    assert!(error.is_internal() && error.ends_instance(), "{error}");
}

fn wat_len(data: &str) -> usize {
    let escapes = data.matches('\\').count();
    data.len() - 2 * escapes
}

#[test]
fn a_value_nested_a_hundred_thousand_times_does_not_use_up_the_stack() {
    let data = format!("\\00{}", "\\91".repeat(100_000));
    let module = Module {
        call: answer(4096, 100_001),
        data,
        ..Module::default()
    };
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    let error = thread
        .spawn(move || module.error())
        .unwrap()
        .join()
        .unwrap();
    assert!(
        error.is_internal() && error.to_string().contains("depth"),
        "{error}"
    );
}

#[rstest]
#[case::print("(call $print (i32.const -1) (i32.const 1))")]
#[case::print_all("(call $print (i32.const 1) (i32.const -1))")]
#[case::arguments("(drop (call $host_call (i32.const 0) (i32.const -4) (i32.const 8)))")]
#[case::no_such_function("(drop (call $host_call (i32.const 99) (i32.const 0) (i32.const 0)))")]
#[case::result(
    "(drop (call $host_call (i32.const 1) (i32.const 4095) (i32.const 1))) (call $host_take (i32.const 1048570))"
)]
#[case::panic("(call $panicked (i32.const 4096) (i32.const 2))")]
#[case::panic_without_words("(call $panicked (i32.const -1) (i32.const 2))")]
#[case::unreachable("(unreachable)")]
#[case::endless_recursion(
    "(drop (call $call (i32.const 1) (i32.const 0) (i64.const 0) (i32.const 0)))"
)]
fn an_import_called_with_anything(#[case] attack: &str) {
    let call = format!("{attack} {}", answer(4096, 2));
    // An empty array of arguments, where `result` looks for it.
    let alloc = "(i32.store8 (i32.const 4095) (i32.const 0x90)) (i32.const 1024)".into();
    let error = Module {
        call,
        alloc,
        ..Module::default()
    }
    .error();
    assert!(error.is_internal() && error.ends_instance(), "{error}");
}

#[test]
fn a_result_that_was_never_there_is_nothing() {
    let call = format!("(call $host_take (i32.const 4096)) {}", answer(4096, 2));
    let pool = Module {
        call,
        ..Module::default()
    }
    .pool();
    assert_eq!(
        pool.branch().unwrap().eval::<Value>("1").unwrap(),
        Value::Null
    );
}

#[test]
fn memory_without_end_is_refused_to_it() {
    let call = format!(
        "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) \
         (if (i32.gt_u (memory.size) (i32.const 128)) (then unreachable)) {}",
        answer(4096, 2)
    );
    let pool = Module {
        call,
        ..Module::default()
    }
    .pool();
    assert_eq!(
        pool.branch().unwrap().eval::<Value>("1").unwrap(),
        Value::Null
    );
}

#[rstest]
#[case::in_the_call("", "(loop $more (br $more))")]
#[case::in_the_allocator("(loop $more (br $more))", "")]
fn time_without_end_is_refused_to_it(#[case] alloc: &str, #[case] call: &str) {
    let sound = Module::default();
    let module = Module {
        alloc: format!("{alloc} {}", sound.alloc),
        call: format!("{call} {}", sound.call),
        ..sound
    };
    let pool = builder(&module.text())
        .wall(Duration::from_millis(100))
        .build()
        .unwrap();
    let error = pool.branch().unwrap().eval::<Value>("1").unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

/// Whatever an instance wrote, and however much of it stays mapped: the one that has its slot
/// next finds every byte as it was.
#[rstest]
#[case::a_page(1)]
#[case::what_stays_mapped(16)]
#[case::all_there_is(100)]
fn nothing_of_an_ended_instance_is_seen_in_its_slot(#[case] pages: u32) {
    // Answers how many bytes behind the request and the answer are not zero, at most 127, and
    // then writes over all of them.
    let call = format!(
        "(drop (memory.grow (i32.const {grown})))
         (local.set $at (i32.const 8192))
         (loop $next
            (if (i32.load8_u (local.get $at)) (then
                (local.set $found (i32.add (local.get $found) (i32.const 1)))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $at) (i32.const {bytes}))))
         (memory.fill (i32.const 8192) (i32.const 0xaa) (i32.sub (i32.const {bytes}) (i32.const 8192)))
         (i32.store8 (i32.const 4097)
            (select (i32.const 127) (local.get $found) (i32.gt_u (local.get $found) (i32.const 127))))
         {}",
        answer(4096, 2),
        grown = pages.saturating_sub(16),
        bytes = pages << 16,
    );
    let pool = Module {
        call,
        data: String::new(),
        ..Module::default()
    }
    .pool();
    let mut bases = Vec::new();
    for _ in 0..3 {
        let mut branch = pool.branch().unwrap();
        bases.push(branch.memory_base().unwrap());
        assert_eq!(
            branch.eval::<u32>("1").unwrap(),
            0,
            "bytes that were written before"
        );
        assert_eq!(
            branch.eval::<u32>("1").unwrap(),
            127,
            "the second look finds its own"
        );
    }
    assert_eq!(bases, [bases[0]; 3], "the slot was not used again");
}

/// What is left of WASI answers, and gives nothing.
#[test]
fn wasi_grants_nothing() {
    let pool = Module {
        imports: "(import \"wasi_snapshot_preview1\" \"path_open\" (func $open
                    (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
                  (import \"wasi_snapshot_preview1\" \"clock_time_get\" (func $clock
                    (param i32 i64 i32) (result i32)))
                  (import \"wasi_snapshot_preview1\" \"environ_sizes_get\" (func $environ
                    (param i32 i32) (result i32)))",
        // Answers the sum of: 1 if a file opened, 2 if it is later than 1970, 4 if there is
        // an environment.
        call: format!(
            "(i32.store8 (i32.const 4097) (i32.or (i32.or
                (i32.eqz (call $open (i32.const 3) (i32.const 0) (i32.const 4096) (i32.const 1)
                    (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 64)))
                (i32.shl (i32.or (call $clock (i32.const 0) (i64.const 0) (i32.const 64))
                    (i64.ne (i64.load (i32.const 64)) (i64.const 0))) (i32.const 1)))
                (i32.shl (i32.eqz (call $environ (i32.const 64) (i32.const 72))) (i32.const 2))))
             {}",
            answer(4096, 2)
        ),
        ..Module::default()
    }
    .pool();
    assert_eq!(pool.branch().unwrap().eval::<i64>("1").unwrap(), 0);
}

#[rstest]
#[case::no_memory("(module)", "exports no memory")]
#[case::no_functions(
    "(module (memory (export \"memory\") 16))",
    "exports no 'moonfork_alloc'"
)]
#[case::an_import_of_its_own(
    "(module (import \"env\" \"system\" (func (param i32))) (memory (export \"memory\") 16))",
    "imports 'system' from 'env'"
)]
#[case::too_small(
    "(module (memory (export \"memory\") 1) (func (export \"moonfork_alloc\")) (func (export \"moonfork_call\")))",
    "starts so small"
)]
fn a_module_that_does_not_fit_is_refused(#[case] text: &str, #[case] message: &str) {
    let error = pool(text).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn exports_of_other_types_are_refused() {
    let text = "(module (memory (export \"memory\") 16)
        (func (export \"moonfork_alloc\")) (func (export \"moonfork_call\")))";
    let error = pool(text).unwrap().branch().unwrap_err();
    assert!(error.is_internal(), "{error}");
}

/// A module that is to be stopped, and what it does with the exports it is asked through.
fn interrupted(interrupt: &str, site: &str, stack_pointer: &str) -> Result<Value, Error> {
    let sound = Module {
        imports:
            "(import \"moonfork\" \"stopped\" (func $stopped (param i32 i32)))
            (import \"moonfork\" \"host_ask\" (func $ask (param i32 i32 i32 i32 i32) (result i64)))",
        call: format!("(loop $more (br $more)) {}", answer(4096, 2)),
        ..Module::default()
    };
    let text = sound.text();
    let text = format!(
        "{}
            {stack_pointer}
            (func $interrupt (export \"moonfork_interrupt\") (result i32) {interrupt})
            (func (export \"moonfork_site\") (result i64) {site}))",
        text.strip_suffix(')').unwrap()
    );
    let called = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&called);
    let pool = builder(&text)
        .wall(Duration::from_millis(100))
        .function("note", move |()| {
            note.store(true, Ordering::Relaxed);
            Ok(())
        })
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    let result = branch.eval::<Value>("1");
    assert_eq!(pool.live_count(), 0);
    assert!(
        !called.load(Ordering::Relaxed),
        "it called a function after it was stopped"
    );
    let printed = branch.take_report().output_bytes;
    assert!(printed <= 1, "it was asked, or went on, {printed} times");
    result
}

const SOUND_POINTER: &str = "(global (export \"__stack_pointer\") (mut i32) (i32.const 65536))";

#[rstest]
#[case::loops("(call $print (i32.const 0) (i32.const 1)) (loop $more (br $more)) (i32.const 1)")]
#[case::traps("unreachable")]
#[case::recurses("(call $interrupt)")]
#[case::says_no("(i32.const 0)")]
#[case::lies("(i32.const 1)")]
#[case::grows("(drop (memory.grow (i32.const 1000))) (i32.const 1)")]
#[case::says_where("(call $stopped (i32.const 4096) (i32.const 2)) (i32.const 1)")]
#[case::says_where_outside("(call $stopped (i32.const -1) (i32.const 9)) (i32.const 1)")]
#[case::starts_over(
    "(drop (call $call (i32.const 1) (i32.const 0) (i64.const 0) (i32.const 0))) (i32.const 1)"
)]
fn it_is_asked_to_stop_and(#[case] interrupt: &str) {
    let error = interrupted(interrupt, "(i64.const 0)", SOUND_POINTER).unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[rstest]
#[case::loops("(loop $more (br $more)) (i64.const 0)")]
#[case::traps("unreachable")]
#[case::points_outside("(i64.const -1)")]
#[case::calls_a_host_function(
    "(i32.store8 (i32.const 64) (i32.const 0x90)) (drop (call $host_call (i32.const 2) (i32.const 64) (i32.const 1))) (i64.const 0)"
)]
#[case::asks(
    "(drop (call $ask (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))) (i64.const 0)"
)]
#[case::prints("(call $print (i32.const 0) (i32.const 100)) (i64.const 0)")]
#[case::grows("(drop (memory.grow (i32.const 1000))) (i64.const 0)")]
fn it_is_asked_where_it_was_and(#[case] site: &str) {
    let error = interrupted("(i32.const 0)", site, SOUND_POINTER).unwrap_err();
    assert!(error.is_timeout() && error.site().is_none(), "{error}");
}

#[rstest]
#[case::immutable("(global (export \"__stack_pointer\") i32 (i32.const 65536))")]
#[case::of_another_type("(global (export \"__stack_pointer\") (mut i64) (i64.const 65536))")]
#[case::a_function("(func (export \"__stack_pointer\"))")]
#[case::at_the_end("(global (export \"__stack_pointer\") (mut i32) (i32.const -2147483648))")]
fn its_stack_pointer_is(#[case] stack_pointer: &str) {
    let error = interrupted("(i32.const 1)", "(i64.const 0)", stack_pointer).unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn saying_where_it_was_without_being_asked_does_nothing() {
    let call = format!(
        "(call $stopped (i32.const 4096) (i32.const 2)) {}",
        answer(4096, 2)
    );
    let pool = Module {
        imports: "(import \"moonfork\" \"stopped\" (func $stopped (param i32 i32)))",
        call,
        ..Module::default()
    }
    .pool();
    let result = pool.branch().unwrap().eval::<Value>("1");
    assert_eq!(result.unwrap(), Value::Null);
}

#[test]
fn time_without_end_is_refused_to_it_before_its_first_call() {
    let sound = Module::default().text();
    let text = format!(
        "{} (func $start (loop $more (br $more))) (start $start))",
        sound.strip_suffix(')').unwrap()
    );
    let pool = builder(&text)
        .wall(Duration::from_millis(100))
        .build()
        .unwrap();
    let error = pool.branch().unwrap_err();
    assert!(error.is_internal(), "{error}");
    assert_eq!(pool.live_count(), 0);
}
