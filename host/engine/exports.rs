//! What a guest module exports: all that the host calls, reads and writes of it.

use wasmtime::{ExternType, Module, ModuleExport, Mutability};

#[cfg(feature = "compile")]
use crate::engine::translated::TranslatedExports;
use crate::store::interrupt::InterrupterExports;

/// Places of the module's exports: looking them up by name costs as much as a small call.
pub(crate) struct Exports {
    pub(crate) memory: ModuleExport,
    pub(crate) alloc: ModuleExport,
    pub(crate) call: ModuleExport,
    /// Where a script is: a guest that can't tell is none the worse for it.
    pub(crate) interrupter: Option<InterrupterExports>,
    /// What functions need that are translated: a guest that has none is none the worse for it.
    #[cfg(feature = "compile")]
    pub(crate) translated: Option<TranslatedExports>,
    /// The globals that change while the guest runs: a stack pointer.
    pub(crate) globals: Vec<ModuleExport>,
}

impl Exports {
    /// Those of a guest module.
    ///
    /// # Errors
    ///
    /// When one is missing.
    pub(super) fn of(module: &Module) -> wasmtime::Result<Exports> {
        let export = |name: &str| {
            module
                .get_export_index(name)
                .ok_or_else(|| wasmtime::format_err!("the guest module exports no '{name}'"))
        };
        let is_variable = |ty: &ExternType| match ty {
            ExternType::Global(ty) => ty.mutability() == Mutability::Var,
            _ => false,
        };
        let globals = module.exports().filter(|export| is_variable(&export.ty()));
        Ok(Exports {
            memory: export("memory")?,
            alloc: export("moonfork_alloc")?,
            call: export("moonfork_call")?,
            interrupter: InterrupterExports::of(module),
            #[cfg(feature = "compile")]
            translated: TranslatedExports::of(module),
            globals: globals
                .filter_map(|export| module.get_export_index(export.name()))
                .collect(),
        })
    }
}
