//! Moving values between registers, constants and upvalues.

use wasm_encoder::Instruction as W;

use super::assembler::Label;
use super::registers::{self, Known};
use super::{Emitter, FLAG, SLOT};
use crate::dump::Constant;
use crate::instruction::{Instruction, Op};
use crate::layout::{tag, value};

impl Emitter<'_> {
    /// Moves values.
    pub(super) fn moves(&mut self, pc: usize, i: Instruction) {
        let a = i.a();
        let mut next = pc + 1;
        match i.op {
            Op::Move => self.copy(a, i.b()),
            Op::LoadI => {
                self.i64(i.sbx());
                self.put_integer(a);
            }
            Op::LoadF => {
                #[expect(clippy::cast_precision_loss, reason = "they have 17 bits")]
                self.f64(i.sbx() as f64);
                self.put_float(a);
            }
            Op::LoadK => match self.constant(i.bx()) {
                Constant::Integer(value) => {
                    self.i64(value);
                    self.put_integer(a);
                }
                Constant::Float(value) => {
                    self.f64(value);
                    self.put_float(a);
                }
                constant => {
                    self.constant_bits(i.bx());
                    self.i32(registers::tag_of(constant));
                    self.put_value(a);
                }
            },
            Op::LoadKX => {
                self.ask_for_nothing(pc);
                self.forget(a);
                next = pc + 2;
            }
            Op::LoadFalse | Op::LFalseSkip | Op::LoadTrue => {
                self.i64(0);
                self.i32(match i.op {
                    Op::LoadTrue => tag::TRUE,
                    _ => tag::FALSE,
                });
                self.put_value(a);
                if i.op == Op::LFalseSkip {
                    next = pc + 2;
                }
            }
            Op::LoadNil => {
                for register in a..=a + i.b() {
                    self.i64(0);
                    self.i32(tag::NIL);
                    self.put_value(register);
                }
            }
            Op::GetUpval => {
                self.upvalue(i.b());
                self.set(SLOT);
                self.value_at_slot();
                self.put_value(a);
            }
            Op::SetUpval => self.set_upvalue(pc, i),
            _ => {
                self.is_false(i.b());
                self.set(FLAG);
                self.i64(0);
                self.i32(tag::TRUE);
                self.i32(tag::FALSE);
                self.get(FLAG);
                self.put(&W::Select);
                self.put_value(a);
            }
        }
        self.go_on(next);
    }

    fn set_upvalue(&mut self, pc: usize, i: Instruction) {
        let a = i.a();
        let is_number = matches!(self.now.known(a), Known::Integer | Known::Float);
        let kept = self.now.clone();
        self.look_up(a);
        let (bits, tag) = (self.locals.bits(a), self.locals.tag(a));
        let done: Label = self.block();
        if !is_number {
            // The collector may have to know.
            self.get(tag);
            self.i32(tag::COLLECTABLE);
            self.put(&W::I32And);
            self.if_();
            self.ask_for_nothing(pc);
            self.br(done);
            self.end();
        }
        self.upvalue(i.b());
        self.tee(SLOT);
        self.get(bits);
        self.store_64(0);
        self.get(SLOT);
        self.get(tag);
        self.store_8(value::TAG);
        self.end();
        if is_number {
            self.now = kept;
        }
    }
}
