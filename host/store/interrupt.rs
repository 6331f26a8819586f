//! Asking the guest where a script is, in the middle of it and after its end.
//!
//! `docs/cancellation.md` says why and how.

use wasmtime::{AsContextMut, Extern, Func, Global, Module, ModuleExport, StoreContextMut, Val};

/// Ticks that finding out where a script is may take.
pub(crate) const PATIENCE: u64 = 4;

/// Fuel enough to walk the frames that are shown.
pub(crate) const FUEL: u64 = 10_000_000;

/// Bytes below the stack pointer that a function may use without moving it: clang's red zone,
/// doubled.
const RED_ZONE: i32 = 256;

/// What a guest has to export to be asked; one that doesn't can't tell, and is none the worse
/// for it.
#[derive(Clone, Copy)]
pub(crate) struct InterrupterExports {
    interrupt: ModuleExport,
    site: ModuleExport,
    stack_pointer: ModuleExport,
}

impl InterrupterExports {
    /// Those of `module`, if it has them.
    pub(crate) fn of(module: &Module) -> Option<InterrupterExports> {
        Some(InterrupterExports {
            interrupt: module.get_export_index("moonfork_interrupt")?,
            site: module.get_export_index("moonfork_site")?,
            stack_pointer: module.get_export_index("__stack_pointer")?,
        })
    }
}

/// The guest's means to find out where a script is. What it exports is looked up when it is
/// needed: few scripts are ever stopped.
#[derive(Clone, Copy)]
pub(crate) struct Interrupter {
    instance: wasmtime::Instance,
    exports: InterrupterExports,
}

impl Interrupter {
    /// That of `instance`, whose module has `exports`.
    pub(crate) fn new(instance: wasmtime::Instance, exports: InterrupterExports) -> Self {
        Interrupter { instance, exports }
    }

    /// Asks the script that is in the middle of something to stop at its next Lua instruction.
    /// False where there is none to come, or it can't be asked.
    pub(crate) fn interrupt<T: 'static>(&self, store: &mut StoreContextMut<'_, T>) -> bool {
        let Some(stack_pointer) = self.stack_pointer(store) else {
            return false;
        };
        let Val::I32(top) = stack_pointer.get(&mut *store) else {
            return false;
        };
        let below = Val::I32(top.wrapping_sub(RED_ZONE));
        if stack_pointer.set(&mut *store, below).is_err() {
            return false;
        }
        store.set_epoch_deadline(PATIENCE);
        let asked = self.ask(store);
        let restored = stack_pointer.set(&mut *store, Val::I32(top));
        restored.is_ok() && asked.unwrap_or(false)
    }

    fn ask<T: 'static>(&self, store: &mut StoreContextMut<'_, T>) -> wasmtime::Result<bool> {
        let function = self.function(&mut *store, &self.exports.interrupt)?;
        let function = function.typed::<(), u32>(&*store)?;
        Ok(function.call(&mut *store, ())? != 0)
    }

    /// Where the script was when it was stopped: address and length of a text in the guest's
    /// memory.
    ///
    /// # Errors
    ///
    /// When the guest can't tell, or takes longer than [`PATIENCE`].
    pub(crate) fn site<T: 'static>(
        &self,
        mut store: StoreContextMut<'_, T>,
    ) -> wasmtime::Result<(u32, u32)> {
        store.set_epoch_deadline(PATIENCE);
        let function = self.function(&mut store, &self.exports.site)?;
        let packed = function.typed::<(), u64>(&store)?.call(&mut store, ())?;
        #[expect(clippy::cast_possible_truncation, reason = "two halves")]
        Ok(((packed >> 32) as u32, packed as u32))
    }

    /// Where the guest's stack ends.
    fn stack_pointer<T: 'static>(&self, store: &mut StoreContextMut<'_, T>) -> Option<Global> {
        self.instance
            .get_module_export(store, &self.exports.stack_pointer)?
            .into_global()
    }

    fn function(&self, store: impl AsContextMut, export: &ModuleExport) -> wasmtime::Result<Func> {
        self.instance
            .get_module_export(store, export)
            .and_then(Extern::into_func)
            .ok_or_else(|| wasmtime::format_err!("the guest can't tell where a script is"))
    }
}
