//! What of the guest changes while it runs: its memory and its stack pointer, and nothing else.
//!
//! The host copies these two when it copies an instance (`host/instance/session/copy.rs`). So there must be
//! nothing besides.

use anyhow::{Context, Result, bail, ensure};
use wasmparser::{ExternalKind, Operator, Parser, Payload, TypeRef};

/// The one global that changes.
const POINTER: &str = "__stack_pointer";

/// Refuses a module that has more state than the host copies.
///
/// # Errors
///
/// When it has a mutable global that isn't the exported stack pointer, writes to a table, drops a piece
/// of data or of a table, or imports anything but functions.
pub(crate) fn check(wasm: &[u8]) -> Result<()> {
    let mut mutable = Vec::new();
    let mut pointer = None;
    let mut memories = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    let is_function = matches!(import.ty, TypeRef::Func(_));
                    ensure!(is_function, "'{}' that is imported is state", import.name);
                }
            }
            Payload::MemorySection(section) => memories += section.count(),
            Payload::GlobalSection(section) => {
                for (number, global) in (0..).zip(section) {
                    if global?.ty.mutable {
                        mutable.push(number);
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Global && export.name == POINTER {
                        pointer = Some(export.index);
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader()? {
                    if let Some(what) = written(&operator?) {
                        bail!("a function {what}, which copies of an instance would lack");
                    }
                }
            }
            _ => {}
        }
    }
    ensure!(memories == 1, "there are {memories} memories");
    let pointer = pointer.with_context(|| format!("{POINTER} isn't exported"))?;
    ensure!(
        mutable == [pointer],
        "the globals {mutable:?} change, and {POINTER} is global {pointer}"
    );
    Ok(())
}

/// What an instruction writes to that is neither the memory nor a global.
fn written(operator: &Operator<'_>) -> Option<&'static str> {
    Some(match operator {
        Operator::TableSet { .. }
        | Operator::TableGrow { .. }
        | Operator::TableFill { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. } => "writes to a table",
        Operator::ElemDrop { .. } | Operator::DataDrop { .. } => "drops a piece of the module",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGINNING: &str =
        "(memory 1) (global $p (export \"__stack_pointer\") (mut i32) (i32.const 8))
        (global i32 (i32.const 1))";

    fn checked(more: &str) -> Result<()> {
        check(&wat::parse_str(format!("(module {BEGINNING} {more})")).unwrap())
    }

    #[test]
    fn the_committed_guest_has_nothing_else() {
        let guest = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../",
            "host/prebuilt/moonfork-guest.wasm"
        );
        check(&std::fs::read(guest).unwrap()).unwrap();
    }

    #[test]
    fn more_state_is_refused() {
        checked("(func (global.set $p (i32.const 0)))").unwrap();
        for (more, expected) in [
            (
                "(global (mut i64) (i64.const 0))",
                "the globals [0, 2] change",
            ),
            (
                "(table 1 funcref) (func (table.set (i32.const 0) (ref.null func)))",
                "writes to a table",
            ),
            ("(data $d \"x\") (func (data.drop $d))", "drops a piece"),
            ("(memory 1)", "there are 2 memories"),
        ] {
            let error = checked(more).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let imported = "(module (import \"a\" \"b\" (global (mut i32))))";
        assert!(check(&wat::parse_str(imported).unwrap()).is_err());
        let hidden = "(module (memory 1) (global (mut i32) (i32.const 8)))";
        assert!(check(&wat::parse_str(hidden).unwrap()).is_err());
    }
}
