//! The guest's machine code, when it needn't be compiled: shared by the pools of a process, kept
//! in a folder from one process to the next, or shipped in a file.
//!
//! Code that can't be used is no error. It is compiled as if there were none, and
//! [`CompiledCode::notes`] says why.

pub(in crate::engine) mod folder;
mod process;
mod seal;
pub(crate) mod trust;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "compile")]
use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module, ModuleVersionStrategy};

use crate::engine::audited::machine_code;
use crate::grants::lineage::Lineage;
use folder::Folder;

/// Where a pool's machine code came from: [`Pool::compiled_code`](crate::Pool::compiled_code).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledCode {
    origin: CodeOrigin,
    shared: bool,
    notes: Vec<String>,
}

/// How a pool came by its machine code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodeOrigin {
    /// It was compiled in this process: when the pool was built, or when an earlier one was
    /// ([`CompiledCode::is_shared`]).
    Compiled,
    /// It lay in the folder of [`PoolBuilder::cache_dir`](crate::PoolBuilder::cache_dir).
    Kept,
    /// It was loaded from this file, one of
    /// [`PoolBuilder::precompiled`](crate::PoolBuilder::precompiled).
    Precompiled(PathBuf),
}

impl CompiledCode {
    /// Where it came from.
    pub fn origin(&self) -> &CodeOrigin {
        &self.origin
    }

    /// Whether another pool of this process had compiled it, so that this one didn't have to.
    pub fn is_shared(&self) -> bool {
        self.shared
    }

    /// Why code that lay ready was not used, or why what was compiled is not kept. One line
    /// each, with the file or folder; empty when all went as it should.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// The processors that code is compiled for ahead of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Processors {
    /// Those that have all that this machine's one has. It is what a pool compiles for itself.
    LikeThisOne,
    /// All of this architecture. A few instructions, such as rounding, take longer.
    All,
}

/// What of the guest is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// All of it. This alone is shipped.
    Whole,
    /// Its code, which finds its memory elsewhere.
    Code,
}

/// Where machine code may lie.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Files that are shipped, the first that fits is used.
    pub(crate) precompiled: Vec<PathBuf>,
    /// The folder that keeps what was compiled.
    pub(crate) kept: Option<PathBuf>,
}

/// Why a folder isn't trusted that is named from where the process happens to be.
const RELATIVE: &str = "it is no absolute path, and whoever made the folder that the process works \
                        in could have put code there";

impl Places {
    /// The folders that code lies in, as far as they are there.
    pub(crate) fn folders(&self) -> Vec<Lineage> {
        let shipped = self.precompiled.iter().filter_map(|file| {
            let file = file.canonicalize().ok()?;
            Lineage::of(file.parent()?).ok()
        });
        let kept = self.kept.iter().filter_map(|path| Lineage::of(path).ok());
        shipped.chain(kept).collect()
    }
}

/// What code belongs to, in words. wasmtime writes it into the code and compares it on loading;
/// by itself it would compare no more than its own major version.
pub(crate) fn identity(guest_sha256: &str) -> String {
    /// Notes down what is hashed: wasmtime tells its exact version to a hasher alone.
    struct Listener(Vec<u8>);

    impl Hasher for Listener {
        fn write(&mut self, bytes: &[u8]) {
            self.0
                .extend(bytes.iter().filter(|it| it.is_ascii_graphic()));
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut version = Listener(Vec::new());
    ModuleVersionStrategy::WasmtimeVersion.hash(&mut version);
    let version = String::from_utf8_lossy(&version.0).into_owned();
    format!("guest {guest_sha256}, wasmtime {version}")
}

impl From<CodeOrigin> for CompiledCode {
    fn from(origin: CodeOrigin) -> CompiledCode {
        CompiledCode {
            origin,
            shared: false,
            notes: Vec::new(),
        }
    }
}

/// Our own guest, `wasm`, loaded from where it lies ready, else shared with other pools of this
/// process, else compiled.
///
/// # Errors
///
/// When it can't be compiled.
pub(crate) fn module(
    engine: &Engine,
    part: Part,
    wasm: &[u8],
    places: &Places,
) -> wasmtime::Result<(Module, CompiledCode)> {
    let mut notes = Vec::new();
    let shipped_files = match part {
        Part::Whole => &*places.precompiled,
        Part::Code => &[],
    };
    for path in shipped_files {
        match shipped(engine, path) {
            Ok(module) => {
                let origin = CodeOrigin::Precompiled(path.clone());
                return Ok((
                    module,
                    CompiledCode {
                        notes,
                        ..origin.into()
                    },
                ));
            }
            Err(error) => notes.push(note(path, "is not used", error)),
        }
    }
    let key = key(engine, part);
    let name = file_name(key);
    let kept = places.kept.as_ref().filter(|path| {
        let is_absolute = path.is_absolute();
        if !is_absolute {
            notes.push(note(path, "is not used", RELATIVE));
        }
        is_absolute
    });
    if let Some(path) = kept {
        match Folder::open(path).map(|folder| load(engine, &folder, &name)) {
            Ok(Ok(module)) => {
                return Ok((
                    module,
                    CompiledCode {
                        notes,
                        ..CodeOrigin::Kept.into()
                    },
                ));
            }
            // As it is before the first time.
            Err(error) | Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(Err(error)) => notes.push(note(&path.join(&name), "is not used", error)),
            // Once is enough, and it will be said below.
            Err(_) => {}
        }
    }
    let (module, shared) = process::cache().get(engine, key, || Module::new(engine, wasm))?;
    if let Some(path) = kept
        && let Err(error) = keep(&module, path, &name)
    {
        notes.push(note(path, "keeps no compiled code", error));
    }
    let origin = CodeOrigin::Compiled;
    Ok((
        module,
        CompiledCode {
            origin,
            shared,
            notes,
        },
    ))
}

/// The module of translated Lua that is `wasm`, loaded from a folder where it lies ready, else compiled, and kept.
///
/// # Errors
///
/// When it can't be compiled.
#[cfg(feature = "compile")]
pub(crate) fn lua_module(
    engine: &Engine,
    wasm: &[u8],
    places: &Places,
) -> wasmtime::Result<(Module, CompiledCode)> {
    let mut notes = Vec::new();
    let hash = Sha256::digest(wasm);
    let name = lua_file_name(engine, &hash);
    let shipped = places.precompiled.iter().map(|file| {
        let origin = CodeOrigin::Precompiled(lua_folder(file).join(&name));
        (lua_folder(file), origin)
    });
    let kept = places.kept.as_ref().filter(|path| path.is_absolute());
    let kept_folder = kept.map(|path| (path.clone(), CodeOrigin::Kept));
    for (path, origin) in shipped.chain(kept_folder) {
        match Folder::open(&path).and_then(|folder| load_of(engine, &folder, &name, &hash)) {
            Ok(module) => {
                let code = CompiledCode {
                    notes,
                    ..origin.into()
                };
                return Ok((module, code));
            }
            // As it is before the first time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => notes.push(note(&path.join(&name), "is not used", error)),
        }
    }
    let module = Module::new(engine, wasm)?;
    if let Some(path) = kept
        && let Err(error) = keep_lua(&module, path, &name, &hash)
    {
        notes.push(note(path, "keeps no compiled code", error));
    }
    let code = CompiledCode {
        notes,
        ..CodeOrigin::Compiled.into()
    };
    Ok((module, code))
}

/// Where what was translated lies that is shipped with a file of the guest's code: a folder beside it.
#[cfg(feature = "compile")]
pub(crate) fn lua_folder(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".lua");
    name.into()
}

/// Puts the code of a module into a folder, which is made if it isn't there.
///
/// # Errors
///
/// When others can write to it, or it can't be written.
#[cfg(feature = "compile")]
pub(crate) fn keep_lua(module: &Module, path: &Path, name: &str, hash: &[u8]) -> io::Result<()> {
    let folder = Folder::make(path)?;
    let code = module.serialize().map_err(io::Error::other)?;
    folder.keep_of(name, &code, hash)?;
    folder.prune()
}

/// The name of the file for what was translated to a module with this hash.
#[cfg(feature = "compile")]
pub(crate) fn lua_file_name(engine: &Engine, hash: &[u8]) -> String {
    let key = key(engine, Part::Whole);
    let hash = crate::report::hex(hash);
    format!("{key:016x}{}.{}", &hash[..32], folder::LUA_EXTENSION)
}

#[cfg(feature = "compile")]
fn load_of(engine: &Engine, folder: &Folder, name: &str, hash: &[u8]) -> io::Result<Module> {
    let file = folder.trusted_of(name, hash)?;
    machine_code::load(engine, file).map_err(|error| io::Error::other(format!("{error:#}")))
}

/// Another module than our own guest: compiled for one pool alone, since nothing of it tells its
/// code from the guest's.
///
/// # Errors
///
/// When it can't be compiled.
pub(crate) fn foreign_module(
    engine: &Engine,
    wasm: &[u8],
) -> wasmtime::Result<(Module, CompiledCode)> {
    Ok((Module::new(engine, wasm)?, CodeOrigin::Compiled.into()))
}

/// Compiles `wasm` to a file that [`module`] accepts as a shipped one.
///
/// # Errors
///
/// When it can't be compiled, or the file can't be written.
pub(crate) fn write(engine: &Engine, wasm: &[u8], path: &Path) -> wasmtime::Result<()> {
    let code = engine.precompile_module(wasm)?;
    folder::put(path, &code)?;
    Ok(())
}

fn shipped(engine: &Engine, path: &Path) -> io::Result<Module> {
    // It may be reached through links; where it really lies is what has to be well protected.
    let path = path.canonicalize()?;
    let (folder, name) = crate::private_file::split(&path)?;
    load(engine, &Folder::open(folder)?, name)
}

/// Loads the code in a file of `folder`.
///
/// # Errors
///
/// When there is none that can be trusted and fits.
fn load(engine: &Engine, folder: &Folder, name: impl AsRef<Path>) -> io::Result<Module> {
    let file = folder.trusted(name)?;
    machine_code::load(engine, file).map_err(|error| io::Error::other(format!("{error:#}")))
}

fn keep(module: &Module, path: &Path, name: &str) -> io::Result<()> {
    let folder = Folder::make(path)?;
    let code = module.serialize().map_err(io::Error::other)?;
    folder.keep(name, &code)?;
    folder.prune()
}

/// A number that all engines have in common whose code can replace each other's: a hash of the
/// guest ([`identity`]), of all settings that change what it compiles to, and of what is compiled.
pub(crate) fn key(engine: &Engine, part: Part) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    if part != Part::Whole {
        part.hash(&mut hasher);
    }
    hasher.finish()
}

/// The name of the file that keeps the code with this key.
fn file_name(key: u64) -> String {
    format!("{key:016x}.{}", folder::EXTENSION)
}

fn note(path: &Path, what: &str, error: impl fmt::Display) -> String {
    format!("{} {what}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Config;

    /// The smallest module of all.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn engine(identity: &str) -> Engine {
        let mut config = Config::new();
        let version = ModuleVersionStrategy::Custom(identity.to_owned());
        config.module_version(version).unwrap();
        Engine::new(&config).unwrap()
    }

    #[test]
    fn the_identity_has_the_exact_version_of_wasmtime() {
        let identity = identity("0123abcd");
        let version = identity.strip_prefix("guest 0123abcd, wasmtime ").unwrap();
        let version = semver::Version::parse(version).unwrap();
        assert!(version.major >= 48, "{version}");
    }

    #[test]
    fn code_of_another_identity_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (engine("one"), engine("other"));
        let key = |engine| key(engine, Part::Whole);
        assert_ne!(key(&one), key(&other));
        assert_ne!(key(&one), super::key(&one, Part::Code));
        let places = Places {
            kept: Some(folder.path().into()),
            ..Places::default()
        };
        let origin_for = |engine| {
            let (_, code) = module(engine, Part::Whole, MODULE, &places).unwrap();
            (code.origin, code.notes)
        };
        assert_eq!(origin_for(&one), (CodeOrigin::Compiled, vec![]));
        assert_eq!(origin_for(&one), (CodeOrigin::Kept, vec![]));
        let file = |engine| folder.path().join(file_name(key(engine)));
        std::fs::rename(file(&one), file(&other)).unwrap();
        let (origin, notes) = origin_for(&other);
        assert_eq!(origin, CodeOrigin::Compiled);
        assert!(notes[0].contains("incompatible version 'one'"), "{notes:?}");
        assert_eq!(origin_for(&other), (CodeOrigin::Kept, vec![]));
    }
}
