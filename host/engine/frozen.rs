//! Memories that instances begin with in place of the guest's own.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::{Extern, ExternType, InstancePre, Linker, Module, ModuleExport, Store};

use crate::engine::apart::{self, Function};
use crate::engine::exports::Exports;
use crate::store::context::Context;

/// The guest's code without its memory: compiled when the first memory is frozen, for all.
pub(super) struct Code {
    module: Module,
    /// The host's functions that it imports, in its order.
    functions: Vec<Function>,
    pub(super) exports: Exports,
}

/// A memory, frozen: a module that has it, mapped into each instance and copied by the page where that
/// writes to it.
///
/// The module hands on the host's functions too, all that the code imports: what wasmtime has prepared
/// once for a module needn't be looked up by name for each instance.
pub(crate) struct FrozenMemory {
    code: Arc<Code>,
    pre: InstancePre<Context>,
    memory: ModuleExport,
    /// What the code imports, in its order.
    imports: Vec<ModuleExport>,
    len: usize,
    hash: [u8; 32],
}

impl Code {
    /// # Errors
    ///
    /// When it doesn't have what the host calls, or imports something else than functions and the memory.
    pub(super) fn new(module: Module) -> wasmtime::Result<Code> {
        let mut functions = Vec::new();
        for import in module.imports() {
            match import.ty() {
                ExternType::Func(ty) => {
                    functions.push(Function::new(import.module(), import.name(), &ty)?)
                }
                _ if (import.module(), import.name()) == apart::MEMORY => {}
                _ => {
                    return Err(wasmtime::format_err!(
                        "the code imports '{}'",
                        import.name()
                    ));
                }
            }
        }
        Ok(Code {
            functions,
            exports: Exports::of(&module)?,
            module,
        })
    }
}

impl FrozenMemory {
    /// `bytes`, which are whole pages of WebAssembly's, for `code`.
    ///
    /// # Errors
    ///
    /// When there is no room for them.
    pub(super) fn new(
        code: Arc<Code>,
        linker: &Linker<Context>,
        bytes: &[u8],
    ) -> wasmtime::Result<FrozenMemory> {
        let module = Module::new(code.module.engine(), apart::memory(bytes, &code.functions))?;
        let export = |name: &str| module.get_export_index(name).expect("it was put there");
        let mut functions = 0..;
        let imports = code.module.imports().map(|import| match import.ty() {
            ExternType::Func(_) => {
                export(&apart::function_name(functions.next().expect("endless")))
            }
            _ => export(apart::MEMORY.1),
        });
        Ok(FrozenMemory {
            memory: export(apart::MEMORY.1),
            imports: imports.collect(),
            code: Arc::clone(&code),
            pre: linker.instantiate_pre(&module)?,
            len: bytes.len(),
            hash: Sha256::digest(bytes).into(),
        })
    }

    /// A fresh instance of the code in `store`, which begins with the memory.
    pub(super) fn instantiate(
        &self,
        store: &mut Store<Context>,
    ) -> wasmtime::Result<wasmtime::Instance> {
        let holder = self.pre.instantiate(&mut *store)?;
        let imports = self.imports.iter().map(|export| {
            holder
                .get_module_export(&mut *store, export)
                .ok_or_else(|| wasmtime::format_err!("an import is missing"))
        });
        let imports: Vec<Extern> = imports.collect::<wasmtime::Result<_>>()?;
        wasmtime::Instance::new(store, &self.code.module, &imports)
    }

    /// The memory itself, as an instance of it has it: there has to be room for one.
    ///
    /// # Errors
    ///
    /// When wasmtime can't make one.
    pub(crate) fn bytes(&self) -> wasmtime::Result<Vec<u8>> {
        let module = self.pre.module();
        let mut store = Store::new(module.engine(), ());
        // It hands functions on, and calls none.
        let mut linker = Linker::new(module.engine());
        linker.define_unknown_imports_as_traps(module)?;
        let holder = linker.instantiate(&mut store, module)?;
        let memory = holder
            .get_module_export(&mut store, &self.memory)
            .and_then(Extern::into_memory)
            .ok_or_else(|| wasmtime::format_err!("the memory is missing"))?;
        Ok(memory.data(&store).to_vec())
    }

    /// Where the code's exports are.
    pub(crate) fn exports(&self) -> &Exports {
        &self.code.exports
    }

    /// Bytes of the memory.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Its SHA-256.
    pub(crate) fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}
