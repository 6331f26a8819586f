//! Chunks whose functions were translated to WebAssembly and compiled: modules that share the memory and
//! the table of an instance of the guest.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moonfork_translate::{HELPERS, Limits, MEMORY, TABLE, TranslatedChunk};
use wasmtime::{
    Engine, Extern, ExternType, Global, GlobalType, Instance, Module, ModuleExport, Mutability,
    Store, ValType,
};

use crate::store::context::Context;

/// Places of the guest's table that translated functions may have. As in `guest/wasi/recipe.toml`.
pub(crate) const PLACES: u16 = 512;

/// Modules that an instance may have besides the guest. Chunks beyond are interpreted.
pub(crate) const MODULES: u32 = 16;

/// What the modules import of a guest, where that has all of it.
pub(crate) struct TranslatedExports {
    /// In the order of the imports.
    imports: Vec<ModuleExport>,
    /// The first place of its table for them.
    first: u16,
}

impl TranslatedExports {
    /// Those of a guest module; nothing if it wasn't made for that.
    pub(super) fn of(module: &Module) -> Option<TranslatedExports> {
        let Some(ExternType::Table(table)) = module.get_export(TABLE) else {
            return None;
        };
        let first = u16::try_from(table.minimum()).ok()?.checked_sub(PLACES)?;
        let names = HELPERS.iter().chain([&MEMORY, &TABLE]);
        let imports = names.map(|name| module.get_export_index(name));
        Some(TranslatedExports {
            imports: imports.collect::<Option<_>>()?,
            first,
        })
    }
}

/// The places of the guest's table that a pool has given out. None is ever given again: a prototype that lies
/// in the memory of some instance may say it.
pub(crate) struct TakenPlaces(Mutex<u16>);

impl TakenPlaces {
    pub(crate) fn new() -> TakenPlaces {
        TakenPlaces(Mutex::new(0))
    }
}

/// Chunks, translated to one module and compiled.
pub(crate) struct Translated {
    /// Nothing where no function of them could be translated.
    module: Option<Module>,
    /// The first place of its functions.
    first: u16,
    /// The chunks, in the order in which they were given: the bytecode is what to run.
    pub(crate) chunks: Vec<TranslatedChunk>,
    /// Bytes of machine code.
    pub(crate) code: usize,
    /// How long all of it took.
    pub(crate) time: Duration,
}

/// One of the chunks that were translated together.
#[derive(Clone)]
pub(crate) struct OneTranslated {
    pub(crate) all: Arc<Translated>,
    number: usize,
}

impl OneTranslated {
    /// Each of them.
    pub(crate) fn each(all: Translated) -> impl Iterator<Item = OneTranslated> {
        let all = Arc::new(all);
        (0..all.chunks.len()).map(move |number| OneTranslated {
            all: Arc::clone(&all),
            number,
        })
    }

    pub(crate) fn chunk(&self) -> &TranslatedChunk {
        &self.all.chunks[self.number]
    }
}

impl Translated {
    /// Translates and compiles what chunks compile to. Nothing where the guest that has `exports` isn't made
    /// for that.
    ///
    /// # Errors
    ///
    /// When one of them isn't bytecode, or the module doesn't compile.
    pub(crate) fn new(
        engine: &Engine,
        exports: &TranslatedExports,
        taken: &TakenPlaces,
        chunks: &[&[u8]],
        limits: Limits,
    ) -> wasmtime::Result<Translated> {
        let start = Instant::now();
        let (translation, first) = {
            // Whoever panicked took none.
            let mut taken = taken.0.lock().unwrap_or_else(PoisonError::into_inner);
            let first = exports.first + *taken;
            let left = PLACES - *taken;
            let translation = moonfork_translate::translate(chunks, first, left, limits)
                .map_err(wasmtime::Error::new)?;
            *taken += translation.functions;
            (translation, first)
        };
        let module = translation.module.map(|wasm| Module::new(engine, wasm));
        let module = module.transpose()?;
        Ok(Translated {
            code: module.as_ref().map_or(0, |module| {
                let range = module.image_range();
                range.end.addr() - range.start.addr()
            }),
            module,
            first,
            chunks: translation.chunks,
            time: start.elapsed(),
        })
    }

    /// Makes its functions those of the instance of the guest in `store`, which has `exports`.
    ///
    /// # Errors
    ///
    /// When wasmtime can't make an instance of the module.
    pub(crate) fn install(
        &self,
        store: &mut Store<Context>,
        guest: Instance,
        exports: &TranslatedExports,
    ) -> wasmtime::Result<()> {
        let Some(module) = &self.module else {
            return Ok(());
        };
        let imports = exports.imports.iter().map(|export| {
            guest
                .get_module_export(&mut *store, export)
                .ok_or_else(|| wasmtime::format_err!("the guest lacks what it exports"))
        });
        let mut imports: Vec<Extern> = imports.collect::<wasmtime::Result<_>>()?;
        let ty = GlobalType::new(ValType::I32, Mutability::Const);
        let first = Global::new(&mut *store, ty, i32::from(self.first).into())?;
        imports.push(first.into());
        Instance::new(store, module, &imports)?;
        Ok(())
    }
}
