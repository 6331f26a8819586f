//! The module of a chunk: what it imports, its functions, and where in the guest's table they go.

use wasm_encoder::{
    CodeSection, ConstExpr, ElementSection, Elements, EntityType, Function, FunctionSection,
    GlobalSection, GlobalType, ImportSection, MemoryType, Module, RefType, TableType, TypeSection,
    ValType,
};

use crate::layout::{self, HELPERS, MEMORY, TABLE};

/// The type of a translated function: `(L, ci, depth) -> next`.
pub(crate) const FUNCTION: u32 = 0;

/// The first number that isn't an import's.
#[expect(clippy::cast_possible_truncation, reason = "eleven")]
pub(crate) const FIRST: u32 = HELPERS.len() as u32;

/// The first global that isn't an import's.
pub(crate) const FIRST_SITE: u32 = 1;

/// Parameters and results of the helpers.
fn types() -> [(&'static [ValType], &'static [ValType]); HELPERS.len()] {
    const I: ValType = ValType::I32;
    const F: ValType = ValType::F64;
    [
        (&[I, I, I, I], &[I]),
        (&[I, I, I, I], &[I]),
        (&[I, I, I, I], &[I]),
        (&[I, I, I, I], &[I]),
        (&[I, I, I], &[I]),
        (&[I, I, I, I, I, I], &[I]),
        (&[I], &[I]),
        (&[I, I, I], &[I]),
        (&[F, F], &[F]),
        (&[F, F], &[F]),
        (&[I, I, I], &[I]),
    ]
}

/// A module of `bodies`, with so many `sites`: globals in which functions note where they found a field last.
pub(crate) fn assemble(bodies: &[Function], sites: u32) -> Vec<u8> {
    let mut type_section = TypeSection::new();
    type_section
        .ty()
        .function([ValType::I32; 3], [ValType::I32]);
    let mut imports = ImportSection::new();
    for (helper, (params, results)) in HELPERS.iter().zip(types()) {
        let number = type_section.len();
        type_section
            .ty()
            .function(params.iter().copied(), results.iter().copied());
        imports.import("guest", helper, EntityType::Function(number));
    }
    let memory = MemoryType {
        minimum: 0,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    imports.import("guest", MEMORY, memory);
    let table = TableType {
        element_type: RefType::FUNCREF,
        minimum: 0,
        maximum: None,
        table64: false,
        shared: false,
    };
    imports.import("guest", TABLE, table);
    let first = GlobalType {
        val_type: ValType::I32,
        mutable: false,
        shared: false,
    };
    imports.import("guest", layout::FIRST, first);
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    let mut numbers = Vec::with_capacity(bodies.len());
    for (number, body) in (FIRST..).zip(bodies) {
        functions.function(FUNCTION);
        code.function(body);
        numbers.push(number);
    }
    let mut globals = GlobalSection::new();
    for _ in 0..sites {
        let ty = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(ty, &ConstExpr::i32_const(0));
    }
    let mut elements = ElementSection::new();
    let offset = ConstExpr::global_get(0);
    elements.active(None, &offset, Elements::Functions(numbers.into()));
    let mut module = Module::new();
    module
        .section(&type_section)
        .section(&imports)
        .section(&functions)
        .section(&globals)
        .section(&elements)
        .section(&code);
    module.finish()
}
