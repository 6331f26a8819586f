//! Chunks that a pool has translated to WebAssembly.

use std::path::Path;
use std::time::Duration;

use crate::chunk::Chunk;
use crate::engine::compiled::{CompiledCode, lua_folder};
use crate::engine::translated::{OneTranslated, Reach};
use crate::error::{Error, Result};
use crate::instance::compile;
#[cfg(feature = "plugin")]
use crate::instance::translations::Lease;
use crate::instance::translations::Wanted;
use crate::pool::Pool;
use crate::pool::builder::PoolBuilder;
use crate::run::options::RunOptions;
use crate::wire;

/// What became of a chunk that is translated to WebAssembly: see [`PoolBuilder::compile`](crate::PoolBuilder::compile).
#[derive(Clone)]
pub struct CompiledLua {
    name: String,
    hot: bool,
    translated: OneTranslated,
}

impl CompiledLua {
    /// What the chunk is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was translated because its runs took long ([`PoolBuilder::compile_hot`](crate::PoolBuilder::compile_hot)),
    /// rather than because it was named.
    pub fn was_hot(&self) -> bool {
        self.hot
    }

    /// How many of its functions were translated, itself included.
    pub fn functions(&self) -> usize {
        self.translated.chunk().functions
    }

    /// How many instructions of Lua's bytecode those have.
    pub fn instructions(&self) -> usize {
        self.translated.chunk().instructions
    }

    /// Those of its functions that stay interpreted: the line that each begins on, 0 for the chunk itself,
    /// and why.
    pub fn interpreted(&self) -> impl Iterator<Item = (u32, String)> {
        let refused = self.translated.chunk().refused.iter();
        refused.map(|refused| (refused.line, refused.reason.to_string()))
    }

    /// Bytes of machine code that it takes, with what was translated together with it, for as long as the pool lives or the
    /// plugin is loaded.
    pub fn code_bytes(&self) -> usize {
        self.translated.all.code
    }

    /// Where that came from: nothing where no function of it was translated.
    pub fn code(&self) -> Option<&CompiledCode> {
        self.translated.all.origin.as_ref()
    }

    /// How long it took to translate and to compile it, with what was translated together with it.
    pub fn time(&self) -> Duration {
        self.translated.all.time
    }
}

impl std::fmt::Debug for CompiledLua {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledLua")
            .field("name", &self.name)
            .field("was_hot", &self.was_hot())
            .field("functions", &self.functions())
            .field("instructions", &self.instructions())
            .field("interpreted", &self.interpreted().collect::<Vec<_>>())
            .field("code_bytes", &self.code_bytes())
            .field("time", &self.time())
            .finish()
    }
}

impl Pool {
    /// The chunks that the pool has translated to WebAssembly, in no order.
    pub fn compiled_lua(&self) -> Vec<CompiledLua> {
        let all = self.inner.shared.translations.all().into_iter();
        all.map(|(name, hot, translated)| CompiledLua {
            name,
            hot,
            translated,
        })
        .collect()
    }

    /// Writes the machine code of all that the pool has translated into the folder `FILE.lua`, beside the file that
    /// [`PoolBuilder::precompile`](crate::PoolBuilder::precompile) writes: a pool that loads the file
    /// ([`PoolBuilder::precompiled`](crate::PoolBuilder::precompiled)) finds it there, for processors like this one.
    ///
    /// # Errors
    ///
    /// `Setup` when it can't be written.
    pub fn precompile_lua(&self, file: impl AsRef<Path>) -> Result<()> {
        let folder = lua_folder(file.as_ref());
        for (_, _, translated) in self.inner.shared.translations.all() {
            translated.all.write(&folder).map_err(|error| {
                Error::setup(format_args!(
                    "compiled code can't be written to {}: {error}",
                    folder.display()
                ))
            })?;
        }
        Ok(())
    }

    #[cfg(feature = "testing")]
    pub(crate) fn has_translated_what_is_hot(&self, within: Duration) -> bool {
        let hot = self.inner.shared.hot.as_ref();
        hot.is_none_or(|hot| hot.is_done(within))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn bytecode(&self, chunk: &Chunk<'_>) -> Option<Vec<u8>> {
        compile::bytecode_patiently(&self.inner.shared, &chunk.to_wire(), false)
    }

    /// Translates chunks to one module, for all instances that run them from there on. A chunk that is known stays
    /// as it is.
    ///
    /// # Errors
    ///
    /// `Syntax` for one that doesn't parse; `Setup` when the module can't be made.
    pub(crate) fn compile_together(&self, chunks: &[Chunk<'_>], with_state: bool) -> Result<()> {
        let wanted = wanted(chunks, with_state);
        let without = self.translate(&wanted, Reach::Pool)?;
        let Some(first) = without.first() else {
            return Ok(());
        };
        let mut instance = self.fresh(&self.inner.main_slot, &RunOptions::new())?;
        instance.check(None, &chunks[*first])?;
        // It parses, but takes longer than anybody waits, or more room.
        Err(Error::setup(format_args!(
            "'{}' can't be compiled: its bytecode isn't to be had",
            wanted[*first].chunk.name
        )))
    }

    /// The same for instances that run nothing else which is translated afterwards, for as long as what this gives is kept. What
    /// doesn't parse is left out.
    ///
    /// # Errors
    ///
    /// `Setup` when the module can't be made.
    #[cfg(feature = "plugin")]
    pub(crate) fn lease_compiled(&self, chunks: &[Chunk<'_>]) -> Result<Lease> {
        let wanted = wanted(chunks, false);
        self.translate(&wanted, Reach::Own)?;
        Ok(self.inner.shared.translations.lease(&wanted))
    }

    /// Says which of them have no bytecode, by their places among all.
    fn translate(&self, wanted: &[Wanted<'_>], reach: Reach) -> Result<Vec<usize>> {
        let shared = &self.inner.shared;
        if !shared.image.translates() {
            return Ok(Vec::new());
        }
        let compile = |chunk: &wire::Chunk<'_>, with_state: bool| {
            compile::bytecode_patiently(shared, chunk, with_state)
        };
        let translated = shared
            .translations
            .translate(&shared.image, wanted, reach, compile);
        translated.map_err(|error| {
            let names: Vec<_> = wanted
                .iter()
                .map(|it| format!("'{}'", it.chunk.name))
                .collect();
            Error::setup(format_args!(
                "{} can't be compiled: {error:#}",
                names.join(", ")
            ))
        })
    }
}

impl PoolBuilder {
    /// Translates this chunk to WebAssembly when the pool is built, for all instances that run it: loops over
    /// numbers then take a fifth of the time, calls and tables two thirds, and what is spent in the
    /// string library as long as before. `docs/compiled-lua.md` has figures, what it costs, and what is
    /// never translated; [`Pool::compiled_lua`] tells what became of each chunk.
    ///
    /// It is for the very text under the very name, run without a state ([`compile_with_state`](Self::compile_with_state) is
    /// for the others). What the chunk does, the errors that it raises, and its limits are the same; it burns other fuel. An
    /// instance that keeps a journal interprets all the same. Forks, and branches that begin with a snapshot of the pool's, have
    /// what their parents have.
    ///
    /// **Only for Lua that you trust as far as to approve of it**: a script then shapes what the compiler of
    /// machine code is given (`docs/threat-model.md`).
    ///
    /// ```
    /// use moonfork::Pool;
    /// # fn main() -> moonfork::Result<()> {
    /// let sum = "local sum = 0 for i = 1, 1000 do sum = sum + i end return sum";
    /// let pool = Pool::builder().compile(sum).build()?;
    /// for chunk in pool.compiled_lua() {
    ///     assert_eq!(chunk.functions(), 1);
    /// }
    /// assert_eq!(pool.branch()?.eval::<i64>(sum)?, 500_500);
    /// # Ok(())
    /// # }
    /// ```
    pub fn compile<'c>(mut self, chunk: impl Into<Chunk<'c>>) -> Self {
        self.compile.chunks.push(chunk.into().into_owned());
        self
    }

    /// As [`compile`](Self::compile), for a chunk that is run with a state: by `eval_with`, or as a workflow's node.
    pub fn compile_with_state<'c>(mut self, chunk: impl Into<Chunk<'c>>) -> Self {
        self.compile
            .chunks_with_state
            .push(chunk.into().into_owned());
        self
    }

    /// Translates the [`prelude`](Self::prelude), all chunks of it, as [`compile`](Self::compile) does: functions that it makes
    /// are translated in each instance.
    ///
    /// ```
    /// use moonfork::Pool;
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder()
    ///     .prelude("function sum(n) local s = 0 for i = 1, n do s = s + i end return s end")
    ///     .compile_prelude()
    ///     .build()?;
    /// assert_eq!(pool.branch()?.eval::<i64>("sum(1000)")?, 500_500);
    /// # Ok(())
    /// # }
    /// ```
    pub fn compile_prelude(mut self) -> Self {
        self.compile.prelude = true;
        self
    }

    /// Translates chunks to WebAssembly that much time goes into, while scripts run: a thread of the pool's does, one chunk at
    /// a time, and all instances run them translated from their next run on, those that were there before as well.
    /// What they do is the same, as with [`compile`](Self::compile).
    ///
    /// Counted is the time that runs of the same text under the same name take (`eval`, `exec`, `eval_with`, and nodes of
    /// workflows, with and without a state apart), from the second on, beyond 50 µs each, and without what host functions take
    /// of it; of three runs in a row, that of the one in the middle by length. A chunk is hot at about five times what compiling it is expected to take, which is 2 ms and 0.2 ms for each
    /// instruction of its bytecode. What scripts load themselves isn't counted, nor are calls of functions by name, nor texts of
    /// more than 64 KiB. An instance that keeps a journal interprets all the same.
    ///
    /// Bounded are functions and chunks, as with [`compile`](Self::compile), the functions of a pool (512, those of named chunks
    /// among them), the chunks that are tried (512, whatever comes of them), the machine code with its texts and bytecode (32 MiB), and
    /// the chunks that wait (8; others ask again at their next run). None of it is given back before the pool is gone.
    /// [`Pool::compiled_lua`] tells what became of each chunk ([`CompiledLua::was_hot`]).
    ///
    /// It is for pools that don't count fuel: what a run burns would be up to when its chunk was compiled.
    /// [`build`](Self::build) refuses it with [`metered`](Self::metered).
    ///
    /// **Only for pools all of whose Lua you trust as far as to approve of it**: any script that runs long enough then shapes what
    /// the compiler of machine code is given (`docs/threat-model.md`).
    ///
    /// ```
    /// use moonfork::Pool;
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder().compile_hot().build()?;
    /// let mut branch = pool.branch()?;
    /// for n in 1..20 {
    ///     let code = "local sum = 0 for i = 1, state do sum = sum + i end return sum";
    ///     assert_eq!(branch.eval_with::<_, i64>(code, &n)?, n * (n + 1) / 2);
    /// }
    /// // That took hardly any time, so there is nothing as a rule.
    /// assert!(pool.compiled_lua().iter().all(|chunk| chunk.was_hot()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn compile_hot(mut self) -> Self {
        self.compile.hot = true;
        self
    }

    /// Translates whatever chunk is run, when it is first run.
    #[cfg(feature = "testing")]
    pub fn compile_all(mut self) -> Self {
        self.compile.all = true;
        self
    }

    /// Has that go for functions and chunks of any size.
    #[cfg(feature = "testing")]
    pub fn compile_without_limits(mut self) -> Self {
        self.compile.large = true;
        self
    }
}

fn wanted<'c>(chunks: &'c [Chunk<'_>], with_state: bool) -> Vec<Wanted<'c>> {
    let wanted = chunks.iter().map(|chunk| Wanted {
        chunk: chunk.to_wire(),
        with_state,
    });
    wanted.collect()
}
