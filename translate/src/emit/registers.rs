//! What is known of Lua's registers, and where it is kept.
//!
//! Each register is in memory, always. What is known of it besides is in local variables, so that
//! it needn't be read again.

use wasm_encoder::Instruction as W;

use super::{BASE, CONSTANTS, Emitter, SLOT};
use crate::dump::Constant;
use crate::layout::{tag, value};

/// What is known of a register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Known {
    /// Nothing: it has to be read.
    Nothing,
    /// Its value is in two variables, tag and bits.
    Value,
    /// It is an integer, which is in the variable of bits.
    Integer,
    /// It is a float, which is in the variable for that.
    Float,
}

/// What is known of all of them.
#[derive(Clone, Debug)]
pub(super) struct Registers(Vec<Register>);

#[derive(Clone, Copy, Debug)]
struct Register {
    known: Known,
    /// Whether a variable says which table it is, if it is one.
    looked_at: bool,
}

const UNKNOWN: Register = Register {
    known: Known::Nothing,
    looked_at: false,
};

impl Registers {
    pub(super) fn unknown(count: usize) -> Registers {
        Registers(vec![UNKNOWN; count])
    }

    pub(super) fn known(&self, register: usize) -> Known {
        self.0.get(register).map_or(Known::Nothing, |it| it.known)
    }

    pub(super) fn is_looked_at(&self, register: usize) -> bool {
        self.0.get(register).is_some_and(|it| it.looked_at)
    }

    fn set(&mut self, register: usize, known: Known, looked_at: bool) {
        if let Some(it) = self.0.get_mut(register) {
            *it = Register { known, looked_at };
        }
    }

    /// Leaves what is known in `other` as well. Says whether that is less.
    pub(super) fn meet(&mut self, other: &Registers) -> bool {
        let mut changed = false;
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            let known = match (own.known, other.known) {
                (one, two) if one == two => one,
                (Known::Nothing, _) | (_, Known::Nothing) => Known::Nothing,
                _ => Known::Value,
            };
            let looked_at = own.looked_at && other.looked_at;
            changed |= known != own.known || looked_at != own.looked_at;
            *own = Register { known, looked_at };
        }
        changed
    }
}

/// Where a register is, in bytes from the first.
pub(super) fn offset(register: usize) -> u32 {
    value::SIZE * super::index(register)
}

/// So many values, in bytes.
pub(super) fn address(values: u32) -> i32 {
    i32::try_from(value::SIZE * values).unwrap_or(i32::MAX)
}

/// The tag of a constant.
pub(super) fn tag_of(constant: Constant) -> i32 {
    match constant {
        Constant::Nil => tag::NIL,
        Constant::Boolean(false) => tag::FALSE,
        Constant::Boolean(true) => tag::TRUE,
        Constant::Integer(_) => tag::INTEGER,
        Constant::Float(_) => tag::FLOAT,
        Constant::Short => tag::SHORT,
        Constant::Long => tag::LONG,
    }
}

impl Emitter<'_> {
    pub(super) fn is_captured(&self, register: usize) -> bool {
        self.lua.captured.get(register).copied().unwrap_or(false)
    }

    /// Notes what is known of a register that was written. Nothing, if other functions may write to it.
    fn note(&mut self, register: usize, known: Known) {
        let known = match self.is_captured(register) {
            true => Known::Nothing,
            false => known,
        };
        self.now.set(register, known, false);
    }

    pub(super) fn forget(&mut self, register: usize) {
        self.now.set(register, Known::Nothing, false);
    }

    pub(super) fn forget_some(&mut self, first: usize, count: usize) {
        for register in first..first + count {
            self.forget(register);
        }
    }

    pub(super) fn forget_from(&mut self, first: usize) {
        self.forget_some(first, (self.lua.registers + 1).saturating_sub(first));
    }

    /// Notes that the variable has the integer that was written to the register by something else.
    pub(super) fn note_integer(&mut self, register: usize) {
        self.note(register, Known::Integer);
    }

    /// The same of a float.
    pub(super) fn note_float(&mut self, register: usize) {
        self.note(register, Known::Float);
    }

    /// The same of a value.
    pub(super) fn note_value(&mut self, register: usize) {
        self.note(register, Known::Value);
    }

    /// Reads a register's value into its variables.
    pub(super) fn read(&mut self, register: usize) {
        let (bits, tag) = (self.locals.bits(register), self.locals.tag(register));
        self.get(BASE);
        self.load_64(offset(register));
        self.set(bits);
        self.get(BASE);
        self.load_8(offset(register) + value::TAG);
        self.set(tag);
    }

    /// Sees to it that a register's value is in its variables, if it isn't known what number it is.
    pub(super) fn look_at(&mut self, register: usize) {
        if self.now.known(register) == Known::Nothing {
            let looked_at = self.now.is_looked_at(register);
            self.read(register);
            if !self.is_captured(register) {
                self.now.set(register, Known::Value, looked_at);
            }
        }
    }

    /// Sees to it that a register's value is in the variables for tag and bits, whatever it is. What is
    /// known stays the same, unless it was nothing.
    pub(super) fn look_up(&mut self, register: usize) {
        let (bits, tag) = (self.locals.bits(register), self.locals.tag(register));
        match self.now.known(register) {
            Known::Nothing => self.look_at(register),
            Known::Value => {}
            Known::Integer => {
                self.i32(tag::INTEGER);
                self.set(tag);
            }
            Known::Float => {
                self.i32(tag::FLOAT);
                self.set(tag);
                let float = self.locals.float(register);
                self.get(float);
                self.put(&W::I64ReinterpretF64);
                self.set(bits);
            }
        }
    }

    /// Puts what is known of registers where the instruction at `pc` expects it.
    pub(super) fn become_known(&mut self, pc: usize) {
        let Some(expected) = self.before[pc].clone() else {
            return;
        };
        for register in 0..expected.0.len() {
            if expected.known(register) == Known::Value && self.now.known(register) != Known::Value
            {
                self.look_up(register);
            }
        }
    }

    /// The variable that has the table in a register, or zero.
    pub(super) fn table(&mut self, register: usize) -> u32 {
        let local = self.locals.table(register);
        if self.now.is_looked_at(register) {
            return local;
        }
        self.look_up(register);
        let (bits, tag) = (self.locals.bits(register), self.locals.tag(register));
        self.get(bits);
        self.put(&W::I32WrapI64);
        self.i32(0);
        self.get(tag);
        self.i32(tag::TABLE);
        self.put(&W::I32Eq);
        self.put(&W::Select);
        self.set(local);
        if !self.is_captured(register) {
            let known = self.now.known(register);
            self.now.set(register, known, true);
        }
        local
    }

    /// Notes that a register has a table, written by something else.
    pub(super) fn note_table(&mut self, register: usize) {
        if !self.is_captured(register) {
            let local = self.locals.table(register);
            self.get(BASE);
            self.load(offset(register));
            self.set(local);
            self.now.set(register, Known::Nothing, true);
        }
    }

    /// Puts the integer on the stack into a register.
    pub(super) fn put_integer(&mut self, register: usize) {
        let bits = self.locals.bits(register);
        self.set(bits);
        self.write_integer(register);
    }

    /// Writes the integer in its variable to a register.
    pub(super) fn write_integer(&mut self, register: usize) {
        let bits = self.locals.bits(register);
        self.get(BASE);
        self.get(bits);
        self.store_64(offset(register));
        if self.now.known(register) != Known::Integer {
            self.get(BASE);
            self.i32(tag::INTEGER);
            self.store_8(offset(register) + value::TAG);
        }
        self.note(register, Known::Integer);
    }

    /// Puts the float on the stack into a register.
    pub(super) fn put_float(&mut self, register: usize) {
        let float = self.locals.float(register);
        self.set(float);
        self.get(BASE);
        self.get(float);
        self.store_float(offset(register));
        if self.now.known(register) != Known::Float {
            self.get(BASE);
            self.i32(tag::FLOAT);
            self.store_8(offset(register) + value::TAG);
        }
        self.note(register, Known::Float);
    }

    /// Puts the value on the stack into a register: bits, and above them a tag.
    pub(super) fn put_value(&mut self, register: usize) {
        self.write_value(register);
        self.note(register, Known::Value);
    }

    /// The same, which notes nothing.
    pub(super) fn write_value(&mut self, register: usize) {
        let (bits, tag) = (self.locals.bits(register), self.locals.tag(register));
        self.set(tag);
        self.set(bits);
        self.get(BASE);
        self.get(bits);
        self.store_64(offset(register));
        self.get(BASE);
        self.get(tag);
        self.store_8(offset(register) + value::TAG);
    }

    /// Copies a register.
    pub(super) fn copy(&mut self, to: usize, from: usize) {
        match self.now.known(from) {
            Known::Integer => {
                let bits = self.locals.bits(from);
                self.get(bits);
                self.put_integer(to);
            }
            Known::Float => {
                let float = self.locals.float(from);
                self.get(float);
                self.put_float(to);
            }
            Known::Nothing | Known::Value => {
                let is_looked_at = self.now.is_looked_at(from);
                self.look_at(from);
                self.value_of(from);
                self.put_value(to);
                if is_looked_at && !self.is_captured(to) && to != from {
                    let (own, theirs) = (self.locals.table(to), self.locals.table(from));
                    self.get(theirs);
                    self.set(own);
                    let known = self.now.known(to);
                    self.now.set(to, known, true);
                }
            }
        }
    }

    /// The value in a register's variables: bits, and above them the tag.
    pub(super) fn value_of(&mut self, register: usize) {
        let (bits, tag) = (self.locals.bits(register), self.locals.tag(register));
        self.get(bits);
        self.get(tag);
    }

    /// The value in the slot.
    pub(super) fn value_at_slot(&mut self) {
        self.get(SLOT);
        self.load_64(0);
        self.get(SLOT);
        self.load_8(value::TAG);
    }

    /// The bits of a constant.
    pub(super) fn constant_bits(&mut self, number: usize) {
        match self.constant(number) {
            Constant::Nil | Constant::Boolean(_) => self.i64(0),
            Constant::Integer(value) => self.i64(value),
            Constant::Float(value) => self.i64(value.to_bits().cast_signed()),
            Constant::Short | Constant::Long => {
                self.get(CONSTANTS);
                self.load_64(offset(number));
            }
        }
    }

    /// Whether a tag on the stack is that of nil, or of what is empty.
    pub(super) fn is_nothing(&mut self) {
        self.i32(tag::TYPE);
        self.put(&W::I32And);
        self.put(&W::I32Eqz);
    }

    /// Whether a register is false or nil.
    pub(super) fn is_false(&mut self, register: usize) {
        if matches!(self.now.known(register), Known::Integer | Known::Float) {
            return self.i32(0);
        }
        self.look_at(register);
        let tag = self.locals.tag(register);
        self.get(tag);
        self.i32(tag::FALSE);
        self.put(&W::I32Eq);
        self.get(tag);
        self.is_nothing();
        self.put(&W::I32Or);
    }
}
