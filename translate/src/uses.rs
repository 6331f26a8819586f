//! What values in registers are used for.

use crate::instruction::{Instruction, Op};

/// What an instruction does with a register.
enum Use {
    /// It reads a number there: anything else is a matter of metamethods.
    Number,
    /// It reads whatever is there, or writes to it.
    Value,
    Nothing,
}

/// Whether what the arithmetic at `pc` leaves in `register` is a number to who reads it next, by the order
/// of the code: what is behind, and at the end of a loop around it, from the loop's beginning on.
pub(crate) fn is_number(code: &[Instruction], pc: usize, register: usize) -> bool {
    for (place, instruction) in code.iter().enumerate().skip(pc + 2) {
        let start = match instruction.op {
            Op::ForLoop | Op::TForLoop => (place + 1).checked_sub(instruction.bx()),
            Op::Jmp => instruction.target(place),
            _ => None,
        };
        let again = match start {
            Some(start) if start <= pc => &code[start..=pc],
            _ => &[],
        };
        for instruction in std::iter::once(instruction).chain(again) {
            match use_of(*instruction, register) {
                Use::Number => return true,
                Use::Value => return false,
                Use::Nothing => {}
            }
        }
    }
    false
}

fn use_of(i: Instruction, register: usize) -> Use {
    let (a, b, c) = (i.a(), i.b(), i.c());
    let is = |it: usize| it == register;
    // All from a register on, if it isn't said how many.
    let is_among = |count: usize| register >= a && (count == 0 || register < a + count);
    let is_number = match i.op {
        op if op.is_binary() => is(b) || is(c),
        Op::Lt | Op::Le => is(a) || is(b),
        Op::LtI | Op::LeI | Op::GtI | Op::GeI | Op::EqI => is(a),
        Op::ForPrep => is_among(3),
        op => (op.is_arithmetic() || matches!(op, Op::Unm | Op::BNot)) && is(b),
    };
    if is_number {
        return Use::Number;
    }
    let is_value = match i.op {
        // What the copy is used for isn't asked.
        Op::Move => is(a),
        Op::SetTabUp => !i.k() && is(c),
        Op::GetTable => is(a) || is(b) || is(c),
        Op::Method => is(a) || is(a + 1) || is(b) || !i.k() && is(c),
        Op::SetTable => is(a) || is(b) || !i.k() && is(c),
        Op::SetI | Op::SetField => is(a) || !i.k() && is(c),
        Op::GetI | Op::GetField | Op::Not | Op::Len | Op::Eq | Op::TestSet => is(a) || is(b),
        Op::Concat => is_among(b),
        // A call leaves nothing behind the function.
        Op::Call | Op::TailCall | Op::TForCall | Op::VarArg => is_among(0),
        Op::Return => b != 1 && is_among(b.saturating_sub(1)),
        Op::SetList => is_among(if b == 0 { 0 } else { b + 1 }),
        Op::LoadNil => is_among(b + 1),
        Op::Lt
        | Op::Le
        | Op::LtI
        | Op::LeI
        | Op::GtI
        | Op::GeI
        | Op::EqI
        | Op::Jmp
        | Op::Return0
        | Op::MmBin
        | Op::MmBinI
        | Op::MmBinK
        | Op::Close
        | Op::Tbc
        | Op::TForPrep
        | Op::VarArgPrep
        | Op::ExtraArg => false,
        _ => is(a),
    };
    match is_value {
        true => Use::Value,
        false => Use::Nothing,
    }
}
