//! Finding the compilers and libraries that a WebAssembly module takes.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

/// The target that the guest is compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip1";

/// The two sets of tools that can build the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Route {
    /// Debian's packages: clang-22 lld-22 wasi-libc rustc-web rust-web-src.
    Debian,
    /// The target wasm32-wasip1 from rustup, and a WASI SDK at $WASI_SDK_PATH.
    Sdk,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debian => "debian",
            Self::Sdk => "sdk",
        })
    }
}

/// Tools that have been found, and how they like to be called.
pub(crate) struct Toolchain {
    /// Where they are from.
    pub(crate) route: Route,
    /// The Rust compiler.
    pub(crate) rustc: PathBuf,
    /// Rust's own libraries, as sources.
    pub(crate) rust_sources: PathBuf,
    /// Whether the standard library has to be built, since it isn't installed for the target.
    pub(crate) build_std: bool,
    /// The C compiler.
    pub(crate) clang: PathBuf,
    /// Flags that lead it to the target's headers.
    pub(crate) c_flags: Vec<String>,
    /// The archiver.
    pub(crate) ar: PathBuf,
    /// The linker.
    pub(crate) wasm_ld: PathBuf,
    /// The folder with the target's `libc.a` and `crt1-reactor.o`.
    pub(crate) libraries: PathBuf,
    /// Whether Rust and C come from the same LLVM, so that the linker can optimise both as one.
    pub(crate) shares_llvm: bool,
    /// The version of each tool, by its name.
    pub(crate) versions: BTreeMap<String, String>,
}

impl Toolchain {
    /// Finds the tools of `route`, or else of the first route that has all of its own.
    pub(crate) fn find(route: Option<Route>) -> Result<Self> {
        match route {
            Some(Route::Debian) => Self::debian(),
            Some(Route::Sdk) => Self::sdk(),
            None => Self::debian().or_else(|debian| {
                Self::sdk().or_else(|sdk| {
                    bail!(
                        "no tools to build the guest with. Either of these will do:\n\
                         - route debian: {debian:#}\n\
                         - route sdk: {sdk:#}"
                    )
                })
            }),
        }
    }

    fn debian() -> Result<Self> {
        let rustc = PathBuf::from("/usr/bin/rustc");
        let clang = PathBuf::from("/usr/bin/clang-22");
        let wasm_ld = PathBuf::from("/usr/bin/wasm-ld-22");
        let headers = Path::new("/usr/include/wasm32-wasi");
        let libraries = PathBuf::from("/usr/lib/wasm32-wasi");
        // `rustc --print sysroot` would say the same, if rustc were there.
        let rust_sources = PathBuf::from("/usr/lib/rustlib/src/rust");

        let packages = [
            ("rustc-web", rustc.clone()),
            ("rust-web-src", rust_sources.join("library/std/Cargo.toml")),
            ("clang-22", clang.clone()),
            ("lld-22", wasm_ld.clone()),
            ("wasi-libc", libraries.join("crt1-reactor.o")),
        ];
        let missing = packages.iter().filter(|(_, file)| !file.exists());
        let missing: Vec<_> = missing.map(|(package, _)| *package).collect();
        let missing = missing.join(" ");
        ensure!(missing.is_empty(), "apt-get install {missing}");

        let mut versions = common_versions(&rustc, &clang, &wasm_ld)?;
        for (package, _) in packages {
            versions.insert(format!("package {package}"), package_version(package)?);
        }
        Ok(Self {
            route: Route::Debian,
            shares_llvm: shares_llvm(&rustc, &versions)?,
            rustc,
            rust_sources,
            build_std: true,
            clang,
            // No sysroot, or clang takes the machine's own headers for the target's.
            c_flags: vec![
                "--sysroot=/nonexistent".into(),
                "-isystem".into(),
                path_text(headers)?,
            ],
            // binutils, which clang-22 depends on. It takes any kind of file.
            ar: "ar".into(),
            wasm_ld,
            libraries,
            versions,
        })
    }

    fn sdk() -> Result<Self> {
        let sdk = env::var_os("WASI_SDK_PATH").map(PathBuf::from).context(
            "set WASI_SDK_PATH to a WASI SDK, version 25 or later \
             (https://github.com/WebAssembly/wasi-sdk), and `rustup target add wasm32-wasip1`",
        )?;
        let clang = sdk.join("bin/clang");
        let wasm_ld = sdk.join("bin/wasm-ld");
        let libraries = sdk.join("share/wasi-sysroot/lib").join(TARGET);
        for file in [&clang, &wasm_ld, &libraries.join("crt1-reactor.o")] {
            ensure!(
                file.exists(),
                "WASI_SDK_PATH is set, but there is no {}",
                file.display()
            );
        }

        let rustc = env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from);
        let print =
            |what: &str| output(Command::new(&rustc).args(["--print", what, "--target", TARGET]));
        let rust_libraries = PathBuf::from(print("target-libdir")?);
        ensure!(
            rust_libraries.exists(),
            "rustc has no library for {TARGET}: `rustup target add {TARGET}`"
        );

        let mut versions = common_versions(&rustc, &clang, &wasm_ld)?;
        let sdk_version = fs::read_to_string(sdk.join("VERSION")).unwrap_or_default();
        let sdk_version = sdk_version.lines().next().unwrap_or("unknown");
        versions.insert("wasi-sdk".into(), sdk_version.into());
        Ok(Self {
            route: Route::Sdk,
            shares_llvm: shares_llvm(&rustc, &versions)?,
            rust_sources: Path::new(&print("sysroot")?).join("lib/rustlib/src/rust"),
            rustc,
            build_std: false,
            clang,
            c_flags: Vec::new(),
            ar: sdk.join("bin/llvm-ar"),
            wasm_ld,
            libraries,
            versions,
        })
    }
}

/// The cargo that runs us, for the cargos that we run.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` and returns what it prints, without the line's end.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let result = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    ensure!(
        result.status.success(),
        "{command:?} failed:\n{}",
        String::from_utf8_lossy(&result.stderr)
    );
    Ok(String::from_utf8(result.stdout)?.trim_end().to_owned())
}

/// `path` as text, for the command lines that are made of text.
pub(crate) fn path_text(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.with_context(|| format!("{} is not valid Unicode", path.display()))
}

fn common_versions(rustc: &Path, clang: &Path, wasm_ld: &Path) -> Result<BTreeMap<String, String>> {
    let mut versions = BTreeMap::new();
    let mut add = |name: &str, mut tool: Command| {
        let text = output(tool.arg("--version"))?;
        let line = text.lines().next().unwrap_or_default();
        versions.insert(name.to_owned(), line.to_owned());
        anyhow::Ok(())
    };
    add("cargo", cargo())?;
    add("rustc", Command::new(rustc))?;
    add("clang", Command::new(clang))?;
    add("wasm-ld", Command::new(wasm_ld))?;
    Ok(versions)
}

/// Whether the LLVM inside `rustc` has the version of the linker and of clang.
fn shares_llvm(rustc: &Path, versions: &BTreeMap<String, String>) -> Result<bool> {
    let verbose = output(Command::new(rustc).arg("-vV"))?;
    let llvm = verbose
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "));
    Ok(llvm.is_some_and(|llvm| {
        ["clang", "wasm-ld"].iter().all(|tool| {
            let version = &versions[*tool];
            version.split_whitespace().any(|word| word == llvm)
        })
    }))
}

fn package_version(package: &str) -> Result<String> {
    output(Command::new("dpkg-query").args(["--show", "--showformat=${Version}", package]))
}
