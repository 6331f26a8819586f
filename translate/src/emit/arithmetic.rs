//! Arithmetic and operations on bits.

use wasm_encoder::{Instruction as W, ValType};

use super::assembler::Label;
use super::registers::{Known, offset};
use super::{BASE, Emitter};
use crate::dump::Constant;
use crate::instruction::{Instruction, Op};
use crate::layout::{helper, tag, value};
use crate::uses;

/// What an operation is about.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    Register(usize),
    Integer(i64),
    Float(f64),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
    Mod,
    Pow,
    Div,
    IDiv,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bits {
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

impl Emitter<'_> {
    /// An instruction of arithmetic, which the one for its metamethod is behind.
    pub(super) fn arithmetic(&mut self, pc: usize, i: Instruction) {
        use Arithmetic::{Add, Div, IDiv, Mod, Mul, Pow, Sub};

        let b = Operand::Register(i.b());
        let c = Operand::Register(i.c());
        let (operation, right) = match i.op {
            Op::AddI => (Add, Operand::Integer(i.sc())),
            Op::AddK => (Add, self.number(i.c())),
            Op::SubK => (Sub, self.number(i.c())),
            Op::MulK => (Mul, self.number(i.c())),
            Op::ModK => (Mod, self.number(i.c())),
            Op::PowK => (Pow, self.number(i.c())),
            Op::DivK => (Div, self.number(i.c())),
            Op::IDivK => (IDiv, self.number(i.c())),
            Op::Add => (Add, c),
            Op::Sub => (Sub, c),
            Op::Mul => (Mul, c),
            Op::Mod => (Mod, c),
            Op::Pow => (Pow, c),
            Op::Div => (Div, c),
            Op::IDiv => (IDiv, c),
            Op::BAndK => return self.bits(pc, i.a(), (b, self.number(i.c())), Bits::And),
            Op::BOrK => return self.bits(pc, i.a(), (b, self.number(i.c())), Bits::Or),
            Op::BXorK => return self.bits(pc, i.a(), (b, self.number(i.c())), Bits::Xor),
            Op::ShrI => {
                return self.bits(pc, i.a(), (b, Operand::Integer(i.sc())), Bits::ShiftRight);
            }
            Op::ShlI => {
                return self.bits(pc, i.a(), (Operand::Integer(i.sc()), b), Bits::ShiftLeft);
            }
            Op::BAnd => return self.bits(pc, i.a(), (b, c), Bits::And),
            Op::BOr => return self.bits(pc, i.a(), (b, c), Bits::Or),
            Op::BXor => return self.bits(pc, i.a(), (b, c), Bits::Xor),
            Op::Shl => return self.bits(pc, i.a(), (b, c), Bits::ShiftLeft),
            // The one that is left.
            _ => return self.bits(pc, i.a(), (b, c), Bits::ShiftRight),
        };
        self.calculate(pc, i.a(), (b, right), operation);
    }

    /// A constant that is a number.
    fn number(&self, constant: usize) -> Operand {
        match self.constant(constant) {
            Constant::Integer(value) => Operand::Integer(value),
            Constant::Float(value) => Operand::Float(value),
            // It was checked that it is one.
            _ => Operand::Integer(0),
        }
    }

    /// What is known of an operand, once it was looked at.
    pub(super) fn kind(&self, operand: Operand) -> Known {
        match operand {
            Operand::Integer(_) => Known::Integer,
            Operand::Float(_) => Known::Float,
            Operand::Register(register) => match self.now.known(register) {
                // What others may write to was read just now.
                Known::Nothing => Known::Value,
                known => known,
            },
        }
    }

    pub(super) fn look_at_operand(&mut self, operand: Operand) {
        if let Operand::Register(register) = operand {
            self.look_at(register);
        }
    }

    /// Its value, which is an integer.
    pub(super) fn integer(&mut self, operand: Operand) {
        match operand {
            Operand::Register(register) => {
                let bits = self.locals.bits(register);
                self.get(bits);
            }
            Operand::Integer(value) => self.i64(value),
            Operand::Float(_) => self.i64(0),
        }
    }

    /// Its value as a float; what is known says which number it is.
    pub(super) fn float(&mut self, operand: Operand) {
        match operand {
            Operand::Register(register) if self.now.known(register) == Known::Float => {
                let float = self.locals.float(register);
                self.get(float);
            }
            Operand::Register(_) => {
                self.integer(operand);
                self.put(&W::F64ConvertI64S);
            }
            #[expect(clippy::cast_precision_loss, reason = "as Lua does it")]
            Operand::Integer(value) => self.f64(value as f64),
            Operand::Float(value) => self.f64(value),
        }
    }

    /// Its value as a float, whatever number it is; leaves by `other` if it is none.
    fn any_float(&mut self, operand: Operand, other: Label) {
        let Operand::Register(register) = operand else {
            return self.float(operand);
        };
        if self.kind(operand) != Known::Value {
            return self.float(operand);
        }
        let (bits, tag) = (self.locals.bits(register), self.locals.tag(register));
        self.get(tag);
        self.i32(tag::FLOAT);
        self.put(&W::I32Eq);
        self.if_giving(ValType::F64);
        self.get(bits);
        self.put(&W::F64ReinterpretI64);
        self.else_();
        self.get(tag);
        self.i32(tag::INTEGER);
        self.put(&W::I32Ne);
        self.br_if(other);
        self.get(bits);
        self.put(&W::F64ConvertI64S);
        self.end();
    }

    /// Leaves by `other` if it isn't an integer.
    pub(super) fn only_integer(&mut self, operand: Operand, other: Label) {
        if let Operand::Register(register) = operand
            && self.kind(operand) == Known::Value
        {
            let tag = self.locals.tag(register);
            self.get(tag);
            self.i32(tag::INTEGER);
            self.put(&W::I32Ne);
            self.br_if(other);
        }
    }

    /// The result for integers; leaves by `other` where it isn't that simple.
    fn on_integers(&mut self, operation: Arithmetic, (a, b): (Operand, Operand), other: Label) {
        let simple = match operation {
            Arithmetic::Add => W::I64Add,
            Arithmetic::Sub => W::I64Sub,
            Arithmetic::Mul => W::I64Mul,
            _ => {
                // WebAssembly rounds towards zero, Lua down. By what is greater than zero.
                if !matches!(b, Operand::Integer(1..)) {
                    self.integer(b);
                    self.i64(1);
                    self.put(&W::I64LtS);
                    self.br_if(other);
                }
                let rest = self.locals.integer(0);
                self.integer(a);
                self.integer(b);
                self.put(&W::I64RemS);
                self.set(rest);
                if operation == Arithmetic::Mod {
                    self.get(rest);
                    self.integer(b);
                } else {
                    self.integer(a);
                    self.integer(b);
                    self.put(&W::I64DivS);
                }
                self.get(rest);
                self.i64(63);
                self.put(&W::I64ShrS);
                if operation == Arithmetic::Mod {
                    self.put(&W::I64And);
                }
                self.put(&W::I64Add);
                return;
            }
        };
        self.integer(a);
        self.integer(b);
        self.put(&simple);
    }

    /// The result for the floats that `a` and `b` put on the stack.
    fn on_floats(
        &mut self,
        operation: Arithmetic,
        (a, b): (Operand, Operand),
        mut push: impl FnMut(&mut Self, Operand),
    ) {
        push(self, a);
        let is_square = match b {
            Operand::Integer(value) => value == 2,
            Operand::Float(value) => value == 2.0,
            Operand::Register(_) => false,
        };
        if operation == Arithmetic::Pow && is_square {
            let number = self.locals.number(0);
            self.tee(number);
            self.get(number);
            return self.put(&W::F64Mul);
        }
        push(self, b);
        match operation {
            Arithmetic::Add => self.put(&W::F64Add),
            Arithmetic::Sub => self.put(&W::F64Sub),
            Arithmetic::Mul => self.put(&W::F64Mul),
            Arithmetic::Div => self.put(&W::F64Div),
            Arithmetic::IDiv => {
                self.put(&W::F64Div);
                self.put(&W::F64Floor);
            }
            Arithmetic::Mod => self.put(&W::Call(helper::FMOD)),
            Arithmetic::Pow => self.put(&W::Call(helper::POW)),
        }
    }

    fn calculate(
        &mut self,
        pc: usize,
        to: usize,
        operands: (Operand, Operand),
        operation: Arithmetic,
    ) {
        let (a, b) = operands;
        let only_floats = matches!(operation, Arithmetic::Div | Arithmetic::Pow);
        self.look_at_operand(a);
        self.look_at_operand(b);
        let (bits, float) = (self.locals.bits(to), self.locals.float(to));
        let kinds = (self.kind(a), self.kind(b));
        if kinds == (Known::Integer, Known::Integer) && !only_floats {
            let done = self.block();
            let other = self.block();
            self.on_integers(operation, operands, other);
            self.set(bits);
            self.br(done);
            self.end();
            // An integer, or an error.
            self.ask_for_nothing(pc);
            self.get(BASE);
            self.load_64(offset(to));
            self.set(bits);
            self.end();
            self.write_integer(to);
            return self.go_on(pc + 2);
        }
        if kinds.0 != Known::Value && kinds.1 != Known::Value {
            self.on_floats(operation, operands, Self::float);
            self.put_float(to);
            return self.go_on(pc + 2);
        }
        // If there is a number on the other side, the result is a float, or a metamethod's: then the interpreter
        // has to go on, which isn't worth it where nothing is gained by knowing that it is a float.
        let gives_float = kinds.0 == Known::Float
            || kinds.1 == Known::Float
            || only_floats && (kinds.0 == Known::Integer || kinds.1 == Known::Integer);
        let gives_float =
            gives_float && !self.is_captured(to) && uses::is_number(&self.lua.code, pc, to);
        let done = self.block();
        let other = self.block();
        if gives_float {
            self.on_floats(operation, operands, |emitter, operand| {
                emitter.any_float(operand, other);
            });
            self.set(float);
            let kept = self.now.clone();
            self.get(float);
            self.put_float(to);
            self.now = kept;
            self.br(done);
            self.end();
            self.ask_for_nothing(pc);
            // A metamethod may give anything: then the interpreter goes on.
            self.get(BASE);
            self.load_8(offset(to) + value::TAG);
            self.i32(tag::FLOAT);
            self.put(&W::I32Ne);
            self.if_();
            self.leave(pc + 2);
            self.end();
            self.get(BASE);
            self.load_float(offset(to));
            self.set(float);
            self.end();
            self.note_float(to);
            return self.go_on(pc + 2);
        }
        let is_float = kinds.0 == Known::Float || kinds.1 == Known::Float;
        if !only_floats && !is_float {
            let not_integers = self.block();
            self.only_integer(a, not_integers);
            self.only_integer(b, not_integers);
            self.on_integers(operation, operands, other);
            self.i32(tag::INTEGER);
            self.write_value(to);
            self.br(done);
            self.end();
        }
        self.on_floats(operation, operands, |emitter, operand| {
            emitter.any_float(operand, other);
        });
        self.put(&W::I64ReinterpretF64);
        self.i32(tag::FLOAT);
        self.write_value(to);
        self.br(done);
        self.end();
        self.ask_for_nothing(pc);
        self.read(to);
        self.end();
        self.note_value(to);
        self.go_on(pc + 2);
    }

    fn bits(&mut self, pc: usize, to: usize, operands: (Operand, Operand), operation: Bits) {
        let (a, b) = operands;
        self.look_at_operand(a);
        self.look_at_operand(b);
        let kinds = (self.kind(a), self.kind(b));
        if kinds.0 == Known::Float || kinds.1 == Known::Float {
            self.ask_for_nothing(pc);
            self.forget(to);
            return self.go_on(pc + 2);
        }
        let gives_integer = kinds == (Known::Integer, Known::Integer);
        let bits = self.locals.bits(to);
        let done = self.block();
        let other = self.block();
        self.only_integer(a, other);
        self.only_integer(b, other);
        if matches!(operation, Bits::ShiftLeft | Bits::ShiftRight) {
            self.integer(b);
            self.i64(64);
            self.put(&W::I64GeU);
            self.br_if(other);
        }
        self.integer(a);
        self.integer(b);
        self.put(&match operation {
            Bits::And => W::I64And,
            Bits::Or => W::I64Or,
            Bits::Xor => W::I64Xor,
            Bits::ShiftLeft => W::I64Shl,
            Bits::ShiftRight => W::I64ShrU,
        });
        if gives_integer {
            self.set(bits);
        } else {
            self.i32(tag::INTEGER);
            self.write_value(to);
        }
        self.br(done);
        self.end();
        self.ask_for_nothing(pc);
        if gives_integer {
            self.get(BASE);
            self.load_64(offset(to));
            self.set(bits);
        } else {
            self.read(to);
        }
        self.end();
        if gives_integer {
            self.write_integer(to);
        } else {
            self.note_value(to);
        }
        self.go_on(pc + 2);
    }

    pub(super) fn negate(&mut self, pc: usize, i: Instruction) {
        let (a, b) = (i.a(), i.b());
        match self.now.known(b) {
            Known::Integer => {
                self.i64(0);
                self.integer(Operand::Register(b));
                self.put(&W::I64Sub);
                self.put_integer(a);
            }
            Known::Float => {
                self.float(Operand::Register(b));
                self.put(&W::F64Neg);
                self.put_float(a);
            }
            Known::Nothing | Known::Value => {
                self.ask_for_nothing(pc);
                self.forget(a);
            }
        }
        self.go_on(pc + 1);
    }
}
