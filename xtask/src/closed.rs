//! What the guest still imports of WASI and can't use, answered in the module itself.
//!
//! Lua's libraries and Rust's name functions for files, the environment and the like, which the guest
//! can't reach. Each import is something that the host has to define, and to hand to every instance.

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Function, FunctionSection, ImportSection, Module};
use wasmparser::{
    CodeSectionReader, FunctionSectionReader, ImportSectionReader, Imports, Parser, Payload,
    TypeRef, ValType,
};
use wasmtime::{Result, bail};

/// WASI's functions, by the name of their module.
const WASI: &str = "wasi_snapshot_preview1";

/// What the host does answer: see its `imports.rs`.
const ANSWERED: [&str; 3] = ["clock_time_get", "proc_exit", "random_get"];

/// WASI's error "the function is not supported".
const ENOSYS: i32 = 52;

/// Returns `wasm` with functions of its own that answer [`ENOSYS`], in place of the imports of WASI
/// that the host has no answer for.
///
/// # Errors
///
/// When `wasm` isn't a module, or imports something else than functions.
pub(crate) fn close(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut closing = Closing::of(wasm)?;
    let mut module = Module::new();
    closing.parse_core_module(&mut module, Parser::new(0), wasm)?;
    Ok(module.finish())
}

/// The imports of a module, in two kinds. Those that become functions come right behind those that
/// stay, so that no other function has another number than before.
struct Closing {
    /// The number that each import becomes.
    numbers: Vec<u32>,
    /// The types of those that become functions.
    closed: Vec<u32>,
}

impl Closing {
    fn of(wasm: &[u8]) -> Result<Closing> {
        let mut types = Vec::new();
        let mut stays = Vec::new();
        let mut closed = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        types.push(ty?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        let TypeRef::Func(ty) = import.ty else {
                            bail!("'{}' of '{}' is no function", import.name, import.module);
                        };
                        let is_closed = is_closed(import.module, import.name);
                        if is_closed {
                            let results = types.get(ty as usize).map(wasmparser::FuncType::results);
                            if results != Some(&[ValType::I32]) {
                                bail!("'{}' gives no error number", import.name);
                            }
                            closed.push(ty);
                        }
                        stays.push(!is_closed);
                    }
                }
                _ => {}
            }
        }
        let mut next = [0, u32::try_from(stays.len() - closed.len())?];
        let numbers = stays.iter().map(|stays| {
            let next = &mut next[usize::from(!stays)];
            *next += 1;
            *next - 1
        });
        Ok(Closing {
            numbers: numbers.collect(),
            closed,
        })
    }
}

fn is_closed(module: &str, name: &str) -> bool {
    module == WASI && !ANSWERED.contains(&name)
}

impl Reencode for Closing {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        Ok(*self.numbers.get(function as usize).unwrap_or(&function))
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error> {
        for import in section.into_imports() {
            let import = import?;
            if !is_closed(import.module, import.name) {
                self.parse_imports(imports, Imports::Single(0, import))?;
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        for ty in &self.closed {
            functions.function(*ty);
        }
        utils::parse_function_section(self, functions, section)
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        for _ in &self.closed {
            let mut function = Function::new([]);
            function.instructions().i32_const(ENOSYS).end();
            code.function(&function);
        }
        utils::parse_code_section(self, code, section)
    }
}

#[cfg(test)]
mod tests {
    use super::close;
    use wasmtime::{Engine, Instance, Module, Store};

    const WITH_FILES: &str = r#"(module
        (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (func $seven (result i32) (i32.const 7))
        (table funcref (elem $yield $seven))
        (func (export "close") (result i32) (call $close (i32.const 1)))
        (func (export "at") (param i32) (result i32)
            (call_indirect (result i32) (local.get 0))))"#;

    #[test]
    fn what_has_no_answer_is_answered_inside() -> wasmtime::Result<()> {
        let engine = Engine::default();
        let module = Module::new(&engine, close(&wat::parse_str(WITH_FILES)?)?)?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        let closed = instance.get_typed_func::<(), i32>(&mut store, "close")?;
        assert_eq!(closed.call(&mut store, ())?, 52);
        let at = instance.get_typed_func::<i32, i32>(&mut store, "at")?;
        assert_eq!(at.call(&mut store, 0)?, 52);
        assert_eq!(at.call(&mut store, 1)?, 7);
        Ok(())
    }

    #[test]
    fn other_imports_stay() -> wasmtime::Result<()> {
        let module = close(&wat::parse_str(
            r#"(module
            (import "moonfork" "print" (func $print (param i32 i32)))
            (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (func (export "end") (call $exit (call $close (i32.const 1)))))"#,
        )?)?;
        let module = Module::new(&Engine::default(), module)?;
        let left: Vec<_> = module.imports().map(|import| import.name()).collect();
        assert_eq!(left, ["print", "proc_exit"]);
        Ok(())
    }

    #[test]
    fn what_isnt_an_error_number_is_refused() {
        let module = r#"(module (import "wasi_snapshot_preview1" "odd" (func (result i64))))"#;
        let refused = close(&wat::parse_str(module).expect("a module")).expect_err("no number");
        assert!(
            refused.to_string().contains("'odd' gives no error number"),
            "{refused}"
        );
    }
}
