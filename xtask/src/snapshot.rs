//! Having the guest's start-up run once, and cleaning up the module that is left.

use std::path::Path;

use anyhow::{Context, Result as AnyResult};
use wasmparser::{DataKind, KnownCustom, Parser, Payload};
use wasmtime::{Result, bail};

use crate::closed::close;
use crate::toolchain::{cargo, output, path_text};
use crate::world::World;

/// Returns `wasm` as it is after its start-up, without what nobody needs: a module that starts
/// where that has ended.
///
/// The start-up runs in a program of its own, `bin/preinit.rs`, which says why.
pub(crate) fn preinitialise(workspace: &Path, wasm: &[u8], world: &World) -> AnyResult<Vec<u8>> {
    let folder = tempfile::tempdir().context("making a folder for the module")?;
    let (from, to) = (
        folder.path().join("from.wasm"),
        folder.path().join("to.wasm"),
    );
    std::fs::write(&from, wasm).context("writing the module")?;
    output(
        cargo()
            .current_dir(workspace)
            .args(["run", "--quiet", "--locked", "--package", "xtask"])
            .args(["--bin", "preinit", "--features", "preinit"])
            .args(["--profile", "preinit", "--"])
            .args([
                path_text(&from)?,
                path_text(&to)?,
                serde_json::to_string(world)?,
            ]),
    )?;
    let snapshot = std::fs::read(&to).context("reading the module's snapshot")?;
    cleaned(&snapshot).map_err(|error| anyhow::Error::from_boxed(error.into_boxed_dyn_error()))
}

/// Without what has no answer, what only tools read, and pieces without data.
fn cleaned(snapshot: &[u8]) -> Result<Vec<u8>> {
    without_empty_data(&without_tool_sections(&close(snapshot)?)?)
}

/// Drops what only compilers and linkers read. The functions' names stay: they take about a
/// tenth of the module, and the trace of a trap is of little use without them.
fn without_tool_sections(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload {
            if let KnownCustom::Name(names) = section.as_known() {
                module.section(&function_names(names)?);
            }
        } else if let Some((id, range)) = payload.as_section() {
            let data = &wasm[range];
            module.section(&wasm_encoder::RawSection { id, data });
        }
    }
    Ok(module.finish())
}

/// Drops the empty pieces of data that wizer leaves in place of those that the linker made, a thousand: an
/// instance would have a place for each, for instructions that copy from them.
fn without_empty_data(wasm: &[u8]) -> Result<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::DataCountSection { .. } => {
                bail!("the module has such instructions, which count pieces of data")
            }
            Payload::DataSection(section) => {
                let mut data = wasm_encoder::DataSection::new();
                for piece in section.clone() {
                    let piece = piece?;
                    match piece.kind {
                        DataKind::Passive if piece.data.is_empty() => {}
                        _ => wasm_encoder::reencode::utils::parse_data(
                            &mut wasm_encoder::reencode::RoundtripReencoder,
                            &mut data,
                            piece,
                        )?,
                    }
                }
                module.section(&data);
            }
            _ => {
                if let Some((id, range)) = payload.as_section() {
                    let data = &wasm[range];
                    module.section(&wasm_encoder::RawSection { id, data });
                }
            }
        }
    }
    Ok(module.finish())
}

/// The names of functions alone, without those of globals and of data segments. (Wizer has
/// replaced the segments, so theirs would be wrong.)
///
/// Functions that one file takes from another get a suffix from the linker, which depends on
/// where the files are; the module must not.
fn function_names(names: wasmparser::NameSectionReader<'_>) -> Result<wasm_encoder::NameSection> {
    let mut functions = wasm_encoder::NameMap::new();
    for name in names {
        if let wasmparser::Name::Function(map) = name? {
            for naming in map {
                let naming = naming?;
                let (name, _) = naming
                    .name
                    .split_once(".llvm.")
                    .unwrap_or((naming.name, ""));
                functions.append(naming.index, name);
            }
        }
    }
    let mut section = wasm_encoder::NameSection::new();
    section.functions(&functions);
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::without_empty_data;

    /// `module` without what is dropped, as text.
    fn dropped(module: &str) -> wasmtime::Result<Vec<u8>> {
        without_empty_data(&wat::parse_str(module).unwrap())
    }

    #[test]
    fn empty_pieces_of_data_are_dropped_and_no_others() {
        let made =
            "(module (memory 1) (data \"\") (data (i32.const 8) \"a\") (data \"\") (data \"b\"))";
        let kept = "(module (memory 1) (data (i32.const 8) \"a\") (data \"b\"))";
        assert_eq!(dropped(made).unwrap(), wat::parse_str(kept).unwrap());
        let error = dropped("(module (memory 1) (data \"\") (data \"b\") (func data.drop 1))");
        assert!(error.unwrap_err().to_string().contains("such instructions"));
    }
}
