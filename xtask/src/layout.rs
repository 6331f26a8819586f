//! Where in the guest's memory things lie: what almost every script reads or writes comes first.
//!
//! When an instance ends, the host copies the first bytes of its memory from the image, and has the
//! kernel take back all the rest (`host/engine/image.rs`). Each page of the rest that a script touches
//! costs as much as copying two dozen. The linker puts all constants in front of what is written to,
//! however large and seldom read, and knows no other order. So it is told to leave its notes on every
//! address in the module, and this moves the data and changes the addresses:
//!
//! | from the start on | |
//! | --- | --- |
//! | the small stack | where the linker put it: see `stacks.rs` |
//! | small pieces of data | |
//! | the first heap, `moonfork_heap` | what the guest allocates first: see `guest/src/raw/heap.rs` |
//! | the large stack | begins where copying ends; from here on, little is touched |
//! | large pieces: tables and texts | |
//! | the rest of the heap | |

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::{
    ConstExpr, CustomSection, DataSection, ExportKind, ExportSection, GlobalSection, MemorySection,
    MemoryType, RawSection,
};
use wasmparser::{
    DataKind, ExternalKind, KnownCustom, Linking, Operator, Parser, Payload, RelocationEntry,
    RelocationType, SymbolFlags, SymbolInfo,
};

use crate::recipe::Memory;
use crate::stacks::Stacks;

/// The guest's array that its first allocations come from.
const HEAP: &str = ".bss.moonfork_heap";

/// Bytes of a page of WebAssembly's.
const PAGE: u64 = 64 << 10;

/// How the stacks are aligned, and the heap behind all else.
const ALIGN: u32 = 16;

/// Moves the data of `wasm`, which the linker made with `--emit-relocs`, `--no-merge-data-segments` and
/// `--stack-first`. Returns the module without the linker's notes, and where its stacks are.
///
/// # Errors
///
/// When what is to be in front takes more than `memory` says, or anything in the linker's notes isn't
/// understood.
pub(crate) fn arrange(wasm: &[u8], memory: &Memory) -> Result<(Vec<u8>, Stacks)> {
    let linked = Linked::read(wasm)?;
    let plan = Plan::new(&linked, memory)?;
    let mut wasm = wasm.to_vec();
    for (at, relocation) in &linked.relocations {
        linked
            .patch(&mut wasm, *at, relocation, &plan)
            .with_context(|| format!("the linker's note on byte {at} of the module"))?;
    }
    Ok((plan.applied(&wasm)?, plan.stacks))
}

/// What the linker made, as far as it matters here.
struct Linked<'a> {
    segments: Vec<Segment<'a>>,
    /// By number; nothing for those that aren't in memory.
    symbols: Vec<Option<Symbol<'a>>>,
    /// Each with the place in the file that it is about.
    relocations: Vec<(usize, RelocationEntry)>,
    /// Where the stack begins that the linker made.
    stack: u32,
}

/// A piece of data.
struct Segment<'a> {
    name: &'a str,
    align: u32,
    address: u32,
    len: u32,
}

/// What an address is about.
enum Symbol<'a> {
    /// So many bytes into a segment.
    In(usize, u32),
    /// A place that the linker chose, by its name.
    Chosen(&'a str, u32),
    /// Something that isn't there.
    Nothing,
}

impl<'a> Linked<'a> {
    fn read(wasm: &'a [u8]) -> Result<Linked<'a>> {
        let mut sections = Vec::new();
        let mut notes = Vec::new();
        let mut data = Vec::new();
        let mut names = Vec::new();
        let mut symbols = Vec::new();
        let mut stack = None;
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if let Some((_, range)) = payload.as_section() {
                sections.push(range.start);
            }
            match payload {
                Payload::GlobalSection(section) => {
                    let first = section.into_iter().next().context("there is no global")??;
                    stack = first.ty.mutable.then(|| number(&first.init_expr)).flatten();
                }
                Payload::DataSection(section) => {
                    for segment in section {
                        let segment = segment?;
                        let DataKind::Active {
                            memory_index: 0,
                            offset_expr,
                        } = segment.kind
                        else {
                            bail!("data isn't put into memory by itself");
                        };
                        let address = number(&offset_expr).context("data has no fixed address")?;
                        data.push((address, u32::try_from(segment.data.len())?));
                    }
                }
                Payload::CustomSection(section) => match section.as_known() {
                    KnownCustom::Reloc(reader) => {
                        for entry in reader.entries() {
                            notes.push((reader.section_index(), entry?));
                        }
                    }
                    KnownCustom::Linking(reader) => {
                        for part in reader {
                            match part? {
                                Linking::SegmentInfo(infos) => {
                                    for info in infos {
                                        let info = info?;
                                        names.push((info.name, 1 << info.alignment));
                                    }
                                }
                                Linking::SymbolTable(table) => {
                                    for symbol in table {
                                        symbols.push(Symbol::of(symbol?));
                                    }
                                }
                                _ => {}
                            }
                        }
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        ensure!(
            data.len() == names.len() && !symbols.is_empty(),
            "the linker left no notes, or not on all data"
        );
        let segments = data.into_iter().zip(names);
        let segments = segments.map(|((address, len), (name, align))| Segment {
            name,
            align,
            address,
            len,
        });
        let relocations = notes.into_iter().map(|(section, entry)| {
            let start = sections.get(section as usize).context("a section's note")?;
            Ok((start + entry.offset as usize, entry))
        });
        Ok(Linked {
            segments: segments.collect(),
            symbols,
            relocations: relocations.collect::<Result<_>>()?,
            stack: stack.context("the first global isn't a stack pointer")?,
        })
    }

    /// Changes the address at `at` of the module to what it is by `plan`.
    fn patch(
        &self,
        wasm: &mut [u8],
        at: usize,
        relocation: &RelocationEntry,
        plan: &Plan,
    ) -> Result<()> {
        use RelocationType::*;

        let write: fn(u32) -> [u8; 5] = match relocation.ty {
            MemoryAddrLeb | MemoryAddrSleb => padded,
            MemoryAddrI32 => |address| {
                let [a, b, c, d] = address.to_le_bytes();
                [a, b, c, d, 0]
            },
            // What these are about stays where it is.
            FunctionIndexLeb | TableIndexSleb | TableIndexI32 | TypeIndexLeb | GlobalIndexLeb
            | EventIndexLeb | TableNumberLeb => return Ok(()),
            other => bail!("it is of an unknown kind, {other:?}"),
        };
        let symbol = self.symbols.get(relocation.index as usize);
        let symbol = symbol
            .and_then(Option::as_ref)
            .context("it is about no data")?;
        let (old, new) = match symbol {
            Symbol::In(segment, offset) => {
                let old = self.segments.get(*segment).context("its data is missing")?;
                (old.address + offset, plan.addresses[*segment] + offset)
            }
            Symbol::Chosen(name, old) => {
                let new = plan.chosen.get(name);
                (*old, *new.with_context(|| format!("'{name}' is unknown"))?)
            }
            Symbol::Nothing => (0, 0),
        };
        #[expect(clippy::cast_possible_truncation, reason = "it has 32 bits")]
        let addend = relocation.addend as u32;
        let size = relocation.ty.extent();
        let place = wasm.get_mut(at..at + size).context("it leads outside")?;
        // So that nothing is changed that was misunderstood.
        ensure!(
            *place == write(old.wrapping_add(addend))[..size],
            "what is there isn't the address"
        );
        place.copy_from_slice(&write(new.wrapping_add(addend))[..size]);
        Ok(())
    }
}

impl<'a> Symbol<'a> {
    fn of(info: SymbolInfo<'a>) -> Option<Symbol<'a>> {
        let SymbolInfo::Data {
            flags,
            name,
            symbol,
        } = info
        else {
            return None;
        };
        Some(match symbol {
            None => Symbol::Nothing,
            Some(place) if flags.contains(SymbolFlags::ABSOLUTE) => {
                Symbol::Chosen(name, place.offset)
            }
            Some(place) => Symbol::In(place.index as usize, place.offset),
        })
    }
}

/// Where all is to be.
struct Plan {
    /// By segment.
    addresses: Vec<u32>,
    /// What the linker would choose, by name.
    chosen: HashMap<&'static str, u32>,
    stacks: Stacks,
    end: u32,
}

impl Plan {
    fn new(linked: &Linked<'_>, memory: &Memory) -> Result<Plan> {
        let rank = |segment: &Segment<'_>| match segment.name {
            HEAP => 1,
            _ if segment.len > memory.small_data => 2,
            _ => 0,
        };
        let mut addresses = vec![0; linked.segments.len()];
        let mut next = linked.stack;
        let large = memory.hot.next_multiple_of(ALIGN);
        let large_end = large + memory.large_stack;
        for wanted in 0..=2 {
            if wanted == 2 {
                ensure!(
                    next <= memory.hot,
                    "what is to be in front takes {next} bytes, more than the {} in guest/wasi/recipe.toml",
                    memory.hot
                );
                next = large_end;
            }
            for (segment, address) in linked.segments.iter().zip(&mut addresses) {
                if rank(segment) == wanted {
                    *address = next.next_multiple_of(segment.align);
                    next = *address + segment.len;
                }
            }
        }
        let end = next.next_multiple_of(ALIGN);
        Ok(Plan {
            addresses,
            chosen: HashMap::from([("__heap_base", end)]),
            stacks: Stacks {
                small_end: linked.stack.cast_signed(),
                large_start: large.cast_signed(),
                large_end: large_end.cast_signed(),
            },
            end,
        })
    }

    /// `wasm`, whose addresses have been changed, with all data where it is to be.
    fn applied(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        let mut module = wasm_encoder::Module::new();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            match &payload {
                Payload::MemorySection(section) => {
                    let mut memories = MemorySection::new();
                    for memory in section.clone() {
                        let memory = memory?;
                        memories.memory(MemoryType {
                            minimum: u64::from(self.end).div_ceil(PAGE),
                            maximum: memory.maximum,
                            memory64: memory.memory64,
                            shared: memory.shared,
                            page_size_log2: memory.page_size_log2,
                        });
                    }
                    module.section(&memories);
                }
                // The stack pointer alone: the others are addresses of exported statics, which
                // nobody asks for.
                Payload::GlobalSection(section) => {
                    for global in section.clone().into_iter().skip(1) {
                        ensure!(!global?.ty.mutable, "there is a second global that changes");
                    }
                    let mut globals = GlobalSection::new();
                    let ty = wasm_encoder::GlobalType {
                        val_type: wasm_encoder::ValType::I32,
                        mutable: true,
                        shared: false,
                    };
                    globals.global(ty, &ConstExpr::i32_const(self.stacks.small_end));
                    module.section(&globals);
                }
                Payload::ExportSection(section) => {
                    let mut exports = ExportSection::new();
                    for export in section.clone() {
                        let export = export?;
                        let kind = match export.kind {
                            ExternalKind::Func => ExportKind::Func,
                            ExternalKind::Memory => ExportKind::Memory,
                            ExternalKind::Table => ExportKind::Table,
                            ExternalKind::Global if export.index == 0 => ExportKind::Global,
                            ExternalKind::Global => continue,
                            _ => bail!("'{}' is exported", export.name),
                        };
                        exports.export(export.name, kind, export.index);
                    }
                    module.section(&exports);
                }
                Payload::DataSection(section) => {
                    let mut data = DataSection::new();
                    for (segment, address) in section.clone().into_iter().zip(&self.addresses) {
                        let offset = ConstExpr::i32_const(address.cast_signed());
                        data.active(0, &offset, segment?.data.iter().copied());
                    }
                    module.section(&data);
                }
                Payload::CustomSection(section) => match section.as_known() {
                    KnownCustom::Linking(_) | KnownCustom::Reloc(_) => {}
                    _ => {
                        module.section(&CustomSection {
                            name: section.name().into(),
                            data: section.data().into(),
                        });
                    }
                },
                _ => {
                    if let Some((id, range)) = payload.as_section() {
                        let data = &wasm[range];
                        module.section(&RawSection { id, data });
                    }
                }
            }
        }
        Ok(module.finish())
    }
}

/// The number that `init` is, if it is one.
fn number(init: &wasmparser::ConstExpr<'_>) -> Option<u32> {
    match init.get_operators_reader().read() {
        Ok(Operator::I32Const { value }) => Some(value.cast_unsigned()),
        _ => None,
    }
}

/// `number` in the form that takes five bytes whatever it is. Signed or not is the same then, but for the
/// last bits, which addresses don't have.
fn padded(number: u32) -> [u8; 5] {
    std::array::from_fn(|n| {
        let bits = (number >> (7 * n)) as u8 & 0x7f;
        if n < 4 { bits | 0x80 } else { bits }
    })
}

#[cfg(test)]
mod tests;
