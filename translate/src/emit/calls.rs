//! Calls and returns.
//!
//! A function of the module gives what is to be done next: nothing, if its frame has ended; the address of
//! a frame that the interpreter is to run, since it isn't translated or the native stack is deep;
//! the same and one, of a frame in which the interpreter is to go on; or that an error or a yield
//! unwinds. Whoever gets anything but the first gives it to who called it.

use wasm_encoder::{Instruction as W, ValType};

use super::assembler::Label;
use super::registers::{Known, address, offset};
use super::{
    BASE, CLOSURE, DEPTH, Emitter, FLAG, FRAME, KEY, OTHER, SLOT, TABLE, TAG, THREAD, index,
};
use crate::instruction::{Instruction, Op};
use crate::layout::{DEPTH_LIMIT, closure, frame, helper, proto, state, tag, value};
use crate::module::FUNCTION;

/// Bits that neither a frame's address has.
const NO_FRAME: i32 = 3;

impl Emitter<'_> {
    /// What a function that is called from here has for its depth: more by what this one's frame may
    /// have in the native stack, in bytes.
    fn deeper(&mut self) {
        let registers = i32::try_from(self.lua.registers).unwrap_or(i32::MAX);
        self.get(DEPTH);
        self.i32(192 + 40 * registers);
        self.put(&W::I32Add);
    }

    /// Whether there is no room for calls in the native stack.
    fn is_deep(&mut self) {
        self.get(DEPTH);
        self.i32(DEPTH_LIMIT);
        self.put(&W::I32GeU);
    }

    /// Calls the function at the place that is in `place`, for the frame in `callee`.
    fn call_place(&mut self, callee: u32, place: u32) {
        self.get(THREAD);
        self.get(callee);
        self.deeper();
        self.get(place);
        self.put(&W::CallIndirect {
            type_index: FUNCTION,
            table_index: 0,
        });
    }

    /// Gives what is on the stack to the caller, unless it is zero.
    fn return_if_any(&mut self) {
        self.tee(OTHER);
        self.if_();
        self.get(OTHER);
        self.put(&W::Return);
        self.end();
    }

    /// The place in the table of the function of the frame on the stack.
    fn place_of_frame(&mut self) {
        self.load(frame::FUNC);
        self.load(0);
        self.load(closure::PROTO);
        self.load_16(proto::COMPILED);
    }

    pub(super) fn call(&mut self, pc: usize, i: Instruction) {
        // Locals for other things, elsewhere.
        let (callee, prototype, place) = (TABLE, KEY, SLOT);
        let (function, top, size) = (FLAG, TAG, OTHER);
        let (a, b) = (i.a(), i.b());
        let known = self.block();
        let done = self.block();
        let other = self.block();
        // A translated function of Lua's, with all of its arguments, and room for its frame.
        self.get(BASE);
        self.load_8(offset(a) + value::TAG);
        self.tee(function);
        self.i32(tag::LUA_FUNCTION);
        self.put(&W::I32Ne);
        if b > 1 && i.c() == 2 {
            self.if_();
            self.call_known(i, other);
            self.br(known);
            self.end();
        } else {
            self.br_if(other);
        }
        self.get(BASE);
        self.load(offset(a));
        self.load(closure::PROTO);
        self.tee(prototype);
        self.load_16(proto::COMPILED);
        self.tee(place);
        self.put(&W::I32Eqz);
        self.br_if(other);
        self.get(FRAME);
        self.load(frame::NEXT);
        self.tee(callee);
        self.put(&W::I32Eqz);
        self.br_if(other);
        self.get(THREAD);
        self.load(state::HOOKMASK);
        self.br_if(other);
        self.is_deep();
        self.br_if(other);
        self.get(BASE);
        self.i32(address(index(a)));
        self.put(&W::I32Add);
        self.set(function);
        if b == 0 {
            self.get(THREAD);
            self.load(state::TOP);
            self.tee(top);
            self.get(function);
            self.put(&W::I32Sub);
            self.i32(4);
            self.put(&W::I32ShrU);
            self.get(prototype);
            self.load_8(proto::PARAMETERS);
            self.put(&W::I32LeU);
        } else {
            self.get(function);
            self.i32(address(index(b)));
            self.put(&W::I32Add);
            self.set(top);
            self.get(prototype);
            self.load_8(proto::PARAMETERS);
            self.i32(i32::try_from(b - 1).unwrap_or(0));
            self.put(&W::I32GtU);
        }
        self.br_if(other);
        self.get(prototype);
        self.load_8(proto::REGISTERS);
        self.i32(4);
        self.put(&W::I32Shl);
        self.tee(size);
        self.get(THREAD);
        self.load(state::STACK_LAST);
        self.get(top);
        self.put(&W::I32Sub);
        self.put(&W::I32GeS);
        self.br_if(other);
        self.begin_frame(pc, i, (callee, prototype), (function, top, size));
        // A function that calls itself needn't be looked up.
        self.get(prototype);
        self.get(CLOSURE);
        self.load(closure::PROTO);
        self.put(&W::I32Eq);
        self.if_giving(ValType::I32);
        self.get(THREAD);
        self.get(callee);
        self.deeper();
        let own = self.number;
        self.put(&W::Call(own));
        self.else_();
        self.call_place(callee, place);
        self.end();
        self.return_if_any();
        self.br(done);
        self.end();
        self.call_by_guest(pc, callee, place);
        self.end();
        self.find_base();
        self.look_at_trap(pc + 1);
        self.end();
        self.forget_from(a);
        self.go_on(pc + 1);
    }

    /// Has the guest do a function of C's that it knows, called with arguments for one result: the function's tag
    /// is in `FLAG`. Leaves by `other` if it doesn't.
    fn call_known(&mut self, i: Instruction, other: Label) {
        self.get(FLAG);
        self.i32(tag::C_FUNCTION);
        self.put(&W::I32Ne);
        self.br_if(other);
        self.get(THREAD);
        self.get(BASE);
        self.i32(address(index(i.a())));
        self.put(&W::I32Add);
        self.i32(i32::try_from(i.b() - 1).unwrap_or(0));
        self.put(&W::Call(helper::KNOWN));
        self.put(&W::I32Eqz);
        self.br_if(other);
    }

    /// Fills in the frame of a function that is called, as the interpreter does.
    fn begin_frame(
        &mut self,
        pc: usize,
        i: Instruction,
        (callee, prototype): (u32, u32),
        (function, top, size): (u32, u32, u32),
    ) {
        self.get(THREAD);
        self.get(top);
        self.store(state::TOP);
        self.get(FRAME);
        self.address_of(pc + 1);
        self.store(frame::SAVED_PC);
        self.get(callee);
        self.get(function);
        self.store(frame::FUNC);
        self.get(callee);
        self.get(function);
        self.get(size);
        self.put(&W::I32Add);
        self.i32(address(1));
        self.put(&W::I32Add);
        self.store(frame::TOP);
        self.get(callee);
        self.get(prototype);
        self.load(proto::CODE);
        self.store(frame::SAVED_PC);
        self.get(callee);
        self.i32(0);
        self.store(frame::TRAP);
        // How many results are wanted, in two bytes, and a status of zero.
        let wanted = i32::try_from(i.c()).unwrap_or(0) - 1;
        self.get(callee);
        self.i32(wanted & 0xffff);
        self.store(frame::RESULTS);
        self.get(THREAD);
        self.get(callee);
        self.store(state::CI);
    }

    /// Has the guest make the call. It gives a frame if there is one to be run.
    fn call_by_guest(&mut self, pc: usize, callee: u32, place: u32) {
        self.get(THREAD);
        self.get(FRAME);
        self.address_of(pc + 1);
        self.deeper();
        self.put(&W::Call(helper::CALL));
        self.tee(callee);
        self.if_();
        let none = self.block();
        self.get(callee);
        self.i32(NO_FRAME);
        self.put(&W::I32And);
        self.br_if(none);
        self.get(callee);
        self.place_of_frame();
        self.tee(place);
        self.put(&W::I32Eqz);
        self.is_deep();
        self.put(&W::I32Or);
        self.get(THREAD);
        self.load(state::HOOKMASK);
        self.put(&W::I32Or);
        self.br_if(none);
        self.call_place(callee, place);
        self.set(callee);
        self.end();
        self.get(callee);
        self.return_if_any();
        self.end();
    }

    pub(super) fn tail_call(&mut self, pc: usize) {
        let (next, place) = (TABLE, SLOT);
        self.get(THREAD);
        self.get(FRAME);
        self.address_of(pc + 1);
        self.get(DEPTH);
        self.put(&W::Call(helper::TAILCALL));
        self.tee(next);
        self.get(FRAME);
        self.put(&W::I32Ne);
        self.if_();
        self.get(next);
        self.put(&W::Return);
        self.end();
        // This frame is another function's now. Calls without end have to look whether they are to stop.
        self.get(FRAME);
        self.place_of_frame();
        self.tee(place);
        self.put(&W::I32Eqz);
        self.get(THREAD);
        self.load(state::HOOKMASK);
        self.put(&W::I32Or);
        self.if_();
        self.get(FRAME);
        self.put(&W::Return);
        self.end();
        self.get(THREAD);
        self.get(FRAME);
        self.get(DEPTH);
        self.get(place);
        self.put(&W::ReturnCallIndirect {
            type_index: FUNCTION,
            table_index: 0,
        });
    }

    /// Has the guest end the frame.
    pub(super) fn return_slowly(&mut self, pc: usize) {
        self.get(THREAD);
        self.get(FRAME);
        self.address_of(pc + 1);
        self.get(DEPTH);
        self.put(&W::Call(helper::RETURN));
        self.put(&W::Return);
    }

    /// Ends the frame, with no result or one, where at most one is wanted.
    pub(super) fn return_(&mut self, pc: usize, i: Instruction) {
        let a = i.a();
        let (wanted, to) = (FLAG, SLOT);
        let other = self.block();
        self.get(FRAME);
        self.load_16_signed(frame::RESULTS);
        self.tee(wanted);
        self.i32(1);
        self.put(&W::I32GtS);
        self.br_if(other);
        self.get(THREAD);
        self.load(state::HOOKMASK);
        self.br_if(other);
        self.get(BASE);
        self.i32(address(1));
        self.put(&W::I32Sub);
        self.set(to);
        self.get(wanted);
        if i.op == Op::Return0 {
            // As many as there are, which is none, for -1.
            self.i32(1);
            self.put(&W::I32Eq);
        }
        self.if_();
        if i.op == Op::Return0 {
            self.get(to);
            self.i32(tag::NIL);
            self.store_8(value::TAG);
        } else {
            self.return_value(a, to);
        }
        self.get(THREAD);
        self.get(BASE);
        self.store(state::TOP);
        self.else_();
        self.get(THREAD);
        self.get(to);
        self.store(state::TOP);
        self.end();
        self.get(THREAD);
        self.get(FRAME);
        self.load(frame::PREVIOUS);
        self.store(state::CI);
        self.i32(0);
        self.put(&W::Return);
        self.end();
        self.return_slowly(pc);
    }

    /// Copies the value of a register to where the caller expects it.
    fn return_value(&mut self, register: usize, to: u32) {
        match self.now.known(register) {
            Known::Float => {
                let float = self.locals.float(register);
                self.get(to);
                self.get(float);
                self.store_float(0);
                self.get(to);
                self.i32(tag::FLOAT);
            }
            known => {
                if known == Known::Nothing {
                    self.read(register);
                }
                let (bits, tag) = (self.locals.bits(register), self.locals.tag(register));
                self.get(to);
                self.get(bits);
                self.store_64(0);
                self.get(to);
                match known {
                    Known::Integer => self.i32(tag::INTEGER),
                    _ => self.get(tag),
                }
            }
        }
        self.store_8(value::TAG);
    }
}
