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
