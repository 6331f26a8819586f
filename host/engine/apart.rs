//! The guest in two modules: its code, which imports its memory, and a memory.
//!
//! wasmtime maps the memory that a module begins with, and copies a page of it when it is written to. So
//! what an instance begins with belongs to a module, and compiling the guest anew for each
//! [snapshot](super::frozen) would take a second. A module that is nothing but a memory has no code to
//! compile.

use wasm_encoder::{
    ConstExpr, DataSection, EntityType, ExportKind, ExportSection, ImportSection, MemorySection,
    MemoryType, Module, RawSection, TypeSection,
};
use wasmparser::{Parser, Payload, TypeRef};
use wasmtime::FuncType;

/// Where the code finds its memory, and the name that the memory has in its own module.
pub(super) const MEMORY: (&str, &str) = ("moonfork", "memory");

/// Bytes of a page of WebAssembly's.
pub(crate) const PAGE: usize = 64 << 10;

/// The code of `wasm`: the same module, but for its memory, which it imports, and its data, which it
/// doesn't have.
///
/// # Errors
///
/// When `wasm` is no module that defines one memory.
pub(super) fn code(wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    let mut module = Module::new();
    let mut memories = 0;
    let mut imported = false;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                let mut imports = ImportSection::new();
                for import in section.into_imports() {
                    let import = import?;
                    let TypeRef::Func(ty) = import.ty else {
                        return Err(unexpected("imports something else than functions"));
                    };
                    imports.import(import.module, import.name, EntityType::Function(ty));
                }
                import_memory(&mut imports);
                imported = true;
                module.section(&imports);
            }
            Payload::MemorySection(section) => memories += section.count(),
            Payload::DataSection(_) => {}
            Payload::DataCountSection { .. } => {
                return Err(unexpected("has instructions that copy data"));
            }
            other => {
                let Some((id, range)) = other.as_section() else {
                    continue;
                };
                // Types and functions that are imported come before all others.
                if id > IMPORTS && id != 0 && !imported {
                    let mut imports = ImportSection::new();
                    import_memory(&mut imports);
                    imported = true;
                    module.section(&imports);
                }
                module.section(&RawSection {
                    id,
                    data: &wasm[range],
                });
            }
        }
    }
    match memories {
        1 => Ok(module.finish()),
        _ => Err(unexpected("has no memory of its own, or several")),
    }
}

/// The number of the section of imports.
const IMPORTS: u8 = 2;

fn import_memory(imports: &mut ImportSection) {
    let (module, name) = MEMORY;
    imports.import(module, name, memory_of(1));
}

fn memory_of(pages: u64) -> MemoryType {
    MemoryType {
        minimum: pages,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    }
}

fn unexpected(what: &str) -> wasmtime::Error {
    wasmtime::format_err!("the guest module {what}, so its memory can't be taken apart from it")
}

/// A function of the host's that the code imports.
pub(super) struct Function {
    module: String,
    name: String,
    params: Vec<wasm_encoder::ValType>,
    results: Vec<wasm_encoder::ValType>,
}

impl Function {
    /// That of this type, by the names of its module and its own.
    ///
    /// # Errors
    ///
    /// When it takes or gives anything but numbers.
    pub(super) fn new(module: &str, name: &str, ty: &FuncType) -> wasmtime::Result<Function> {
        let number = |ty| match ty {
            wasmtime::ValType::I32 => Ok(wasm_encoder::ValType::I32),
            wasmtime::ValType::I64 => Ok(wasm_encoder::ValType::I64),
            wasmtime::ValType::F32 => Ok(wasm_encoder::ValType::F32),
            wasmtime::ValType::F64 => Ok(wasm_encoder::ValType::F64),
            _ => Err(unexpected("imports a function of more than numbers")),
        };
        Ok(Function {
            module: module.to_owned(),
            name: name.to_owned(),
            params: ty.params().map(number).collect::<wasmtime::Result<_>>()?,
            results: ty.results().map(number).collect::<wasmtime::Result<_>>()?,
        })
    }
}

/// The name that a function which is handed on has, by its place among them.
pub(super) fn function_name(place: usize) -> String {
    place.to_string()
}

/// A module of a memory, which begins with `bytes`, whole pages; and of `functions`, which it imports and
/// hands on.
pub(super) fn memory(bytes: &[u8], functions: &[Function]) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    let mut exports = ExportSection::new();
    for (place, function) in (0..).zip(functions) {
        let params = function.params.iter().copied();
        types
            .ty()
            .function(params, function.results.iter().copied());
        imports.import(
            &function.module,
            &function.name,
            EntityType::Function(place),
        );
        exports.export(&function_name(place as usize), ExportKind::Func, place);
    }
    let mut memories = MemorySection::new();
    memories.memory(memory_of((bytes.len() / PAGE) as u64));
    exports.export(MEMORY.1, ExportKind::Memory, 0);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&memories)
        .section(&exports);
    // wasmtime cuts off zeros on both sides.
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(0), bytes.iter().copied());
    module.section(&data);
    module.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_memory_make_what_they_were() {
        let whole = wat::parse_str(
            r#"(module
                (import "other" "f" (func $f))
                (memory (export "memory") 1)
                (data (i32.const 70) "old")
                (func (export "at") (param i32) (result i32) (i32.load8_u (local.get 0))))"#,
        )
        .unwrap();
        let mut bytes = vec![0; 2 * PAGE];
        bytes[70..73].copy_from_slice(b"new");
        bytes[PAGE + 5] = 9;
        let engine = wasmtime::Engine::default();
        let module = |wasm| wasmtime::Module::new(&engine, wasm).unwrap();
        let mut store = wasmtime::Store::new(&engine, ());
        let f = wasmtime::Func::wrap(&mut store, || {});
        let code = module(code(&whole).unwrap());
        let functions = [Function::new("other", "f", &f.ty(&store)).unwrap()];
        let holder = module(memory(&bytes, &functions));
        let holder = wasmtime::Instance::new(&mut store, &holder, &[f.into()]).unwrap();
        let imports = [function_name(0).as_str(), MEMORY.1].map(|name| {
            let import = holder.get_export(&mut store, name);
            import.unwrap()
        });
        let instance = wasmtime::Instance::new(&mut store, &code, &imports).unwrap();
        let at = instance
            .get_typed_func::<i32, i32>(&mut store, "at")
            .unwrap();
        for (place, byte) in [(70, i32::from(b'n')), (0, 0), (65_541, 9)] {
            assert_eq!(at.call(&mut store, place).unwrap(), byte);
        }
    }

    #[test]
    fn a_module_without_imports_or_with_no_memory() {
        let alone = wat::parse_str("(module (memory (export \"memory\") 1))").unwrap();
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, code(&alone).unwrap()).unwrap();
        assert_eq!(module.imports().count(), 1);
        for other in ["(module)", "(module (memory 1) (memory 1))"] {
            assert!(code(&wat::parse_str(other).unwrap()).is_err(), "{other}");
        }
    }
}
