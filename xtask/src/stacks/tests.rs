use rstest::rstest;
use wasmtime::{Engine, Instance, Memory, Store, TypedFunc};

use super::*;

const STACKS: Stacks = Stacks {
    small_end: 256,
    large_start: 4096,
    large_end: 6144,
};

/// What is on neither stack, and written to by no frame.
const CANARY: u8 = 0xa5;

/// `deep(n)` has a function called that has a frame of `size` bytes, writes `n` to all of it, calls
/// itself with one less and a leaf, and counts the frames that are as they were written.
fn module(size: i32) -> String {
    format!(
        "(module
  (memory (export \"memory\") 1)
  (global $pointer (export \"__stack_pointer\") (mut i32) (i32.const 256))
  (func (export \"deep\") (param $n i32) (result i32)
(local $frame i32)
global.get $pointer i32.const 16 i32.sub local.tee $frame global.set $pointer
(call $deep (local.get $n))
local.get $frame i32.const 16 i32.add global.set $pointer)
  (func $deep (param $n i32) (result i32)
(local $frame i32) (local $at i32) (local $right i32)
global.get $pointer i32.const {size} i32.sub local.tee $frame global.set $pointer
(local.set $at (local.get $frame))
(loop $fill
  (i32.store8 (local.get $at) (local.get $n))
  (local.set $at (i32.add (local.get $at) (i32.const 1)))
  (br_if $fill (i32.lt_u (local.get $at) (i32.add (local.get $frame) (i32.const {size})))))
(if (local.get $n) (then
  (local.set $right (i32.add
    (call $deep (i32.sub (local.get $n) (i32.const 1)))
    (call $leaf (local.get $n))))))
(local.set $at (local.get $frame))
(block $wrong
  (loop $read
    (br_if $wrong (i32.ne (i32.load8_u (local.get $at)) (local.get $n)))
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (br_if $read (i32.lt_u (local.get $at) (i32.add (local.get $frame) (i32.const {size})))))
  (local.set $right (i32.add (local.get $right) (i32.const 1))))
local.get $frame i32.const {size} i32.add global.set $pointer
local.get $right)
  ;; Never sets the pointer, as what calls nothing.
  (func $leaf (param $n i32) (result i32)
(local $frame i32)
global.get $pointer i32.const 16 i32.sub local.tee $frame
local.get $n
i32.store8
(i32.eq (i32.load8_u (local.get $frame)) (local.get $n)))
  ;; As what catches errors: puts back what was noted.
  (func (export \"caught\") (param $n i32) (result i32)
(local $noted i32)
global.get $pointer local.set $noted
(drop (call $deep (local.get $n)))
local.get $noted global.set $pointer
global.get $pointer i32.const 16 i32.sub local.tee $n))"
    )
}

struct Running {
    store: Store<()>,
    memory: Memory,
    deep: TypedFunc<i32, i32>,
    instance: Instance,
}

impl Running {
    fn new(wasm: &[u8]) -> Running {
        let engine = Engine::default();
        let module = wasmtime::Module::new(&engine, wasm).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        memory.data_mut(&mut store).fill(CANARY);
        let deep = instance.get_typed_func(&mut store, "deep").unwrap();
        Running {
            store,
            memory,
            deep,
            instance,
        }
    }

    fn deep(&mut self, n: i32) -> Option<i32> {
        self.deep.call(&mut self.store, n).ok()
    }

    fn pointer(&mut self) -> i32 {
        let pointer = self.instance.get_global(&mut self.store, POINTER);
        pointer.unwrap().get(&mut self.store).unwrap_i32()
    }

    /// Addresses off both stacks that something was written to.
    fn strayed(&self) -> Vec<usize> {
        let data = self.memory.data(&self.store);
        let on = |range: std::ops::Range<i32>, at: usize| {
            i32::try_from(at).is_ok_and(|at| range.contains(&at))
        };
        (0..data.len())
            .filter(|&at| {
                !on(LOWEST..STACKS.small_end, at)
                    && !on(STACKS.large_start..STACKS.large_end, at)
                    && data[at] != CANARY
            })
            .collect()
    }
}

/// Frames of `size` bytes that fit behind the first, of 16: from the small stack on to the large one,
/// and to its end.
fn frames(size: i32) -> i32 {
    let mut pointer = STACKS.small_end - 16;
    for count in 0.. {
        let on_small = pointer <= STACKS.small_end;
        pointer -= size;
        if on_small && pointer < LOWEST {
            pointer += STACKS.large_end - STACKS.small_end;
        } else if !on_small && pointer < STACKS.large_start {
            return count;
        }
    }
    unreachable!("it goes down")
}

#[rstest]
fn all_of_both_stacks_is_used_and_nothing_else(
    #[values(16, 32, 48, 80, 112, 240, 256, 272, 1008, 1776)] size: i32,
) {
    let wasm = split(&wat::parse_str(module(size)).unwrap(), STACKS).unwrap();
    let mut running = Running::new(&wasm);
    let most = frames(size) - 1;
    for n in 0..=most {
        // Twice: the second begins where the first did.
        for _ in 0..2 {
            assert_eq!(running.deep(n), Some(2 * n + 1), "nested {n} deep");
            assert_eq!(running.pointer(), STACKS.small_end);
        }
    }
    assert!(most >= 0);
    assert_eq!(running.deep(most + 1), None, "there is no room for it");
    assert_eq!(running.strayed(), [0; 0]);
}

#[test]
fn without_the_checks_it_ends_with_the_small_stack() {
    let wasm = wat::parse_str(module(48)).unwrap();
    let mut running = Running::new(&wasm);
    assert_eq!(running.deep(4), Some(9));
    assert_eq!(running.deep(5), None, "below zero is outside");
    let mut running = Running::new(&split(&wasm, STACKS).unwrap());
    assert_eq!(running.deep(5), Some(11));
}

#[test]
fn what_catches_errors_leads_back_to_the_small_stack() {
    let wasm = split(&wat::parse_str(module(48)).unwrap(), STACKS).unwrap();
    let mut running = Running::new(&wasm);
    let caught: TypedFunc<i32, i32> = running
        .instance
        .get_typed_func(&mut running.store, "caught")
        .unwrap();
    for _ in 0..3 {
        let frame = caught.call(&mut running.store, 30).unwrap();
        assert_eq!(frame, STACKS.small_end - 16);
    }
}

/// A module with one function, of `body`.
fn function(body: &str) -> Vec<u8> {
    let text = format!(
        "(module
  (global $pointer (export \"__stack_pointer\") (mut i32) (i32.const 256))
  (func $f (param $n i32) (local $frame i32) (local $other i32) {body}))"
    );
    wat::parse_str(text).unwrap()
}

#[rstest]
#[case::none("nop")]
#[case::frame(
    "global.get $pointer i32.const 16 i32.sub local.tee $frame global.set $pointer
     local.get $frame i32.const 16 i32.add global.set $pointer"
)]
#[case::of_a_leaf("global.get $pointer i32.const 16 i32.sub local.set $frame")]
#[case::two_ends(
    "global.get $pointer i32.const 16 i32.sub local.tee $frame global.set $pointer
     (if (local.get $n) (then local.get $frame i32.const 16 i32.add global.set $pointer return))
     local.get $frame i32.const 16 i32.add global.set $pointer"
)]
#[case::noted("global.get $pointer local.set $other local.get $other global.set $pointer")]
#[case::largest("global.get $pointer i32.const 1792 i32.sub local.set $frame")]
fn is_known(#[case] body: &str) {
    let wasm = split(&function(body), STACKS).unwrap();
    wasmparser::validate(&wasm).unwrap();
}

#[rstest]
#[case::of_unknown_size(
    "global.get $pointer local.get $n i32.sub local.tee $frame global.set $pointer"
)]
#[case::aligned(
    "global.get $pointer i32.const 16 i32.sub i32.const -32 i32.and local.tee $frame global.set $pointer"
)]
#[case::aligned_as_noted("global.get $pointer local.tee $other i32.const 16 i32.sub drop")]
#[case::grown(
    "global.get $pointer i32.const 16 i32.sub local.tee $frame global.set $pointer
     local.get $frame local.get $n i32.sub local.tee $frame global.set $pointer"
)]
#[case::second_frame(
    "global.get $pointer i32.const 16 i32.sub local.tee $frame global.set $pointer
     global.get $pointer i32.const 16 i32.sub local.tee $other global.set $pointer"
)]
#[case::too_large("global.get $pointer i32.const 1793 i32.sub local.set $frame")]
#[case::empty("global.get $pointer i32.const 0 i32.sub local.set $frame")]
#[case::upwards("global.get $pointer i32.const -16 i32.sub local.set $frame")]
#[case::added("global.get $pointer i32.const -16 i32.add local.tee $frame global.set $pointer")]
#[case::set_to_a_number("i32.const 256 global.set $pointer")]
#[case::set_to_an_argument("local.get $n global.set $pointer")]
#[case::ends_elsewhere(
    "global.get $pointer i32.const 16 i32.sub local.tee $frame global.set $pointer
     local.get $frame i32.const 32 i32.add global.set $pointer"
)]
#[case::ends_as_another(
    "global.get $pointer i32.const 16 i32.sub local.tee $frame global.set $pointer
     local.get $other i32.const 16 i32.add global.set $pointer"
)]
#[case::read("global.get $pointer drop")]
fn is_refused(#[case] body: &str) {
    let error = split(&function(body), STACKS).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.starts_with("function 0 of the module: it"), "{error}");
}

#[rstest]
#[case::no_pointer("(module)", "exports no stack pointer")]
#[case::another_global(
    "(module (global (export \"__stack_pointer\") (mut i32) (i32.const 256)) (global (mut i32) (i32.const 0)))",
    "other globals can change"
)]
#[case::imported(
    "(module (import \"a\" \"b\" (global $g (mut i32))) (export \"__stack_pointer\" (global $g)))",
    "a global is imported"
)]
fn a_module_is_refused(#[case] text: &str, #[case] expected: &str) {
    let error = split(&wat::parse_str(text).unwrap(), STACKS).unwrap_err();
    assert!(format!("{error:#}").contains(expected), "{error:#}");
}

#[rstest]
#[case::one_on_the_other(Stacks { large_start: 128, ..STACKS })]
#[case::no_large_one(Stacks { large_end: 4096, ..STACKS })]
#[case::side_by_side(Stacks { large_start: 257, ..STACKS })]
fn stacks_are_refused(#[case] stacks: Stacks) {
    split(&function("nop"), stacks).unwrap_err();
}
