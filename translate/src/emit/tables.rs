//! Reading and writing tables.

use wasm_encoder::Instruction as W;

use super::assembler::Label;
use super::registers::Known;
use super::{DEPTH, Emitter, FLAG, FRAME, KEY, SLOT, TABLE, TAG, THREAD};
use crate::dump::Constant;
use crate::instruction::{Instruction, Op};
use crate::layout::{helper, node, table, tag, value};

impl Emitter<'_> {
    /// Opens the two blocks of an instruction: `done`, and in it `other`, which leads to the guest.
    fn ways(&mut self) -> (Label, Label) {
        (self.block(), self.block())
    }

    /// The table in a register, or leaves by `other`.
    fn table_in(&mut self, register: usize, other: Label) {
        let local = self.table(register);
        self.get(local);
        self.tee(TABLE);
        self.put(&W::I32Eqz);
        self.br_if(other);
    }

    /// The table in an upvalue, likewise.
    fn table_in_upvalue(&mut self, number: usize, other: Label) {
        self.upvalue(number);
        self.tee(SLOT);
        self.load_8(value::TAG);
        self.i32(tag::TABLE);
        self.put(&W::I32Ne);
        self.br_if(other);
        self.get(SLOT);
        self.load(0);
        self.set(TABLE);
    }

    /// The key that a constant is.
    fn constant_key(&mut self, constant: usize) {
        self.constant_bits(constant);
        self.put(&W::I32WrapI64);
        self.set(KEY);
    }

    pub(super) fn gets(&mut self, pc: usize, i: Instruction) {
        let (a, b, c) = (i.a(), i.b(), i.c());
        // What is known of the operands is found out before the blocks: it is known whichever way is taken.
        if i.op != Op::GetTabUp {
            self.table(b);
        }
        if i.op == Op::GetTable {
            self.look_at(c);
        }
        if i.op == Op::Method {
            self.look_up(b);
        }
        let (done, other) = self.ways();
        match i.op {
            Op::GetTabUp => {
                self.table_in_upvalue(b, other);
                self.constant_key(c);
                self.get_field(a, other, done);
            }
            Op::GetField => {
                self.table_in(b, other);
                self.constant_key(c);
                self.get_field(a, other, done);
            }
            Op::GetI => {
                self.table_in(b, other);
                self.element_number(i64::try_from(c).unwrap_or(0));
                self.get_element(a, other, done);
            }
            Op::GetTable => {
                self.table_in(b, other);
                match self.now.known(c) {
                    Known::Float => self.br(other),
                    Known::Integer => {
                        self.element_in(c);
                        self.get_element(a, other, done);
                    }
                    Known::Nothing | Known::Value => {
                        let tag = self.locals.tag(c);
                        self.get(tag);
                        self.i32(tag::INTEGER);
                        self.put(&W::I32Eq);
                        self.if_();
                        self.element_in(c);
                        self.get_element(a, other, done);
                        self.end();
                        self.string_in(c, other);
                        self.get_field(a, other, done);
                    }
                }
            }
            // `Method`.
            _ => self.method(i, other, done),
        }
        self.end();
        self.ask_for_nothing(pc);
        self.read(a);
        self.end();
        if i.op == Op::Method {
            self.forget(a + 1);
        }
        self.note_value(a);
        self.go_on(pc + 1);
    }

    fn method(&mut self, i: Instruction, other: Label, done: Label) {
        let (a, b) = (i.a(), i.b());
        let (bits, tag) = (self.locals.bits(b), self.locals.tag(b));
        if !(i.k() && self.constant(i.c()) == Constant::Short) {
            return self.br(other);
        }
        let local = self.table(b);
        self.get(local);
        self.tee(TABLE);
        self.put(&W::I32Eqz);
        self.if_();
        self.get(tag);
        self.i32(tag::TYPE);
        self.put(&W::I32And);
        self.i32(tag::STRING);
        self.put(&W::I32Ne);
        self.br_if(other);
        self.get(THREAD);
        self.put(&W::Call(helper::STRING_METHODS));
        self.tee(TABLE);
        self.put(&W::I32Eqz);
        self.br_if(other);
        self.end();
        self.constant_key(i.c());
        // It may be the same register as the method's, which is written later.
        let own = self.locals.integer(0);
        self.get(bits);
        self.set(own);
        self.get(tag);
        self.set(TAG);
        self.find_field(other);
        self.get(super::BASE);
        self.get(own);
        self.store_64(super::registers::offset(a + 1));
        self.get(super::BASE);
        self.get(TAG);
        self.store_8(super::registers::offset(a + 1) + value::TAG);
        self.value_at_slot();
        self.write_value(a);
        self.br(done);
    }

    fn get_element(&mut self, to: usize, other: Label, done: Label) {
        self.find_element(other);
        self.get(SLOT);
        self.load_8(value::TAG);
        self.is_nothing();
        self.br_if(other);
        self.value_at_slot();
        self.write_value(to);
        self.br(done);
    }

    fn get_field(&mut self, to: usize, other: Label, done: Label) {
        self.find_field(other);
        self.value_at_slot();
        self.write_value(to);
        self.br(done);
    }

    pub(super) fn sets(&mut self, pc: usize, i: Instruction) {
        let (a, b) = (i.a(), i.b());
        if i.op != Op::SetTabUp {
            self.table(a);
        }
        if i.op == Op::SetTable {
            self.look_at(b);
        }
        if !i.k() {
            self.look_up(i.c());
        }
        let (done, other) = self.ways();
        match i.op {
            Op::SetTabUp => {
                self.table_in_upvalue(a, other);
                self.constant_key(b);
                self.set_field(pc, i, other, done);
            }
            Op::SetField => {
                self.table_in(a, other);
                self.constant_key(b);
                self.set_field(pc, i, other, done);
            }
            Op::SetI => {
                self.table_in(a, other);
                self.element_number(i64::try_from(b).unwrap_or(0));
                self.set_element(i, other, done);
            }
            // `SetTable`.
            _ => {
                self.table_in(a, other);
                match self.now.known(b) {
                    Known::Float => self.br(other),
                    Known::Integer => {
                        self.element_in(b);
                        self.set_element(i, other, done);
                    }
                    Known::Nothing | Known::Value => {
                        let tag = self.locals.tag(b);
                        self.get(tag);
                        self.i32(tag::INTEGER);
                        self.put(&W::I32Eq);
                        self.if_();
                        self.element_in(b);
                        self.set_element(i, other, done);
                        self.end();
                        self.string_in(b, other);
                        self.set_field(pc, i, other, done);
                    }
                }
            }
        }
        self.end();
        self.ask_for_nothing(pc);
        self.end();
        self.go_on(pc + 1);
    }

    fn set_element(&mut self, i: Instruction, other: Label, done: Label) {
        self.find_element(other);
        self.get(SLOT);
        self.load_8(value::TAG);
        self.is_nothing();
        self.if_();
        // Somebody else may take it.
        self.get(TABLE);
        self.load(table::METATABLE);
        self.br_if(other);
        self.end();
        self.write_slot(i, other);
        self.br(done);
    }

    fn set_field(&mut self, pc: usize, i: Instruction, other: Label, done: Label) {
        let found = self.block();
        let missed = self.block();
        let site = self.look_where_it_was(missed);
        self.br(found);
        self.end();
        self.get(THREAD);
        self.get(FRAME);
        self.address_of(pc + 1);
        self.get(DEPTH);
        self.get(TABLE);
        self.get(KEY);
        self.put(&W::Call(helper::SET_FIELD));
        self.set(SLOT);
        self.find_base();
        self.get(SLOT);
        self.if_();
        self.note_where(site);
        self.end();
        self.br(done);
        self.end();
        self.write_slot(i, other);
        self.br(done);
    }

    /// Writes the value of an instruction into the slot. Leaves by `other` if the collector has to know.
    fn write_slot(&mut self, i: Instruction, other: Label) {
        let c = i.c();
        let constant = i.k().then(|| self.constant(c));
        let is_collectable = match constant {
            Some(constant) => matches!(constant, Constant::Short | Constant::Long),
            None => !matches!(self.now.known(c), Known::Integer | Known::Float),
        };
        if is_collectable {
            if constant.is_none() {
                let tag = self.locals.tag(c);
                self.get(tag);
                self.i32(tag::COLLECTABLE);
                self.put(&W::I32And);
                self.if_();
            }
            self.get(TABLE);
            self.load_8(table::MARKED);
            self.i32(table::BLACK);
            self.put(&W::I32And);
            self.br_if(other);
            if constant.is_none() {
                self.end();
            }
        }
        self.get(SLOT);
        match constant {
            Some(_) => self.constant_bits(c),
            None => {
                let bits = self.locals.bits(c);
                self.get(bits);
            }
        }
        self.store_64(0);
        self.get(SLOT);
        match constant {
            Some(constant) => self.i32(super::registers::tag_of(constant)),
            None => {
                let tag = self.locals.tag(c);
                self.get(tag);
            }
        }
        self.store_8(value::TAG);
    }

    pub(super) fn new_table(&mut self, pc: usize, i: Instruction) {
        self.ask_for_nothing(pc);
        // It may collect garbage, which clears what is behind.
        self.forget_from(i.a());
        self.note_table(i.a());
        self.go_on(pc + 2);
    }

    /// The length of a table without a metatable whose list ends where its limit says.
    pub(super) fn len(&mut self, pc: usize, i: Instruction) {
        let (a, b) = (i.a(), i.b());
        self.table(b);
        let (done, other) = self.ways();
        self.table_in(b, other);
        self.get(TABLE);
        self.load(table::METATABLE);
        self.br_if(other);
        self.get(TABLE);
        self.load(table::LIMIT);
        self.tee(FLAG);
        self.put(&W::I32Eqz);
        self.br_if(other);
        // The last is there.
        self.get(TABLE);
        self.load(table::ARRAY);
        self.get(FLAG);
        self.i32(4);
        self.put(&W::I32Shl);
        self.put(&W::I32Add);
        self.tee(SLOT);
        self.i32(16 - 8);
        self.put(&W::I32Sub);
        self.load_8(0);
        self.is_nothing();
        self.br_if(other);
        // And what is behind it isn't: there is nothing behind it, or it is empty.
        self.limit_is_size(FLAG);
        self.if_();
        self.get(TABLE);
        self.load_8(table::LOG_NODES);
        self.br_if(other);
        self.get(TABLE);
        self.load(table::NODES);
        self.load_8(node::KEY_TAG);
        self.br_if(other);
        self.else_();
        self.get(SLOT);
        self.load_8(value::TAG);
        self.is_nothing();
        self.put(&W::I32Eqz);
        self.br_if(other);
        self.end();
        self.get(FLAG);
        self.put(&W::I64ExtendI32U);
        self.i32(tag::INTEGER);
        self.write_value(a);
        self.br(done);
        self.end();
        self.ask_for_nothing(pc);
        self.read(a);
        self.end();
        self.note_value(a);
        self.go_on(pc + 1);
    }
}
