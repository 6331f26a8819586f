//! Comparisons and tests, each with the jump behind it.

use wasm_encoder::{Instruction as W, ValType};

use super::arithmetic::Operand;
use super::registers::{Known, tag_of};
use super::{Emitter, FLAG};
use crate::dump::Constant;
use crate::instruction::{Instruction, Op};
use crate::layout::tag;

impl Emitter<'_> {
    pub(super) fn compares(&mut self, pc: usize, i: Instruction) {
        let a = Operand::Register(i.a());
        let b = Operand::Register(i.b());
        let number = Operand::Integer(i.sb());
        match i.op {
            Op::Eq => self.equals(pc, i),
            Op::Lt => self.orders(pc, i, b, (W::I64LtS, W::F64Lt)),
            Op::Le => self.orders(pc, i, b, (W::I64LeS, W::F64Le)),
            Op::EqK => self.equals_constant(pc, i),
            Op::EqI => {
                self.look_at_operand(a);
                match self.kind(a) {
                    Known::Integer => {
                        self.integer(a);
                        self.integer(number);
                        self.put(&W::I64Eq);
                    }
                    Known::Float => {
                        self.float(a);
                        self.float(number);
                        self.put(&W::F64Eq);
                    }
                    Known::Nothing | Known::Value => self.equals_number(i),
                }
            }
            Op::LtI => self.orders(pc, i, number, (W::I64LtS, W::F64Lt)),
            Op::LeI => self.orders(pc, i, number, (W::I64LeS, W::F64Le)),
            Op::GtI => self.orders(pc, i, number, (W::I64GtS, W::F64Gt)),
            Op::GeI => self.orders(pc, i, number, (W::I64GeS, W::F64Ge)),
            Op::TestSet => return self.test_and_set(pc, i),
            _ => {
                self.is_false(i.a());
                self.put(&W::I32Eqz);
            }
        }
        self.decide(pc, i.k());
    }

    /// Does the jump behind `pc` if the condition on the stack is `wanted`, and else passes by it.
    fn decide(&mut self, pc: usize, wanted: bool) {
        if !wanted {
            self.put(&W::I32Eqz);
        }
        self.if_();
        if let Some(to) = self.lua.code[pc + 1].target(pc + 1) {
            self.jump(to);
        }
        self.end();
        self.go_on(pc + 2);
    }

    fn test_and_set(&mut self, pc: usize, i: Instruction) {
        self.is_false(i.b());
        if !i.k() {
            self.put(&W::I32Eqz);
        }
        self.if_();
        self.jump(pc + 2);
        self.end();
        self.copy(i.a(), i.b());
        if let Some(to) = self.lua.code[pc + 1].target(pc + 1) {
            if self.places[to] <= self.place {
                self.look_at_trap(to);
            }
            self.go_on(to);
        }
    }

    fn equals(&mut self, pc: usize, i: Instruction) {
        let (a, b) = (i.a(), i.b());
        let operands = (Operand::Register(a), Operand::Register(b));
        self.look_at(a);
        self.look_at(b);
        match (self.kind(operands.0), self.kind(operands.1)) {
            (Known::Integer, Known::Integer) => {
                self.integer(operands.0);
                self.integer(operands.1);
                return self.put(&W::I64Eq);
            }
            (Known::Float, Known::Float) => {
                self.float(operands.0);
                self.float(operands.1);
                return self.put(&W::F64Eq);
            }
            _ => {}
        }
        self.look_up(a);
        self.look_up(b);
        let (bits, tags) = (
            [self.locals.bits(a), self.locals.bits(b)],
            [self.locals.tag(a), self.locals.tag(b)],
        );
        let done = self.block();
        let other = self.block();
        self.get(tags[0]);
        self.get(tags[1]);
        self.put(&W::I32Ne);
        self.if_();
        // Of two types. Of one, they may be the same number, or text.
        self.get(tags[0]);
        self.get(tags[1]);
        self.put(&W::I32Xor);
        self.i32(tag::TYPE);
        self.put(&W::I32And);
        self.put(&W::I32Eqz);
        self.br_if(other);
        self.i32(0);
        self.set(FLAG);
        self.br(done);
        self.end();
        self.get(tags[0]);
        self.i32(tag::INTEGER);
        self.put(&W::I32Eq);
        self.if_();
        self.get(bits[0]);
        self.get(bits[1]);
        self.put(&W::I64Eq);
        self.set(FLAG);
        self.br(done);
        self.end();
        for bits in bits {
            self.get(bits);
            self.put(&W::I32WrapI64);
        }
        self.put(&W::I32Eq);
        self.set(FLAG);
        self.get(tags[0]);
        self.i32(tag::SHORT);
        self.put(&W::I32Eq);
        self.br_if(done);
        // A table is itself, whatever its metatable says.
        self.get(tags[0]);
        self.i32(tag::TABLE);
        self.put(&W::I32Eq);
        self.get(FLAG);
        self.put(&W::I32And);
        self.br_if(done);
        self.end();
        self.ask(pc);
        self.set(FLAG);
        self.end();
        self.get(FLAG);
    }

    fn equals_constant(&mut self, pc: usize, i: Instruction) {
        let constant = self.constant(i.b());
        let register = i.a();
        if !matches!(
            constant,
            Constant::Short | Constant::Nil | Constant::Boolean(_)
        ) {
            return self.ask(pc);
        }
        self.look_at(register);
        if matches!(self.now.known(register), Known::Integer | Known::Float) {
            return self.i32(0);
        }
        let (bits, tag) = (self.locals.bits(register), self.locals.tag(register));
        self.get(tag);
        if constant == Constant::Nil {
            return self.is_nothing();
        }
        self.i32(tag_of(constant));
        self.put(&W::I32Eq);
        if constant == Constant::Short {
            self.get(bits);
            self.put(&W::I32WrapI64);
            self.constant_bits(i.b());
            self.put(&W::I32WrapI64);
            self.put(&W::I32Eq);
            self.put(&W::I32And);
        }
    }

    fn equals_number(&mut self, i: Instruction) {
        let number = Operand::Integer(i.sb());
        let (bits, tag) = (self.locals.bits(i.a()), self.locals.tag(i.a()));
        self.get(tag);
        self.i32(tag::INTEGER);
        self.put(&W::I32Eq);
        self.if_giving(ValType::I32);
        self.get(bits);
        self.integer(number);
        self.put(&W::I64Eq);
        self.else_();
        self.get(tag);
        self.i32(tag::FLOAT);
        self.put(&W::I32Eq);
        self.get(bits);
        self.put(&W::F64ReinterpretI64);
        self.float(number);
        self.put(&W::F64Eq);
        self.put(&W::I32And);
        self.end();
    }

    /// Compares with `right`: by the first of these where both are integers, else the second.
    fn orders(
        &mut self,
        pc: usize,
        i: Instruction,
        right: Operand,
        (integers, floats): (W<'static>, W<'static>),
    ) {
        let left = Operand::Register(i.a());
        self.look_at_operand(left);
        self.look_at_operand(right);
        let is_register = matches!(right, Operand::Register(_));
        match (self.kind(left), self.kind(right)) {
            (Known::Integer, Known::Integer) => {
                self.integer(left);
                self.integer(right);
                return self.put(&integers);
            }
            (Known::Float, Known::Float) => {}
            (Known::Float, Known::Integer) if !is_register => {}
            kinds => return self.orders_unknown(pc, (left, right), kinds, (integers, floats)),
        }
        self.float(left);
        self.float(right);
        self.put(&floats);
    }

    fn orders_unknown(
        &mut self,
        pc: usize,
        (left, right): (Operand, Operand),
        kinds: (Known, Known),
        (integers, floats): (W<'static>, W<'static>),
    ) {
        let done = self.block();
        let other = self.block();
        if kinds.0 != Known::Float && kinds.1 != Known::Float {
            let not_integers = self.block();
            self.only_integer(left, not_integers);
            self.only_integer(right, not_integers);
            self.integer(left);
            self.integer(right);
            self.put(&integers);
            self.set(FLAG);
            self.br(done);
            self.end();
        }
        // Two floats, or one and a number in the instruction. An integer and a float aren't compared as
        // floats.
        let is_mixed = [(left, kinds.0), (right, kinds.1)]
            .iter()
            .any(|(operand, kind)| {
                matches!(operand, Operand::Register(_)) && *kind == Known::Integer
            });
        if is_mixed {
            self.br(other);
        } else {
            for operand in [left, right] {
                if let Operand::Register(register) = operand
                    && self.kind(operand) == Known::Value
                {
                    let tag = self.locals.tag(register);
                    self.get(tag);
                    self.i32(tag::FLOAT);
                    self.put(&W::I32Ne);
                    self.br_if(other);
                }
            }
            for operand in [left, right] {
                match operand {
                    Operand::Register(register) if self.kind(operand) == Known::Value => {
                        let bits = self.locals.bits(register);
                        self.get(bits);
                        self.put(&W::F64ReinterpretI64);
                    }
                    _ => self.float(operand),
                }
            }
            self.put(&floats);
            self.set(FLAG);
            self.br(done);
        }
        self.end();
        self.ask(pc);
        self.set(FLAG);
        self.end();
        self.get(FLAG);
    }
}
