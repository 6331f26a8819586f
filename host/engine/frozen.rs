//! Memories that instances begin with in place of the guest's own.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::{Extern, InstancePre, Linker, Module, ModuleExport, Store};

use crate::engine::apart;
use crate::engine::exports::Exports;
use crate::store::context::Context;

/// The guest's code without its memory: compiled when the first memory is frozen, for all.
pub(super) struct Code {
    module: Module,
    imports: Vec<Import>,
    pub(super) exports: Exports,
}

/// What the code imports, in its order.
enum Import {
    Memory,
    /// One of the host's functions: module and name.
    Function(String, String),
}

/// A memory, frozen: a module that has it, mapped into each instance and copied by the page where that
/// writes to it.
pub(crate) struct FrozenMemory {
    code: Arc<Code>,
    pre: InstancePre<Context>,
    export: ModuleExport,
    len: usize,
    hash: [u8; 32],
}

impl Code {
    /// # Errors
    ///
    /// When it doesn't have what the host calls.
    pub(super) fn new(module: Module) -> wasmtime::Result<Code> {
        let imports = module.imports().map(|import| {
            let names = (import.module(), import.name());
            match names == apart::MEMORY {
                true => Import::Memory,
                false => Import::Function(names.0.to_owned(), names.1.to_owned()),
            }
        });
        Ok(Code {
            imports: imports.collect(),
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
        let module = Module::new(code.module.engine(), apart::memory(bytes))?;
        let export = module.get_export_index(apart::MEMORY.1);
        Ok(FrozenMemory {
            code,
            pre: linker.instantiate_pre(&module)?,
            export: export.expect("it was put there"),
            len: bytes.len(),
            hash: Sha256::digest(bytes).into(),
        })
    }

    /// A fresh instance of the code in `store`, which begins with the memory.
    pub(super) fn instantiate(
        &self,
        linker: &Linker<Context>,
        store: &mut Store<Context>,
    ) -> wasmtime::Result<wasmtime::Instance> {
        let holder = self.pre.instantiate(&mut *store)?;
        let memory = holder.get_module_export(&mut *store, &self.export);
        let imports = self.code.imports.iter().map(|import| match import {
            Import::Memory => memory
                .clone()
                .ok_or_else(|| wasmtime::format_err!("the memory is missing")),
            Import::Function(module, name) => linker.get(&mut *store, module, name),
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
        let holder = wasmtime::Instance::new(&mut store, module, &[])?;
        let memory = holder
            .get_module_export(&mut store, &self.export)
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
