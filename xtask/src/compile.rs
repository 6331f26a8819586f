//! Running cargo, clang and the linker so that they give the same module on every machine.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::archiver;
use crate::compiler;
use crate::patch::{self, Selection, Series};
use crate::provenance;
use crate::recipe::Recipe;
use crate::toolchain::{TARGET, Toolchain, cargo, output, path_text};

/// The package to build.
pub(crate) const PACKAGE: &str = "moonfork-guest";

/// The profile that the workspace's `Cargo.toml` makes for it.
const PROFILE: &str = "guest";

/// The package that Lua's sources come in.
const LUA_PACKAGE: &str = "lua-src";

/// The package whose build script compiles them.
const LUA_BUILDER: &str = "mlua-sys";

/// Which of its folders they are in: this and a number.
const LUA_FOLDER: &str = "lua-5.4.";

/// The guest's feature for a Lua without the patches that are for speed.
const PLAIN_LUA: &str = "plain-lua";

/// Compiles and links the guest in the folder `target`, and returns the module's path.
pub(crate) fn compile(
    workspace: &Path,
    toolchain: &Toolchain,
    recipe: &Recipe,
    selection: Selection,
    target: &Path,
) -> Result<PathBuf> {
    let packages = foreign_packages(workspace)?;
    let build = Build {
        workspace,
        toolchain,
        recipe,
        selection,
        target,
        lua_sources: lua_sources(&packages)?,
        renames: renames(workspace, toolchain, target, &packages),
    };
    build.discard_stale_objects()?;
    build.patch_lua()?;
    build.setjmp_library()?;
    build.cargo_build()?;
    let profile = target.join(TARGET).join(PROFILE);
    Ok(profile.join("moonfork_guest.wasm"))
}

/// One build of the guest.
struct Build<'a> {
    workspace: &'a Path,
    toolchain: &'a Toolchain,
    target: &'a Path,
    recipe: &'a Recipe,
    selection: Selection,
    /// The folder of Lua's sources, as they are in their package.
    lua_sources: PathBuf,
    renames: Vec<(PathBuf, &'static str)>,
}

impl Build<'_> {
    /// Where our own `libsetjmp.a` goes.
    fn own_libraries(&self) -> PathBuf {
        self.target.join("wasi")
    }

    /// Where the patched copies of Lua's sources go.
    fn patched_lua(&self) -> PathBuf {
        self.target.join("lua")
    }

    /// Where it is noted what the compiler is told besides of some of them.
    fn lua_flags(&self) -> PathBuf {
        self.target.join("lua-flags.json")
    }

    /// Makes the copies.
    fn patch_lua(&self) -> Result<()> {
        let series = Series::read(self.workspace)?;
        series.apply(self.selection, &self.lua_sources, &self.patched_lua())?;
        compiler::write_flags(&self.lua_flags(), &series.flags(self.selection))
    }

    /// The flags for all C code.
    fn c_flags(&self) -> Result<Vec<String>> {
        let mut flags = self.toolchain.c_flags.clone();
        for folder in [patch::FOLDER, "guest/wasi"] {
            flags.push("-I".into());
            flags.push(path_text(&self.workspace.join(folder))?);
        }
        flags.extend_from_slice(&self.recipe.c.flags);
        for (from, to) in &self.renames {
            flags.push(format!("-ffile-prefix-map={}={to}", path_text(from)?));
        }
        Ok(flags)
    }

    /// Has Lua compiled anew if the C code in the target folder was compiled in another way: its
    /// build script doesn't look at the compiler, its flags, our headers and patches, or the
    /// archiver (us).
    fn discard_stale_objects(&self) -> Result<()> {
        let stamp = self.target.join("c-objects.json");
        let mut files = provenance::source_files(self.workspace)?;
        files.retain(|file| file.starts_with("guest/wasi") || file.starts_with(patch::FOLDER));
        let mut files: Vec<_> = files.iter().map(|file| self.workspace.join(file)).collect();
        files.push(env::current_exe()?);
        let hash = |file| anyhow::Ok(provenance::sha256([&*fs::read(file)?]));
        let hashes = files.iter().map(hash).collect::<Result<Vec<_>>>()?;
        let now = serde_json::to_vec(&(&self.toolchain.versions, self.c_flags()?, hashes))?;
        if fs::read(&stamp).is_ok_and(|then| then == now) {
            return Ok(());
        }
        output(
            cargo()
                .current_dir(self.workspace)
                .args(["clean", "--locked", "--package", LUA_BUILDER])
                .args(["--profile", PROFILE, "--target", TARGET, "--target-dir"])
                .arg(self.target),
        )?;
        fs::create_dir_all(self.target)?;
        fs::write(stamp, now)?;
        Ok(())
    }

    /// Builds the `libsetjmp.a` that lua-src asks for. What is in it is what Lua calls instead of
    /// `setjmp` and `longjmp`.
    fn setjmp_library(&self) -> Result<()> {
        let folder = self.own_libraries();
        fs::create_dir_all(&folder)?;
        let object = folder.join("protect.o");
        output(
            Command::new(&self.toolchain.clang)
                .arg(format!("--target={TARGET}"))
                .args(&self.recipe.c.assembler_flags)
                .arg("-c")
                .arg(self.workspace.join("guest/wasi/protect.s"))
                .arg("-o")
                .arg(&object),
        )?;
        let archive = folder.join("libsetjmp.a");
        let _ = fs::remove_file(&archive);
        output(
            Command::new(&self.toolchain.ar)
                .arg("crsD")
                .arg(archive)
                .arg(object),
        )?;
        Ok(())
    }

    /// Runs cargo.
    fn cargo_build(&self) -> Result<()> {
        let target = TARGET.replace('-', "_");
        let c_flags: Vec<_> = self
            .c_flags()?
            .iter()
            .map(|flag| shell_quoted(flag))
            .collect();

        let mut cargo = cargo();
        cargo.current_dir(self.workspace);
        for (variable, _) in env::vars_os() {
            if changes_the_output(&variable) {
                cargo.env_remove(variable);
            }
        }
        cargo
            .args(["build", "--locked", "--lib", "--package", PACKAGE])
            .args(["--profile", PROFILE, "--target", TARGET, "--target-dir"])
            .arg(self.target)
            .env("RUSTC", &self.toolchain.rustc)
            .env("CARGO_ENCODED_RUSTFLAGS", self.rust_flags()?.join("\x1f"))
            .env(
                format!("CARGO_TARGET_{}_LINKER", target.to_uppercase()),
                &self.toolchain.wasm_ld,
            )
            .env(format!("CC_{target}"), env::current_exe()?)
            .env(compiler::REAL, &self.toolchain.clang)
            .env(compiler::SOURCES, &self.lua_sources)
            .env(compiler::PATCHED, self.patched_lua())
            .env(compiler::FLAGS, self.lua_flags())
            .env(format!("AR_{target}"), env::current_exe()?)
            .env(archiver::REAL, &self.toolchain.ar)
            .env(format!("CFLAGS_{target}"), c_flags.join(" "))
            .env("CC_SHELL_ESCAPED_FLAGS", "1");
        if self.selection == Selection::Contract {
            cargo.args(["--features", PLAIN_LUA]);
        }
        if self.toolchain.build_std {
            // Both are unstable, and a stable compiler has to be talked into them.
            cargo
                .env("RUSTC_BOOTSTRAP", "1")
                .arg("-Zbuild-std=std,panic_abort");
        }
        let status = cargo
            .status()
            .with_context(|| format!("running {cargo:?}"))?;
        ensure!(
            status.success(),
            "the guest doesn't build: cargo ended with {status}"
        );
        Ok(())
    }

    fn rust_flags(&self) -> Result<Vec<String>> {
        let libraries = path_text(&self.toolchain.libraries)?;
        let mut flags = vec![
            "-Clinker-flavor=wasm-ld".into(),
            // The C library comes from `libraries`, not from rustc's own copy, which the
            // Debian route doesn't have.
            "-Clink-self-contained=no".into(),
            format!("-Clink-arg={libraries}/crt1-reactor.o"),
            // Ours first: a WASI SDK has a libsetjmp.a too.
            format!("-L{}", path_text(&self.own_libraries())?),
            format!("-L{libraries}"),
        ];
        if self.toolchain.shares_llvm {
            // Rust and C are optimised as one: what converts values asks Lua for each of them.
            flags.push("-Clinker-plugin-lto".into());
            // Functions are inlined only into those that have all of their features, and lua-src
            // compiles Lua with this one.
            flags.push("-Ctarget-feature=+exception-handling".into());
        }
        let args = &self.recipe.link.args;
        flags.extend(args.iter().map(|arg| format!("-Clink-arg={arg}")));
        for (from, to) in &self.renames {
            flags.push(format!("--remap-path-prefix={}={to}", path_text(from)?));
        }
        Ok(flags)
    }
}

/// This machine's folders, and what they are called in the module: the output must not depend
/// on where things are.
fn renames(
    workspace: &Path,
    toolchain: &Toolchain,
    target: &Path,
    packages: &[ForeignPackage],
) -> Vec<(PathBuf, &'static str)> {
    // rustc takes the last that fits, and `target` may lie inside `workspace`.
    let mut renames = vec![(workspace.to_path_buf(), "/moonfork")];
    renames.extend(
        package_folders(packages)
            .into_iter()
            .map(|path| (path, "/crates")),
    );
    renames.push((toolchain.rust_sources.clone(), "/rust"));
    if let Ok(real) = toolchain.rust_sources.canonicalize() {
        renames.push((real, "/rust"));
    }
    renames.push((target.to_path_buf(), "/target"));
    renames
}

/// A package from elsewhere.
#[derive(Deserialize)]
pub(crate) struct ForeignPackage {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) repository: Option<String>,
    pub(crate) manifest_path: PathBuf,
    source: Option<String>,
}

/// All packages that the workspace depends on and doesn't have itself.
pub(crate) fn foreign_packages(workspace: &Path) -> Result<Vec<ForeignPackage>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<ForeignPackage>,
    }

    let mut metadata = cargo();
    metadata.current_dir(workspace);
    metadata.args(["metadata", "--locked", "--format-version=1"]);
    metadata.args(["--filter-platform", TARGET]);
    let metadata: Metadata = serde_json::from_str(&output(&mut metadata)?)?;
    let mut packages = metadata.packages;
    packages.retain(|package| package.source.is_some());
    Ok(packages)
}

/// The folders in which cargo keeps the sources of `packages`.
fn package_folders(packages: &[ForeignPackage]) -> Vec<PathBuf> {
    let folders = packages
        .iter()
        .filter_map(|package| package.manifest_path.ancestors().nth(2));
    let mut folders: Vec<_> = folders.map(Path::to_path_buf).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// The folder with the sources of the Lua that mlua is built with.
pub(crate) fn lua_sources(packages: &[ForeignPackage]) -> Result<PathBuf> {
    let package = packages.iter().find(|package| package.name == LUA_PACKAGE);
    let manifest = package.with_context(|| format!("there is no package {LUA_PACKAGE}"))?;
    let folder = manifest.manifest_path.parent().unwrap_or(Path::new("/"));
    let entries = fs::read_dir(folder);
    let mut found = None;
    for entry in entries.with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(LUA_FOLDER) {
            ensure!(
                found.is_none(),
                "{} has more than one {LUA_FOLDER}*",
                folder.display()
            );
            found = Some(entry.path());
        }
    }
    found.with_context(|| format!("{} has no {LUA_FOLDER}*", folder.display()))
}

/// Whether an environment variable would make the build differ from what is recorded.
fn changes_the_output(name: &OsStr) -> bool {
    const PREFIXES: [&str; 9] = [
        "AR_",
        "CARGO_BUILD_",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
        "CC_",
        "CFLAGS",
        "LUA_",
        "RUSTFLAGS",
    ];
    let name = name.to_string_lossy();
    let exact = ["AR", "CC", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"];
    exact.contains(&&*name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// `text` as one word for the shell-like splitting of `CFLAGS`.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
