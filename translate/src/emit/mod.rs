//! Writing a function.
//!
//! It is written twice by the same code, which says what each instruction makes of what is known of the
//! registers: first without output, again and again, until it is settled what is known at each
//! instruction whatever way leads there; and then for good.

mod arithmetic;
mod assembler;
mod calls;
mod comparisons;
mod loops;
mod moves;
mod registers;
mod slots;
mod tables;

use std::collections::BTreeSet;

use wasm_encoder::{BlockType, Function, Instruction as W};

use crate::dump::{Constant, Function as Lua};
use crate::flow::{self, Scope, Scopes};
use crate::instruction::Op;
use crate::layout::{closure, frame, helper, proto, state, upvalue};

use assembler::Open;
use registers::Registers;

/// The function's parameters: Lua's thread, the frame, and how deep in the native stack it is.
const THREAD: u32 = 0;
const FRAME: u32 = 1;
const DEPTH: u32 = 2;
/// Where its registers are; the stack may move.
const BASE: u32 = 3;
const CONSTANTS: u32 = 4;
const CLOSURE: u32 = 5;
const CODE: u32 = 6;
/// What is known of a value in short.
const FLAG: u32 = 7;
/// A table, a key in it, and where the value is.
const TABLE: u32 = 8;
const KEY: u32 = 9;
const SLOT: u32 = 10;
/// Others.
const TAG: u32 = 11;
const OTHER: u32 = 12;
/// The first that belongs to a register.
const OWN: u32 = 13;

/// Writes `lua`, which is the `number`th function of its module. Nothing where it jumps into a loop.
/// `sites` are how many places of fields there are so far.
pub(crate) fn emit(lua: &Lua, number: u32, sites: &mut u32) -> Option<Function> {
    let order = flow::order(&lua.code)?;
    let mut places = vec![usize::MAX; lua.code.len()];
    for (place, pc) in order.iter().enumerate() {
        places[*pc] = place;
    }
    let locals = Locals::of(lua);
    let mut emitter = Emitter {
        lua,
        number: crate::module::FIRST + number,
        function: locals.declared(),
        locals,
        open: Vec::new(),
        now: Registers::unknown(lua.registers + 1),
        before: vec![None; lua.code.len()],
        jumps: BTreeSet::new(),
        places,
        place: 0,
        sites: *sites,
        pass: Pass::Looking { changed: true },
        failed: false,
    };
    emitter.before[0] = Some(emitter.now.clone());
    emitter.settle(&order);
    let scopes = Scopes::of(&emitter.jumps)?;
    emitter.sites = *sites;
    emitter.pass = Pass::Writing;
    let function = emitter.write(&order, &scopes)?;
    *sites = function.1;
    Some(function.0)
}

/// Where the numbers of the local variables are.
#[derive(Clone, Copy)]
struct Locals {
    registers: u32,
}

impl Locals {
    fn of(lua: &Lua) -> Locals {
        Locals {
            // One more, for what a loop or a call puts behind the last.
            registers: u32::try_from(lua.registers).unwrap_or(u32::MAX - 1) + 1,
        }
    }

    /// Temporary variables of 64 bits: of integers, and of floats.
    const TEMPORARY: u32 = 2;

    fn declared(self) -> Function {
        use wasm_encoder::ValType::{F64, I32, I64};

        let parameters = 3;
        let own = self.registers + Self::TEMPORARY;
        Function::new([
            (OWN - parameters + 2 * self.registers, I32),
            (own, I64),
            (own, F64),
        ])
    }

    /// The tag of a register's value.
    fn tag(self, register: usize) -> u32 {
        OWN + index(register)
    }

    /// The table in a register, or zero.
    fn table(self, register: usize) -> u32 {
        OWN + self.registers + index(register)
    }

    /// A temporary integer.
    fn integer(self, number: u32) -> u32 {
        OWN + 2 * self.registers + number
    }

    /// What a register holds, as an integer, or as the bits of whatever it is.
    fn bits(self, register: usize) -> u32 {
        self.integer(Self::TEMPORARY) + index(register)
    }

    /// A temporary float.
    fn number(self, number: u32) -> u32 {
        self.integer(Self::TEMPORARY) + self.registers + number
    }

    /// What a register holds, as a float.
    fn float(self, register: usize) -> u32 {
        self.number(Self::TEMPORARY) + index(register)
    }
}

/// A number of a register, of which there are less than 256.
#[expect(clippy::cast_possible_truncation, reason = "they are few")]
fn index(register: usize) -> u32 {
    register as u32
}

/// What the emitter is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Finding out what is known, and whether anything of that is new.
    Looking {
        changed: bool,
    },
    Writing,
}

struct Emitter<'f> {
    lua: &'f Lua,
    /// Its number in the module.
    number: u32,
    locals: Locals,
    function: Function,
    /// The blocks that are open.
    open: Vec<Open>,
    /// What is known now.
    now: Registers,
    /// What is known before each instruction, of those that can be reached.
    before: Vec<Option<Registers>>,
    /// From which places to which there are jumps.
    jumps: BTreeSet<(usize, usize)>,
    /// Where in the order each instruction is.
    places: Vec<usize>,
    /// Where the present one is.
    place: usize,
    sites: u32,
    pass: Pass,
    /// Whether there was a jump for which there is no block.
    failed: bool,
}

impl Emitter<'_> {
    /// Finds out what is known before each instruction.
    fn settle(&mut self, order: &[usize]) {
        while self.pass == (Pass::Looking { changed: true }) {
            self.pass = Pass::Looking { changed: false };
            self.jumps.clear();
            for (place, pc) in order.iter().enumerate() {
                if let Some(known) = self.before[*pc].clone() {
                    self.place = place;
                    self.now = known;
                    self.open.clear();
                    self.instruction(*pc);
                }
            }
        }
    }

    /// Writes all of it. Gives the number of sites as well.
    fn write(mut self, order: &[usize], scopes: &Scopes) -> Option<(Function, u32)> {
        self.open.clear();
        self.begin();
        for place in 0..=order.len() {
            while let Some(Open::Scope(scope)) = self.open.last().copied()
                && scopes.ends_at(scope, place)
            {
                self.end();
            }
            let Some(&pc) = order.get(place) else {
                break;
            };
            for scope in scopes.opened_at(place) {
                self.put(&match scope {
                    Scope::Block(_) => W::Block(BlockType::Empty),
                    Scope::Loop(_) => W::Loop(BlockType::Empty),
                });
                self.open.push(Open::Scope(scope));
            }
            if let Some(known) = self.before[pc].clone() {
                self.place = place;
                self.now = known;
                self.instruction(pc);
            }
        }
        if !self.open.is_empty() || self.failed {
            return None;
        }
        self.put(&W::Unreachable);
        self.put(&W::End);
        Some((self.function, self.sites))
    }

    /// Finds what the function needs.
    fn begin(&mut self) {
        self.get(FRAME);
        self.load(frame::FUNC);
        self.tee(OTHER);
        self.i32(registers::address(1));
        self.put(&W::I32Add);
        self.set(BASE);
        self.get(OTHER);
        self.load(0);
        self.tee(CLOSURE);
        self.load(closure::PROTO);
        self.tee(OTHER);
        self.load(proto::CONSTANTS);
        self.set(CONSTANTS);
        self.get(OTHER);
        self.load(proto::CODE);
        self.set(CODE);
    }

    /// Finds the registers again, after something that may have moved the stack.
    fn find_base(&mut self) {
        self.get(FRAME);
        self.load(frame::FUNC);
        self.i32(registers::address(1));
        self.put(&W::I32Add);
        self.set(BASE);
    }

    /// The address of the instruction at `pc`.
    fn address_of(&mut self, pc: usize) {
        self.get(CODE);
        if pc != 0 {
            self.i32(i32::try_from(4 * pc).unwrap_or(i32::MAX));
            self.put(&W::I32Add);
        }
    }

    /// Has the guest do the instruction at `pc`: what it gives is on the stack.
    fn ask(&mut self, pc: usize) {
        self.get(THREAD);
        self.get(FRAME);
        self.address_of(pc + 1);
        self.get(DEPTH);
        self.put(&W::Call(helper::OP));
        self.find_base();
    }

    /// Has the guest do the instruction at `pc`, which gives nothing.
    fn ask_for_nothing(&mut self, pc: usize) {
        self.ask(pc);
        self.put(&W::Drop);
    }

    /// Hands the frame over to the interpreter, which goes on at `pc`.
    fn leave(&mut self, pc: usize) {
        self.get(FRAME);
        self.address_of(pc);
        self.store(frame::SAVED_PC);
        self.get(FRAME);
        self.i32(1);
        self.put(&W::I32Or);
        self.put(&W::Return);
    }

    /// Hands over if the script is to be stopped. Otherwise a trap says that the stack has moved, or
    /// nothing: a frame's is left as it was when it was one of C's.
    fn look_at_trap(&mut self, pc: usize) {
        self.get(FRAME);
        self.load(frame::TRAP);
        self.if_();
        self.get(THREAD);
        self.load(state::HOOKMASK);
        self.if_();
        self.leave(pc);
        self.end();
        self.get(FRAME);
        self.i32(0);
        self.store(frame::TRAP);
        self.end();
    }

    /// Goes on with the instruction at `pc`: the last thing that an instruction does.
    fn go_on(&mut self, pc: usize) {
        self.go(pc, false);
    }

    /// Jumps to it, from inside of what isn't the instruction's end: `if`, say. What is known stays what
    /// it was.
    fn jump(&mut self, pc: usize) {
        if self.places[pc] <= self.place {
            self.look_at_trap(pc);
        }
        self.go(pc, true);
    }

    fn go(&mut self, pc: usize, inside: bool) {
        let to = self.places[pc];
        let is_next = to == self.place + 1 && !inside;
        match &mut self.pass {
            Pass::Looking { changed } => {
                let now = &self.now;
                match &mut self.before[pc] {
                    None => {
                        self.before[pc] = Some(now.clone());
                        *changed = true;
                    }
                    Some(before) => *changed |= before.meet(now),
                }
                if !is_next {
                    self.jumps.insert((self.place, to));
                }
            }
            Pass::Writing => {
                let kept = self.now.clone();
                self.become_known(pc);
                self.now = kept;
                if !is_next {
                    match self.scope_at(to) {
                        Some(depth) => self.put(&W::Br(depth)),
                        None => self.failed = true,
                    }
                }
            }
        }
    }

    /// How many blocks out the one is that jumps to `place` leave, or begin again.
    fn scope_at(&self, place: usize) -> Option<u32> {
        let wanted = match place > self.place {
            true => Scope::Block(place),
            false => Scope::Loop(place),
        };
        let found = self.open.iter().rev();
        let found = found
            .enumerate()
            .find(|(_, open)| **open == Open::Scope(wanted));
        found.and_then(|(depth, _)| u32::try_from(depth).ok())
    }

    /// The constant `number`, as far as it is known. It is there, since that was checked.
    fn constant(&self, number: usize) -> Constant {
        self.lua
            .constants
            .get(number)
            .copied()
            .unwrap_or(Constant::Nil)
    }

    /// The address of the value of an upvalue.
    fn upvalue(&mut self, number: usize) {
        self.get(CLOSURE);
        self.load(closure::UPVALUES + 4 * index(number));
        self.load(upvalue::VALUE);
    }

    fn instruction(&mut self, pc: usize) {
        let i = self.lua.code[pc];
        match i.op {
            Op::Move
            | Op::LoadI
            | Op::LoadF
            | Op::LoadK
            | Op::LoadKX
            | Op::LoadFalse
            | Op::LFalseSkip
            | Op::LoadTrue
            | Op::LoadNil
            | Op::GetUpval
            | Op::SetUpval
            | Op::Not => self.moves(pc, i),
            Op::GetTabUp | Op::GetTable | Op::GetI | Op::GetField | Op::Method => {
                self.gets(pc, i);
            }
            Op::SetTabUp | Op::SetTable | Op::SetI | Op::SetField => self.sets(pc, i),
            Op::Len => self.len(pc, i),
            Op::NewTable => self.new_table(pc, i),
            Op::Unm => self.negate(pc, i),
            Op::Eq
            | Op::Lt
            | Op::Le
            | Op::EqK
            | Op::EqI
            | Op::LtI
            | Op::LeI
            | Op::GtI
            | Op::GeI
            | Op::Test
            | Op::TestSet => self.compares(pc, i),
            Op::Jmp => {
                if let Some(to) = i.target(pc) {
                    if self.places[to] <= self.place {
                        self.look_at_trap(to);
                    }
                    self.go_on(to);
                }
            }
            Op::Call => self.call(pc, i),
            Op::TailCall => self.tail_call(pc),
            Op::Return => self.return_slowly(pc),
            Op::Return0 | Op::Return1 => self.return_(pc, i),
            Op::ForLoop => self.for_loop(pc, i),
            Op::ForPrep => self.for_prepare(pc, i),
            Op::TForPrep | Op::TForCall | Op::TForLoop => self.generic_for(pc, i),
            Op::BNot => {
                self.ask_for_nothing(pc);
                self.forget(i.a());
                self.go_on(pc + 1);
            }
            Op::Concat | Op::Closure => {
                self.ask_for_nothing(pc);
                // It may collect garbage, which clears what is behind.
                self.forget_from(i.a());
                self.go_on(pc + 1);
            }
            Op::VarArg => {
                self.ask_for_nothing(pc);
                self.forget_from(i.a());
                self.go_on(pc + 1);
            }
            Op::SetList => {
                self.ask_for_nothing(pc);
                self.forget_from(i.a() + 1);
                self.go_on(pc + 1 + usize::from(i.k()));
            }
            Op::VarArgPrep => {
                self.ask_for_nothing(pc);
                self.forget_from(0);
                self.go_on(pc + 1);
            }
            Op::Close | Op::Tbc => {
                self.ask_for_nothing(pc);
                self.go_on(pc + 1);
            }
            // These are never come to by themselves.
            Op::MmBin | Op::MmBinI | Op::MmBinK | Op::ExtraArg => self.leave(pc),
            _ => self.arithmetic(pc, i),
        }
    }
}
