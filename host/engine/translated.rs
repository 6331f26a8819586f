//! Chunks whose functions were translated to WebAssembly and compiled: modules that share the memory and
//! the table of an instance of the guest.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moonfork_translate::{HELPERS, Limits, MEMORY, TABLE, TranslatedChunk};
use sha2::{Digest, Sha256};
use wasmtime::{
    Engine, Extern, ExternType, Global, GlobalType, Instance, Module, ModuleExport, Mutability,
    Store, ValType,
};

use crate::engine::compiled::{self, CompiledCode, Places};
use crate::store::context::{Context, ModuleBytecode};
use crate::wire::Chunk;

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

/// The places of the guest's table that a pool has given out for any instance. None of these is ever given again: a
/// prototype that lies in the memory of some instance may say it.
pub(crate) struct TakenPlaces(Mutex<u16>);

/// Which instances may run what is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// All of the pool's: the places are its alone.
    Pool,
    /// Those that run nothing else which was translated after it, as those of a plugin. The places may be others' too, so
    /// that there are as many for each plugin, however often it is loaded; no instance has both.
    #[cfg_attr(
        not(feature = "plugin"),
        expect(dead_code, reason = "plugins have places of their own")
    )]
    Own,
}

impl TakenPlaces {
    pub(crate) fn new() -> TakenPlaces {
        TakenPlaces(Mutex::new(0))
    }

    /// Whether any are left.
    pub(super) fn are_left(&self) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) < PLACES
    }
}

/// Chunks, translated to one module and compiled.
pub(crate) struct Translated {
    /// Nothing where no function of them could be translated.
    module: Option<Module>,
    /// The places of its functions.
    places: Range<u16>,
    /// The chunks, in the order in which they were given: the bytecode is what to run.
    pub(crate) chunks: Vec<TranslatedChunk>,
    /// Their texts, in the same order.
    pub(crate) texts: Vec<Chunk<'static>>,
    /// Bytes of machine code.
    pub(crate) code: usize,
    /// Where that came from, if there is any.
    pub(crate) origin: Option<CompiledCode>,
    /// The SHA-256 of the module as WebAssembly.
    hash: Option<[u8; 32]>,
    /// How long all of it took.
    pub(crate) time: Duration,
}

impl ModuleBytecode for Translated {
    fn find(&self, module: &Chunk<'_>) -> Option<&[u8]> {
        let mut chunks = self.texts.iter().zip(&self.chunks);
        let (_, chunk) = chunks.find(|(text, _)| *text == module)?;
        Some(&chunk.bytecode)
    }
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
        reach: Reach,
        limits: Limits,
        kept: &Places,
    ) -> wasmtime::Result<Translated> {
        let start = Instant::now();
        let (translation, places) = {
            // Whoever panicked took none.
            let mut taken = taken.0.lock().unwrap_or_else(PoisonError::into_inner);
            let first = exports.first + *taken;
            let left = PLACES - *taken;
            let translation = moonfork_translate::translate(chunks, first, left, limits)
                .map_err(wasmtime::Error::new)?;
            if reach == Reach::Pool {
                *taken += translation.functions;
            }
            let end = first + translation.functions;
            (translation, first..end)
        };
        let hash = translation.module.as_ref().map(Sha256::digest);
        let module = translation.module;
        let module = module.map(|wasm| compiled::lua_module(engine, &wasm, kept));
        let (module, origin) = module.transpose()?.unzip();
        Ok(Translated {
            code: module.as_ref().map_or(0, |module| {
                let range = module.image_range();
                range.end.addr() - range.start.addr()
            }),
            module,
            places,
            chunks: translation.chunks,
            texts: Vec::new(),
            origin,
            hash: hash.map(Into::into),
            time: start.elapsed(),
        })
    }

    /// Writes the machine code into a folder, as [`compiled::lua_module`] finds it there.
    ///
    /// # Errors
    ///
    /// When that can't be done.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let (Some(module), Some(hash)) = (&self.module, &self.hash) else {
            return Ok(());
        };
        let name = compiled::lua_file_name(module.engine(), hash);
        compiled::keep_lua(module, folder, &name, hash)
    }

    /// Whether no function of them could be translated.
    pub(crate) fn is_interpreted(&self) -> bool {
        self.module.is_none()
    }

    /// Whether an instance can't have both.
    pub(crate) fn is_in_the_way_of(&self, other: &Translated) -> bool {
        self.places.start < other.places.end && other.places.start < self.places.end
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
        let first = Global::new(&mut *store, ty, i32::from(self.places.start).into())?;
        imports.push(first.into());
        Instance::new(store, module, &imports)?;
        Ok(())
    }
}
