//! Places in the guest's table of functions for those that the host translates (`guest/lua/compiled.h`).
//!
//! They are there from the start, so that no instance need make its table larger, and each has a function
//! that leaves its frame to the interpreter: a number of a place in an instance's memory always leads to
//! something that can be called, whatever modules the instance has.

use std::convert::Infallible;

use anyhow::{Context, Result, anyhow, ensure};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{ConstExpr, ElementSection, Elements, Module, TableType};
use wasmparser::{ElementSectionReader, ExternalKind, Parser, Payload};

/// The function that is there.
const INTERPRET: &str = "moonfork_interpret";

/// Returns `wasm` with `count` more places at the end of its table. One without the function for them stays
/// as it is: it is a guest without the changes for speed.
///
/// # Errors
///
/// When it has several tables, or none.
pub(crate) fn reserve(wasm: &[u8], count: u32) -> Result<Vec<u8>> {
    let mut tables = Vec::new();
    let mut function = None;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TableSection(section) => {
                for table in section {
                    tables.push(table?.ty.initial);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func && export.name == INTERPRET {
                        function = Some(export.index);
                    }
                }
            }
            _ => {}
        }
    }
    let Some(function) = function else {
        return Ok(wasm.to_vec());
    };
    ensure!(tables.len() == 1, "there are {} tables", tables.len());
    let mut places = Places {
        first: u32::try_from(tables[0]).context("the table is too large")?,
        count,
        function,
    };
    let mut module = Module::new();
    places
        .parse_core_module(&mut module, Parser::new(0), wasm)
        .map_err(|error| anyhow!("{error}"))?;
    Ok(module.finish())
}

struct Places {
    first: u32,
    count: u32,
    function: u32,
}

impl Reencode for Places {
    type Error = Infallible;

    fn table_type(&mut self, ty: wasmparser::TableType) -> Result<TableType, Error> {
        let mut table = utils::table_type(self, ty)?;
        table.minimum += u64::from(self.count);
        table.maximum = table.maximum.map(|maximum| maximum.max(table.minimum));
        Ok(table)
    }

    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        section: ElementSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_element_section(self, elements, section)?;
        let first = ConstExpr::i32_const(self.first.cast_signed());
        let functions = vec![self.function; self.count as usize];
        elements.active(None, &first, Elements::Functions(functions.into()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::reserve;
    use wasmtime::{Engine, Instance, Module, Store};

    const TWO: &str = r#"(module
        (type $f (func (result i32)))
        (table (export "t") 2 2 funcref)
        (elem (i32.const 0) $one $two)
        (func $one (type $f) (i32.const 1))
        (func $two (export "moonfork_interpret") (type $f) (i32.const 2))
        (func (export "at") (param i32) (result i32) (call_indirect (type $f) (local.get 0))))"#;

    #[test]
    fn places_are_behind_those_that_there_are() {
        let module = reserve(&wat::parse_str(TWO).unwrap(), 3).unwrap();
        let module = Module::new(&Engine::default(), module).unwrap();
        let mut store = Store::new(module.engine(), ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let at = instance
            .get_typed_func::<i32, i32>(&mut store, "at")
            .unwrap();
        let found = [0, 1, 2, 4].map(|place| at.call(&mut store, place).unwrap());
        assert_eq!(found, [1, 2, 2, 2]);
        assert!(at.call(&mut store, 5).is_err());
    }

    #[test]
    fn a_module_without_the_function_stays_as_it_is() {
        let plain = wat::parse_str("(module (table 1 funcref))").unwrap();
        assert_eq!(reserve(&plain, 3).unwrap(), plain);
    }

    #[test]
    fn several_tables_are_refused() {
        let two = r#"(module (table 1 funcref) (table 1 funcref)
            (func (export "moonfork_interpret")))"#;
        assert!(reserve(&wat::parse_str(two).unwrap(), 3).is_err());
    }
}
