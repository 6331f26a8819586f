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
mod tests;
