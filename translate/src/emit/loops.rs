//! Loops: over numbers, and of iterators.

use wasm_encoder::Instruction as W;

use super::arithmetic::Operand;
use super::registers::{Known, offset};
use super::{BASE, Emitter, FRAME, THREAD};
use crate::instruction::{Instruction, Op};
use crate::layout::{helper, tag, value};

impl Emitter<'_> {
    /// The integer in a register, in memory.
    fn load_integer(&mut self, register: usize) {
        self.get(BASE);
        self.load_64(offset(register));
    }

    /// Writes the integer in a variable to a register that has one.
    fn store_integer(&mut self, register: usize, local: u32) {
        self.get(BASE);
        self.get(local);
        self.store_64(offset(register));
    }

    fn store_integer_tag(&mut self, register: usize) {
        self.get(BASE);
        self.i32(tag::INTEGER);
        self.store_8(offset(register) + value::TAG);
    }

    /// The end of a loop over numbers: the number itself, how often it is to be done still, the step, and the
    /// script's variable.
    pub(super) fn for_loop(&mut self, pc: usize, i: Instruction) {
        let a = i.a();
        let body = pc + 1 - i.bx();
        let is_integer = (a..a + 3).all(|it| self.now.known(it) == Known::Integer);
        if is_integer {
            let [number, count, step, variable] =
                [a, a + 1, a + 2, a + 3].map(|it| self.locals.bits(it));
            self.get(count);
            self.i64(0);
            self.put(&W::I64Ne);
            self.if_();
            self.get(count);
            self.i64(1);
            self.put(&W::I64Sub);
            self.set(count);
            self.get(number);
            self.get(step);
            self.put(&W::I64Add);
            self.tee(number);
            self.set(variable);
            let kept = self.now.clone();
            self.write_integer(a + 1);
            self.write_integer(a);
            self.write_integer(a + 3);
            self.jump(body);
            self.end();
            self.now = kept;
            self.forget(a + 3);
            return self.go_on(pc + 1);
        }
        let (count, number) = (self.locals.integer(0), self.locals.integer(1));
        let kept = self.now.clone();
        self.forget_some(a, 4);
        self.get(BASE);
        self.load_8(offset(a + 2) + value::TAG);
        self.i32(tag::INTEGER);
        self.put(&W::I32Eq);
        self.if_();
        self.load_integer(a + 1);
        self.tee(count);
        self.i64(0);
        self.put(&W::I64Ne);
        self.if_();
        self.get(count);
        self.i64(1);
        self.put(&W::I64Sub);
        self.set(count);
        self.store_integer(a + 1, count);
        self.load_integer(a);
        self.load_integer(a + 2);
        self.put(&W::I64Add);
        self.set(number);
        self.store_integer(a, number);
        self.store_integer(a + 3, number);
        self.store_integer_tag(a + 3);
        self.jump(body);
        self.end();
        self.else_();
        self.ask(pc);
        self.if_();
        self.jump(body);
        self.end();
        self.end();
        self.now = kept;
        self.forget_some(a, 4);
        self.go_on(pc + 1);
    }

    /// The beginning of a loop over numbers.
    pub(super) fn for_prepare(&mut self, pc: usize, i: Instruction) {
        let a = i.a();
        let behind = pc + 1 + i.bx() + 1;
        let may_be_captured = (a..a + 3).any(|it| self.lua.captured[it]);
        let is_float = self.now.known(a) == Known::Float || self.now.known(a + 2) == Known::Float;
        if is_float || may_be_captured {
            self.ask(pc);
            self.forget_some(a, 4);
            self.if_();
            self.jump(behind);
            self.end();
            return self.go_on(pc + 1);
        }
        let is_by_one = pc.checked_sub(1).is_some_and(|before| {
            let before = self.lua.code[before];
            before.op == Op::LoadI && before.a() == a + 2 && before.sbx() == 1
        });
        let kept = self.now.clone();
        let done = self.block();
        if is_by_one && self.now.known(a + 2) == Known::Integer {
            self.prepare_by_one(a, behind);
            // `prepare_by_one` leaves by its own block where it can't.
            self.br(done);
            self.end();
        }
        self.now = kept;
        self.ask(pc);
        self.forget_some(a, 4);
        self.if_();
        self.jump(behind);
        self.end();
        // A loop over floats is left to the interpreter.
        self.get(BASE);
        self.load_8(offset(a) + value::TAG);
        self.i32(tag::INTEGER);
        self.put(&W::I32Ne);
        self.if_();
        self.leave(pc + 1);
        self.end();
        self.end();
        for register in a..a + 4 {
            let bits = self.locals.bits(register);
            self.load_integer(register);
            self.set(bits);
            self.note_integer(register);
        }
        self.go_on(pc + 1);
    }

    /// Prepares a loop over integers by one, in a block that is left open; leaves by its end if it is over
    /// something else.
    fn prepare_by_one(&mut self, a: usize, behind: usize) {
        let (from, to) = (Operand::Register(a), Operand::Register(a + 1));
        self.look_at(a);
        self.look_at(a + 1);
        let other = self.block();
        self.only_integer(from, other);
        match self.kind(to) {
            Known::Float => self.br(other),
            _ => self.only_integer(to, other),
        }
        let count = self.locals.integer(0);
        self.integer(from);
        self.integer(to);
        self.put(&W::I64GtS);
        self.if_();
        let kept = self.now.clone();
        self.forget_some(a, 4);
        self.jump(behind);
        self.now = kept;
        self.end();
        self.integer(to);
        self.integer(from);
        self.put(&W::I64Sub);
        self.set(count);
        self.store_integer(a + 1, count);
        let from = self.locals.bits(a);
        self.store_integer(a + 3, from);
        self.store_integer_tag(a + 3);
    }

    /// The instructions of a loop of an iterator: the call of the iterator comes first here.
    pub(super) fn generic_for(&mut self, pc: usize, i: Instruction) {
        let a = i.a();
        match i.op {
            Op::TForPrep => {
                self.ask_for_nothing(pc);
                self.go_on(pc + 1 + i.bx());
            }
            Op::TForCall => {
                self.get(THREAD);
                self.get(FRAME);
                self.i32(i32::try_from(a << 8 | i.c()).unwrap_or(0));
                self.put(&W::Call(helper::NEXT));
                self.put(&W::I32Eqz);
                self.if_();
                self.ask_for_nothing(pc);
                self.end();
                self.forget_from(a + 4);
                self.go_on(pc + 1);
            }
            // `TForLoop`.
            _ => {
                let body = pc + 1 - i.bx();
                self.look_at_trap(pc);
                self.look_at(a + 4);
                let tag = self.locals.tag(a + 4);
                self.get(tag);
                self.is_nothing();
                self.if_();
                self.jump(pc + 1);
                self.end();
                self.value_of(a + 4);
                self.put_value(a + 2);
                self.go_on(body);
            }
        }
    }
}
