//! Two stacks for the guest's C and Rust: a small one among the pages that every script writes to,
//! and a large one, where what is nested deeply goes on.
//!
//! clang and rustc keep what they need in memory below `__stack_pointer`. A function with such a frame
//! reads the pointer, subtracts the frame's size, keeps the difference in a local variable, addresses its
//! frame through that alone, and puts the pointer back by adding the size to it. So it needn't know
//! where the difference leads. Behind each such subtraction this adds a check: a frame that lies on the
//! small stack is where it is; one that would begin below it begins on the large stack instead, and so
//! does what is called from there; one that has room on neither traps. Nothing is ever written over.
//!
//! A function returns to where its caller's frame is: the pointer may stay at the top of the large
//! stack then, until the caller puts it back as well. What catches errors puts it back as it was.
//!
//! The pointer stays all that there is to a stack's state, and each use of it that isn't one of those
//! above is refused, so that none goes without a check.

use anyhow::{Context, Result, anyhow, bail, ensure};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{
    BlockType, CodeSection, Function, FunctionSection, Instruction, Module, TypeSection, ValType,
};
use wasmparser::{
    CodeSectionReader, CompositeInnerType, ExternalKind, FunctionBody, FunctionSectionReader,
    Operator, Parser, Payload, TypeRef, TypeSectionReader,
};

/// The stack pointer, a global of the linker's.
const POINTER: &str = "__stack_pointer";

/// No frame begins below this address: what lies at zero is taken for nothing by C and Rust.
const LOWEST: i32 = 16;

/// Returns `wasm` with a check wherever its stack pointer moves down, for `stacks`.
///
/// # Errors
///
/// When it uses its stack pointer in another way than is said above, or has a frame that is too large.
pub(crate) fn split(wasm: &[u8], stacks: Stacks) -> Result<Vec<u8>> {
    let mut checks = Checks::plan(wasm, stacks)?;
    let mut module = Module::new();
    checks
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .map_err(|error| anyhow!("{error}"))?;
    Ok(module.finish())
}

/// Where the stacks are. Both are used from their ends downwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stacks {
    /// The small one begins at [`LOWEST`].
    pub(crate) small_end: i32,
    pub(crate) large_start: i32,
    pub(crate) large_end: i32,
}

impl Stacks {
    /// The largest frame there may be: moved onto the large stack, it has to fit; and from the large
    /// stack's end on, it must not reach down to the small one, past the check.
    fn largest_frame(&self) -> i32 {
        let large = self.large_end - self.large_start;
        (large - self.small_end).min(self.large_start - self.small_end - 1)
    }
}

/// What is added to a module.
struct Checks {
    stacks: Stacks,
    /// The number of the type of the function that finds a place on the large stack.
    ty: u32,
    /// The number of that function.
    function: u32,
    /// The functions of the module, those left to do.
    bodies: std::vec::IntoIter<Option<Frame>>,
}

/// What a function has on the stack.
struct Frame {
    /// The number of the instruction that gives its address.
    moved: usize,
    /// The first local variable that it hasn't.
    spare: u32,
}

impl Checks {
    /// Looks at all of the module.
    fn plan(wasm: &[u8], stacks: Stacks) -> Result<Checks> {
        let mut types = Vec::new();
        let mut functions = Vec::new();
        let mut imported = 0;
        let mut mutable = Vec::new();
        let mut exported = None;
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group?.into_types() {
                            let CompositeInnerType::Func(ty) = ty.composite_type.inner else {
                                bail!("a type isn't a function's");
                            };
                            types.push(u32::try_from(ty.params().len())?);
                        }
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        match import?.ty {
                            TypeRef::Func(_) => imported += 1,
                            // It would be counted among the module's own.
                            TypeRef::Global(_) => bail!("a global is imported"),
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        functions.push(ty?);
                    }
                }
                Payload::GlobalSection(section) => {
                    for global in section {
                        mutable.push(global?.ty.mutable);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Global && export.name == POINTER {
                            exported = Some(export.index);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => bodies.push(body),
                _ => {}
            }
        }
        let pointer = exported.context("the module exports no stack pointer")?;
        let in_order = [0, stacks.small_end, stacks.large_start, stacks.large_end];
        ensure!(
            in_order.is_sorted() && stacks.largest_frame() > LOWEST,
            "{stacks:?} don't lie behind each other, or have no room"
        );
        ensure!(
            mutable.iter().filter(|mutable| **mutable).count() == 1,
            "other globals can change than the stack pointer: snapshots and forks would have to know"
        );
        ensure!(bodies.len() == functions.len(), "functions have no code");
        let plans = bodies.iter().zip(&functions).zip(imported..);
        let plans = plans.map(|((body, ty), number)| {
            let params = *types.get(*ty as usize).context("it has no type")?;
            Frame::of(body, params, pointer, &stacks)
                .with_context(|| format!("function {number} of the module"))
        });
        Ok(Checks {
            stacks,
            ty: u32::try_from(types.len())?,
            function: imported + u32::try_from(functions.len())?,
            bodies: plans.collect::<Result<Vec<_>>>()?.into_iter(),
        })
    }

    /// Puts the address of a frame that lies on no stack, or on the large one, where it belongs.
    fn find_place(&self) -> Function {
        const FRAME: u32 = 0;
        let Stacks {
            small_end,
            large_start,
            large_end,
        } = self.stacks;
        let mut function = Function::new([]);
        function
            .instructions()
            // Below the small stack: as far below where the small one would end in the large one.
            .local_get(FRAME)
            .i32_const(LOWEST)
            .i32_lt_s()
            .if_(BlockType::Empty)
            .local_get(FRAME)
            .i32_const(large_end - small_end)
            .i32_add()
            .local_set(FRAME)
            .end()
            // Not on the large one either.
            .local_get(FRAME)
            .i32_const(large_start)
            .i32_sub()
            .i32_const(large_end - large_start)
            .i32_gt_u()
            .if_(BlockType::Empty)
            .unreachable()
            .end()
            .local_get(FRAME)
            .end();
        function
    }
}

impl Frame {
    /// That of a function with `params` parameters, if it has one.
    fn of(
        body: &FunctionBody<'_>,
        params: u32,
        pointer: u32,
        stacks: &Stacks,
    ) -> Result<Option<Frame>> {
        use Operator::{
            GlobalGet, GlobalSet, I32Add, I32Const, I32Sub, LocalGet, LocalSet, LocalTee,
        };

        let code = body.get_operators_reader()?;
        let code = code.into_iter().collect::<Result<Vec<_>, _>>()?;
        let is_pointer = |global: u32| global == pointer;
        // The frame: its instruction, variable and size. What was noted of the pointer: its variable.
        let mut frame = None;
        let mut noted = None;
        for (at, instruction) in code.iter().enumerate() {
            let (before, after) = (&code[..at], &code[at + 1..]);
            match instruction {
                GlobalGet { global_index } if is_pointer(*global_index) => match after {
                    [
                        I32Const { value: size },
                        I32Sub,
                        LocalTee { local_index } | LocalSet { local_index },
                        ..,
                    ] if frame.is_none() => {
                        ensure!(
                            (1..=stacks.largest_frame()).contains(size),
                            "its frame of {size} bytes is too large"
                        );
                        frame = Some((at + 2, *local_index, *size));
                    }
                    [LocalSet { local_index }, ..] if noted.is_none() => noted = Some(*local_index),
                    _ => bail!("it reads the stack pointer in a way that isn't known"),
                },
                GlobalSet { global_index } if is_pointer(*global_index) => match (before, frame) {
                    // Where the frame begins.
                    ([.., LocalTee { .. }], Some((moved, ..))) if moved + 2 == at => {}
                    // Where it ends.
                    (
                        [
                            ..,
                            LocalGet { local_index },
                            I32Const { value: added },
                            I32Add,
                        ],
                        Some((_, local, size)),
                    ) if (*local_index, *added) == (local, size) => {}
                    // As it was.
                    ([.., LocalGet { local_index }], _) if Some(*local_index) == noted => {}
                    _ => bail!("it sets the stack pointer in a way that isn't known"),
                },
                _ => {}
            }
        }
        let mut spare = params;
        for declared in body.get_locals_reader()? {
            spare += declared?.0;
        }
        Ok(frame.map(|(moved, ..)| Frame { moved, spare }))
    }
}

impl Reencode for Checks {
    type Error = std::convert::Infallible;

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32], [ValType::I32]);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.ty);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.find_place());
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        let Some(frame) = self.bodies.next().flatten() else {
            return utils::parse_function_body(self, code, body);
        };
        let mut locals = Vec::new();
        for declared in body.get_locals_reader()? {
            let (count, ty) = declared?;
            locals.push((count, self.val_type(ty)?));
        }
        locals.push((1, ValType::I32));
        let mut function = Function::new(locals);
        let mut reader = body.get_operators_reader()?;
        for at in 0.. {
            if reader.eof() {
                break;
            }
            function.instruction(&self.parse_instruction(&mut reader)?);
            if at == frame.moved {
                // Is it on the small stack? One comparison: below it are large numbers.
                function
                    .instructions()
                    .local_tee(frame.spare)
                    .i32_const(LOWEST)
                    .i32_sub()
                    .i32_const(self.stacks.small_end - LOWEST)
                    .i32_gt_u()
                    .if_(BlockType::Empty)
                    .local_get(frame.spare)
                    .call(self.function)
                    .local_set(frame.spare)
                    .end();
                function.instruction(&Instruction::LocalGet(frame.spare));
            }
        }
        code.function(&function);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
}
