//! Single instructions, and the blocks that are open.

use wasm_encoder::{BlockType, Ieee64, Instruction as W, MemArg, ValType};

use super::{Emitter, Pass};
use crate::flow::Scope;

/// A block that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// What Lua's jumps lead to.
    Scope(Scope),
    /// A part of an instruction.
    Part,
}

/// A block that may be left.
#[derive(Clone, Copy)]
pub(super) struct Label(usize);

fn at(offset: u32) -> MemArg {
    MemArg {
        offset: offset.into(),
        align: 0,
        memory_index: 0,
    }
}

impl Emitter<'_> {
    pub(super) fn put(&mut self, instruction: &W<'_>) {
        if self.pass == Pass::Writing {
            self.function.instruction(instruction);
        }
    }

    pub(super) fn get(&mut self, local: u32) {
        self.put(&W::LocalGet(local));
    }

    pub(super) fn set(&mut self, local: u32) {
        self.put(&W::LocalSet(local));
    }

    pub(super) fn tee(&mut self, local: u32) {
        self.put(&W::LocalTee(local));
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.put(&W::I32Const(value));
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.put(&W::I64Const(value));
    }

    pub(super) fn f64(&mut self, value: f64) {
        self.put(&W::F64Const(Ieee64::from(value)));
    }

    pub(super) fn load(&mut self, offset: u32) {
        self.put(&W::I32Load(at(offset)));
    }

    pub(super) fn load_8(&mut self, offset: u32) {
        self.put(&W::I32Load8U(at(offset)));
    }

    pub(super) fn load_16(&mut self, offset: u32) {
        self.put(&W::I32Load16U(at(offset)));
    }

    /// Of a number with a sign.
    pub(super) fn load_16_signed(&mut self, offset: u32) {
        self.put(&W::I32Load16S(at(offset)));
    }

    pub(super) fn load_64(&mut self, offset: u32) {
        self.put(&W::I64Load(at(offset)));
    }

    pub(super) fn store(&mut self, offset: u32) {
        self.put(&W::I32Store(at(offset)));
    }

    pub(super) fn store_8(&mut self, offset: u32) {
        self.put(&W::I32Store8(at(offset)));
    }

    pub(super) fn store_64(&mut self, offset: u32) {
        self.put(&W::I64Store(at(offset)));
    }

    pub(super) fn store_float(&mut self, offset: u32) {
        self.put(&W::F64Store(at(offset)));
    }

    pub(super) fn load_float(&mut self, offset: u32) {
        self.put(&W::F64Load(at(offset)));
    }

    /// Opens a block.
    pub(super) fn block(&mut self) -> Label {
        self.put(&W::Block(BlockType::Empty));
        self.open.push(Open::Part);
        Label(self.open.len())
    }

    /// Opens what is done if the number on the stack isn't zero.
    pub(super) fn if_(&mut self) {
        self.put(&W::If(BlockType::Empty));
        self.open.push(Open::Part);
    }

    /// The same, which gives a value.
    pub(super) fn if_giving(&mut self, ty: ValType) {
        self.put(&W::If(BlockType::Result(ty)));
        self.open.push(Open::Part);
    }

    pub(super) fn else_(&mut self) {
        self.put(&W::Else);
    }

    /// Ends what was opened last.
    pub(super) fn end(&mut self) {
        self.open.pop();
        self.put(&W::End);
    }

    fn depth(&self, label: Label) -> u32 {
        u32::try_from(self.open.len() - label.0).unwrap_or(u32::MAX)
    }

    pub(super) fn br(&mut self, label: Label) {
        let depth = self.depth(label);
        self.put(&W::Br(depth));
    }

    pub(super) fn br_if(&mut self, label: Label) {
        let depth = self.depth(label);
        self.put(&W::BrIf(depth));
    }
}
