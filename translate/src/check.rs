//! Checks a function's code: whatever it names is there, and each jump leads to an instruction.

use crate::dump::{Constant, Function, Malformed};
use crate::instruction::{Instruction, Op};

/// Checks all of a function.
///
/// # Errors
///
/// When an instruction names what isn't there.
pub(crate) fn check(function: &Function) -> Result<(), Malformed> {
    let checked = Check { function };
    for pc in 0..function.code.len() {
        checked.instruction(pc)?;
    }
    // What comes last ends the function, so that none ends without saying so.
    let last = function.code.last().map(|instruction| instruction.op);
    if last != Some(Op::Return) && last != Some(Op::Return0) && last != Some(Op::Return1) {
        return Err(Malformed("a function doesn't end"));
    }
    Ok(())
}

struct Check<'f> {
    function: &'f Function,
}

type Checked = Result<(), Malformed>;

impl Check<'_> {
    /// So many registers from this one on.
    fn registers(&self, first: usize, count: usize) -> Checked {
        match first + count <= self.function.registers {
            true => Ok(()),
            false => Err(Malformed("there is no such register")),
        }
    }

    fn register(&self, register: usize) -> Checked {
        self.registers(register, 1)
    }

    fn constant(&self, constant: usize) -> Result<Constant, Malformed> {
        let found = self.function.constants.get(constant);
        found.copied().ok_or(Malformed("there is no such constant"))
    }

    /// The name of a field.
    fn name(&self, constant: usize) -> Checked {
        match self.constant(constant)? {
            Constant::Short => Ok(()),
            _ => Err(Malformed("a field has no name")),
        }
    }

    fn number(&self, constant: usize) -> Checked {
        match self.constant(constant)? {
            Constant::Integer(_) | Constant::Float(_) => Ok(()),
            _ => Err(Malformed("a constant is no number")),
        }
    }

    fn upvalue(&self, upvalue: usize) -> Checked {
        match upvalue < self.function.upvalues {
            true => Ok(()),
            false => Err(Malformed("there is no such upvalue")),
        }
    }

    /// A register or a constant.
    fn value(&self, instruction: Instruction) -> Checked {
        match instruction.k() {
            true => self.constant(instruction.c()).map(drop),
            false => self.register(instruction.c()),
        }
    }

    fn at(&self, pc: Option<usize>) -> Result<Instruction, Malformed> {
        let found = pc.and_then(|pc| self.function.code.get(pc));
        found
            .copied()
            .ok_or(Malformed("a jump leads out of the code"))
    }

    /// The instruction at `pc` is this one.
    fn is(&self, pc: usize, op: Op) -> Result<Instruction, Malformed> {
        match self.at(Some(pc))? {
            found if found.op == op => Ok(found),
            _ => Err(Malformed("an instruction lacks the one that belongs to it")),
        }
    }

    fn instruction(&self, pc: usize) -> Checked {
        let i = self.function.code[pc];
        if i.op.is_arithmetic() {
            self.register(i.a())?;
            self.register(i.b())?;
            self.at(Some(pc + 2))?;
            let behind = self.at(Some(pc + 1))?;
            if !matches!(behind.op, Op::MmBin | Op::MmBinI | Op::MmBinK) {
                return Err(Malformed("arithmetic lacks its metamethod"));
            }
        }
        if i.op.is_test() {
            self.register(i.a())?;
            self.is(pc + 1, Op::Jmp)?;
            self.at(Some(pc + 2))?;
        }
        match i.op {
            Op::Move | Op::Unm | Op::BNot | Op::Not | Op::Len => {
                self.register(i.a())?;
                self.register(i.b())
            }
            Op::LoadI | Op::LoadF | Op::LoadFalse | Op::LoadTrue | Op::Close | Op::Tbc => {
                self.register(i.a())
            }
            Op::LFalseSkip => {
                self.register(i.a())?;
                self.at(Some(pc + 2)).map(drop)
            }
            Op::LoadK => {
                self.register(i.a())?;
                self.constant(i.bx()).map(drop)
            }
            Op::LoadKX => {
                self.register(i.a())?;
                let extra = self.is(pc + 1, Op::ExtraArg)?;
                self.constant(extra.ax()).map(drop)
            }
            Op::LoadNil => self.registers(i.a(), i.b() + 1),
            Op::GetUpval | Op::SetUpval => {
                self.register(i.a())?;
                self.upvalue(i.b())
            }
            Op::GetTabUp => {
                self.register(i.a())?;
                self.upvalue(i.b())?;
                self.name(i.c())
            }
            Op::GetTable => [i.a(), i.b(), i.c()]
                .into_iter()
                .try_for_each(|register| self.register(register)),
            Op::GetI => {
                self.register(i.a())?;
                self.register(i.b())
            }
            Op::GetField => {
                self.register(i.a())?;
                self.register(i.b())?;
                self.name(i.c())
            }
            Op::SetTabUp => {
                self.upvalue(i.a())?;
                self.name(i.b())?;
                self.value(i)
            }
            Op::SetTable => {
                self.register(i.a())?;
                self.register(i.b())?;
                self.value(i)
            }
            Op::SetI => {
                self.register(i.a())?;
                self.value(i)
            }
            Op::SetField => {
                self.register(i.a())?;
                self.name(i.b())?;
                self.value(i)
            }
            Op::NewTable => {
                self.register(i.a())?;
                self.is(pc + 1, Op::ExtraArg).map(drop)
            }
            Op::Method => {
                self.registers(i.a(), 2)?;
                self.register(i.b())?;
                match i.k() {
                    true => match self.constant(i.c())? {
                        Constant::Short | Constant::Long => Ok(()),
                        _ => Err(Malformed("a method has no name")),
                    },
                    false => self.register(i.c()),
                }
            }
            Op::AddI | Op::ShrI | Op::ShlI => Ok(()),
            Op::AddK | Op::SubK | Op::MulK | Op::ModK | Op::PowK | Op::DivK | Op::IDivK => {
                self.number(i.c())
            }
            Op::BAndK | Op::BOrK | Op::BXorK => match self.constant(i.c())? {
                Constant::Integer(_) => Ok(()),
                _ => Err(Malformed("a constant is no integer")),
            },
            Op::Add
            | Op::Sub
            | Op::Mul
            | Op::Mod
            | Op::Pow
            | Op::Div
            | Op::IDiv
            | Op::BAnd
            | Op::BOr
            | Op::BXor
            | Op::Shl
            | Op::Shr => self.register(i.c()),
            Op::MmBin => {
                self.register(i.a())?;
                self.register(i.b())?;
                self.behind_arithmetic(pc)
            }
            Op::MmBinI => {
                self.register(i.a())?;
                self.behind_arithmetic(pc)
            }
            Op::MmBinK => {
                self.register(i.a())?;
                self.number(i.b())?;
                self.behind_arithmetic(pc)
            }
            Op::Concat => match i.b() {
                0 => Err(Malformed("nothing is joined")),
                count => self.registers(i.a(), count),
            },
            Op::Jmp => self.at(i.target(pc)).map(drop),
            Op::Eq | Op::Lt | Op::Le | Op::TestSet => self.register(i.b()),
            Op::EqK => self.constant(i.b()).map(drop),
            Op::EqI | Op::LtI | Op::LeI | Op::GtI | Op::GeI | Op::Test => Ok(()),
            Op::Call => {
                self.registers(i.a(), i.b().max(1))?;
                self.registers(i.a(), i.c().saturating_sub(1))
            }
            Op::TailCall => self.registers(i.a(), i.b().max(1)),
            Op::Return => self.registers(i.a(), i.b().saturating_sub(1)),
            Op::Return0 => Ok(()),
            Op::Return1 => self.register(i.a()),
            Op::ForPrep => {
                self.registers(i.a(), 4)?;
                let end = pc + 1 + i.bx();
                let back = self.is(end, Op::ForLoop)?;
                if back.a() != i.a() || back.bx() != i.bx() + 1 {
                    return Err(Malformed("a loop doesn't end where it should"));
                }
                self.at(Some(end + 1)).map(drop)
            }
            Op::ForLoop => {
                self.registers(i.a(), 4)?;
                self.at(Some(pc + 1))?;
                let begin = (pc + 1)
                    .checked_sub(i.bx())
                    .and_then(|body| body.checked_sub(1));
                let begin = begin.ok_or(Malformed("a loop begins before the code"))?;
                self.is(begin, Op::ForPrep).map(drop)
            }
            Op::TForPrep => {
                self.registers(i.a(), 4)?;
                let call = pc + 1 + i.bx();
                let called = self.is(call, Op::TForCall)?;
                let back = self.is(call + 1, Op::TForLoop)?;
                if called.a() != i.a() || back.a() != i.a() || back.bx() != i.bx() + 2 {
                    return Err(Malformed("a loop doesn't end where it should"));
                }
                self.at(Some(call + 2)).map(drop)
            }
            Op::TForCall => {
                if i.c() == 0 {
                    return Err(Malformed("a loop has no variable"));
                }
                self.registers(i.a(), 4 + i.c().max(3))?;
                self.is(pc + 1, Op::TForLoop).map(drop)
            }
            Op::TForLoop => {
                self.registers(i.a(), 5)?;
                self.at(Some(pc + 1))?;
                let call = pc
                    .checked_sub(1)
                    .ok_or(Malformed("a loop lacks its call"))?;
                self.is(call, Op::TForCall)?;
                let begin = (pc + 1)
                    .checked_sub(i.bx())
                    .and_then(|body| body.checked_sub(1));
                let begin = begin.ok_or(Malformed("a loop begins before the code"))?;
                self.is(begin, Op::TForPrep).map(drop)
            }
            Op::SetList => {
                self.registers(i.a(), i.b() + 1)?;
                match i.k() {
                    true => self.is(pc + 1, Op::ExtraArg).map(drop),
                    false => Ok(()),
                }
            }
            Op::Closure => {
                self.register(i.a())?;
                match i.bx() < self.function.inner.len() {
                    true => Ok(()),
                    false => Err(Malformed("there is no such function")),
                }
            }
            Op::VarArg => self.registers(i.a(), i.c().saturating_sub(1)),
            Op::VarArgPrep => match pc {
                0 => self.at(Some(1)).map(drop),
                _ => Err(Malformed("arguments are looked at too late")),
            },
            Op::ExtraArg => Ok(()),
        }
    }

    fn behind_arithmetic(&self, pc: usize) -> Checked {
        let before = pc.checked_sub(1).map(|pc| self.function.code[pc].op);
        match before.is_some_and(Op::is_arithmetic) {
            true => Ok(()),
            false => Err(Malformed("a metamethod lacks its arithmetic")),
        }
    }
}
