//! Running machine code that wasmtime doesn't compile anew.

#![expect(
    unsafe_code,
    reason = "wasmtime can't tell whether machine code does what its module says"
)]

use wasmtime::{Engine, Module};

use crate::engine::compiled::folder::Trusted;

/// Machine code as wasmtime serialized it in this process. It has never been anywhere but in
/// this value, which nothing can change.
pub(in crate::engine) struct Serialized(Vec<u8>);

impl Serialized {
    /// The code of `module`.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub(in crate::engine) fn of(module: &Module) -> wasmtime::Result<Serialized> {
        module.serialize().map(Serialized)
    }

    /// Copies it into memory of its own, as code for `engine`.
    ///
    /// # Errors
    ///
    /// When it is for another module or setting.
    pub(in crate::engine) fn load(&self, engine: &Engine) -> wasmtime::Result<Module> {
        // SAFETY: the bytes have to be exactly what `Module::serialize` gave. `of` is the only way
        // to make this value, the field is private to this file, and nothing here writes to it.
        unsafe { Module::deserialize(engine, &self.0) }
    }
}

/// Maps the file into memory, as code for `engine`.
///
/// # Errors
///
/// When it is for another module, version, setting or processor.
pub(in crate::engine) fn load(engine: &Engine, file: Trusted) -> wasmtime::Result<Module> {
    // SAFETY: two things are asked for.
    //
    // The file has to be what wasmtime serialized, any version of it. `Trusted` is only made
    // of files that end in a seal whose length and checksum are right. We write that seal, behind
    // what wasmtime has serialized and nothing else, so a file that has it by accident or
    // was damaged doesn't come here. Nor does one that somebody else forged: on Unix, the file
    // and its folder belong to this user or to root, and nobody else may write to them. Whoever
    // may can run code as this user already, with or without us. (Elsewhere it is the caller's
    // duty to name a folder of that kind, as `PoolBuilder::cache_dir` says.)
    //
    // And the file must not change while it is mapped. It is ours or root's as above; we never
    // write to a file that has its name already, but put another one in its place, and make it
    // read-only. So it is with the program's own file and its shared libraries,
    // which are mapped in the same way.
    unsafe { Module::deserialize_open_file(engine, file.into_file()) }
}
