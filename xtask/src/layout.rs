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
mod tests {
    use rstest::rstest;
    use wasm_encoder::{
        CodeSection, Function, FunctionSection, GlobalType, Module, TypeSection, ValType,
    };
    use wasmtime::{Engine, Instance, Store};

    use super::*;

    /// The linker's stack, 64 bytes.
    const STACK: u32 = 64;

    const MEMORY: Memory = Memory {
        hot: 2048,
        small_data: 100,
        large_stack: 4096,
    };

    /// Numbers of pieces of data, in the linker's order.
    const LARGE: usize = 0;
    const SMALL: usize = 1;
    const FIRST_HEAP: usize = 2;

    /// Numbers of symbols behind those of the pieces of data.
    const HEAP_BASE: u32 = 3;
    const MISSING: u32 = 4;

    /// Kinds of the linker's notes: an address in an instruction, in data, and relative to another.
    const IN_CODE: u8 = 4;
    const IN_DATA: u8 = 5;
    const RELATIVE: u8 = 11;

    /// What the linker made, with a note on each address.
    struct Made {
        /// Name, alignment (as a power of two), address and content.
        pieces: [(&'static str, u8, u32, Vec<u8>); 3],
        /// What is called `__heap_base`.
        chosen: &'static str,
        /// Where the linker chose that to be.
        chosen_at: u32,
        /// The kind of the notes in the code.
        kind: u8,
        /// Added to the address that is in the code.
        wrong: u32,
        has_notes: bool,
        second_global: bool,
    }

    impl Made {
        fn new() -> Made {
            // The small piece holds the address of the tenth byte of the large one.
            let mut small = vec![0; 8];
            small[4..].copy_from_slice(&(STACK + 10).to_le_bytes());
            let mut large = vec![b'L'; 200];
            large[10] = b'X';
            Made {
                pieces: [
                    (".rodata.large", 0, STACK, large),
                    (".data.small", 2, 264, small),
                    (HEAP, 4, 272, vec![0; 512]),
                ],
                chosen: "__heap_base",
                chosen_at: 65_536,
                kind: IN_CODE,
                wrong: 0,
                has_notes: true,
                second_global: false,
            }
        }

        /// Functions that give what lies where the small piece points to, the addresses of the large piece's
        /// second byte and of the first heap, `__heap_base`, and zero.
        fn wasm(&self) -> Vec<u8> {
            let address = |piece: usize| self.pieces[piece].2;
            let wanted = [
                ("pointed", SMALL as u32, 4, address(SMALL)),
                ("large", LARGE as u32, 1, address(LARGE)),
                ("heap", FIRST_HEAP as u32, 0, address(FIRST_HEAP)),
                ("base", HEAP_BASE, 0, self.chosen_at),
                ("missing", MISSING, 0, 0),
            ];
            let mut types = TypeSection::new();
            types.ty().function([], [ValType::I32]);
            let mut functions = FunctionSection::new();
            let mut exports = ExportSection::new();
            let mut code = CodeSection::new();
            let mut in_code = vec![];
            let mut at = 1;
            for (number, (name, symbol, addend, address)) in (0..).zip(wanted) {
                functions.function(0);
                exports.export(name, ExportKind::Func, number);
                let mut function = Function::new([]);
                function.raw([0x41]);
                function.raw(padded(address + addend + self.wrong));
                if name == "pointed" {
                    function
                        .instructions()
                        .i32_load(wasm_encoder::MemArg {
                            offset: 0,
                            align: 2,
                            memory_index: 0,
                        })
                        .i32_load8_u(wasm_encoder::MemArg {
                            offset: 0,
                            align: 0,
                            memory_index: 0,
                        });
                }
                function.instructions().end();
                // Behind its size, the number of its variables, and the instruction's first byte.
                in_code.push((self.kind, at + 3, symbol, addend));
                at += 1 + u8::try_from(function.byte_len()).unwrap();
                code.function(&function);
            }
            exports.export("memory", ExportKind::Memory, 0);
            exports.export("__stack_pointer", ExportKind::Global, 0);

            let mut memories = MemorySection::new();
            memories.memory(MemoryType {
                minimum: 1,
                maximum: None,
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
            let mut globals = GlobalSection::new();
            let mutable = GlobalType {
                val_type: ValType::I32,
                mutable: true,
                shared: false,
            };
            globals.global(mutable, &ConstExpr::i32_const(STACK.cast_signed()));
            if self.second_global {
                globals.global(mutable, &ConstExpr::i32_const(0));
            }
            let mut data = DataSection::new();
            for (_, _, address, content) in &self.pieces {
                let offset = ConstExpr::i32_const(address.cast_signed());
                data.active(0, &offset, content.iter().copied());
            }
            // From the start of the section: the number of pieces; of each, 0, the address as an
            // instruction of two or three bytes and its end, and its length.
            let large = 1 + 1 + 4 + 2 + 200;
            let pointer = large + 1 + 4 + 1 + 4;
            let mut in_data = vec![1];
            push(&mut in_data, pointer);
            in_data.extend([LARGE as u8, 10]);

            let mut module = Module::new();
            module
                .section(&types)
                .section(&functions)
                .section(&memories)
                .section(&globals)
                .section(&exports)
                .section(&code)
                .section(&data);
            if self.has_notes {
                let mut notes = vec![u8::try_from(in_code.len()).unwrap()];
                for (kind, at, symbol, addend) in in_code {
                    notes.extend([kind, at, u8::try_from(symbol).unwrap(), addend as u8]);
                }
                custom(&mut module, "linking", self.linking());
                custom(&mut module, "reloc.CODE", [vec![5], notes].concat());
                in_data.insert(1, IN_DATA);
                custom(&mut module, "reloc.DATA", [vec![6], in_data].concat());
            }
            module.finish()
        }

        /// Version 2: the pieces of data and the symbols.
        fn linking(&self) -> Vec<u8> {
            let text = |bytes: &mut Vec<u8>, text: &str| {
                push(bytes, text.len());
                bytes.extend(text.bytes());
            };
            let mut infos = vec![3];
            for (name, align, ..) in &self.pieces {
                text(&mut infos, name);
                infos.extend([*align, 0]);
            }
            let mut symbols = vec![5];
            for (number, (name, ..)) in (0..).zip(&self.pieces) {
                symbols.extend([1, 0]);
                text(&mut symbols, name);
                symbols.extend([number, 0, 1]);
            }
            // At a fixed address; and undefined.
            symbols.extend([1, 0x80, 0x04]);
            text(&mut symbols, self.chosen);
            symbols.push(0);
            push(&mut symbols, self.chosen_at as usize);
            symbols.extend([0, 1, 0x10]);
            text(&mut symbols, "missing");
            let mut bytes = vec![2];
            for (kind, part) in [(5, infos), (8, symbols)] {
                bytes.push(kind);
                push(&mut bytes, part.len());
                bytes.extend(part);
            }
            bytes
        }
    }

    /// A number in as few bytes as it takes.
    fn push(bytes: &mut Vec<u8>, mut number: usize) {
        while number > 0x7f {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }

    fn custom(module: &mut Module, name: &str, data: Vec<u8>) {
        module.section(&CustomSection {
            name: name.into(),
            data: data.into(),
        });
    }

    /// What its functions give.
    fn run(wasm: &[u8]) -> [i32; 5] {
        let engine = Engine::default();
        let module = wasmtime::Module::new(&engine, wasm).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        ["pointed", "large", "heap", "base", "missing"].map(|name| {
            let function = instance
                .get_typed_func::<(), i32>(&mut store, name)
                .unwrap();
            function.call(&mut store, ()).unwrap()
        })
    }

    #[test]
    fn all_that_is_addressed_is_found_where_it_is_put() {
        let made = Made::new().wasm();
        assert_eq!(run(&made), [i32::from(b'X'), 65, 272, 65_536, 0]);
        let (wasm, stacks) = arrange(&made, &MEMORY).unwrap();
        // The small piece and the first heap are in front, and what is large behind both stacks.
        let behind = 2048 + 4096;
        let end = (behind + 200 + 15) / 16 * 16;
        assert_eq!(run(&wasm), [i32::from(b'X'), behind + 1, 80, end, 0]);
        let Stacks {
            small_end,
            large_start,
            large_end,
        } = stacks;
        assert_eq!((small_end, large_start, large_end), (64, 2048, behind));
        let sections = Parser::new(0).parse_all(&wasm);
        assert!(
            !sections
                .into_iter()
                .any(|section| matches!(section.unwrap(), Payload::CustomSection(_))),
            "the linker's notes are gone"
        );
    }

    #[test]
    fn what_fits_in_front_to_the_byte_is_put_there() {
        let (small, heap) = (8, 512);
        let taken = STACK + small + 8 + heap;
        let hot = |hot: u32| Memory { hot, ..MEMORY };
        arrange(&Made::new().wasm(), &hot(taken)).unwrap();
        let error = arrange(&Made::new().wasm(), &hot(taken - 1)).unwrap_err();
        let expected = format!("takes {taken} bytes, more than the {}", taken - 1);
        assert!(error.to_string().contains(&expected), "{error}");
    }

    #[rstest]
    #[case::no_notes(Made { has_notes: false, ..Made::new() }, "left no notes")]
    #[case::another_address(Made { wrong: 1, ..Made::new() }, "what is there isn't the address")]
    #[case::another_kind(Made { kind: RELATIVE, ..Made::new() }, "of an unknown kind")]
    #[case::another_choice(Made { chosen: "__data_end", ..Made::new() }, "'__data_end' is unknown")]
    #[case::another_global(Made { second_global: true, ..Made::new() }, "a second global")]
    fn what_is_not_understood_is_refused(#[case] made: Made, #[case] expected: &str) {
        let error = arrange(&made.wasm(), &MEMORY).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(expected), "{error}");
    }
}
