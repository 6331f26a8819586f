//! Lua's instructions, and the fields in them.

/// An instruction whose operation is one of Lua's.
#[derive(Clone, Copy)]
pub(crate) struct Instruction {
    pub(crate) op: Op,
    word: u32,
}

impl Instruction {
    /// That of a word of code, if it is one.
    pub(crate) fn new(word: u32) -> Option<Instruction> {
        let op = *OPS.get((word & 0x7f) as usize)?;
        Some(Instruction { op, word })
    }

    pub(crate) fn a(self) -> usize {
        (self.word >> 7 & 0xff) as usize
    }

    pub(crate) fn b(self) -> usize {
        (self.word >> 16 & 0xff) as usize
    }

    pub(crate) fn c(self) -> usize {
        (self.word >> 24) as usize
    }

    pub(crate) fn k(self) -> bool {
        self.word >> 15 & 1 != 0
    }

    /// B as a number with a sign.
    pub(crate) fn sb(self) -> i64 {
        i64::from(self.word >> 16 & 0xff) - 127
    }

    /// C likewise.
    pub(crate) fn sc(self) -> i64 {
        i64::from(self.word >> 24) - 127
    }

    pub(crate) fn bx(self) -> usize {
        (self.word >> 15) as usize
    }

    pub(crate) fn sbx(self) -> i64 {
        i64::from(self.word >> 15) - 65_535
    }

    pub(crate) fn ax(self) -> usize {
        (self.word >> 7) as usize
    }

    /// Where a jump at `pc` leads to, if that isn't before the code.
    pub(crate) fn target(self, pc: usize) -> Option<usize> {
        let by = i64::from(self.word >> 7) - 16_777_215;
        usize::try_from(i64::try_from(pc).ok()? + 1 + by).ok()
    }
}

macro_rules! ops {
    ($($op:ident)*) => {
        /// An operation, in the order of Lua's numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Op { $($op),* }

        const OPS: [Op; 83] = [$(Op::$op),*];
    };
}

ops! {
    Move LoadI LoadF LoadK LoadKX LoadFalse LFalseSkip LoadTrue LoadNil GetUpval SetUpval
    GetTabUp GetTable GetI GetField SetTabUp SetTable SetI SetField NewTable Method
    AddI AddK SubK MulK ModK PowK DivK IDivK BAndK BOrK BXorK ShrI ShlI
    Add Sub Mul Mod Pow Div IDiv BAnd BOr BXor Shl Shr MmBin MmBinI MmBinK
    Unm BNot Not Len Concat Close Tbc Jmp Eq Lt Le EqK EqI LtI LeI GtI GeI Test TestSet
    Call TailCall Return Return0 Return1 ForLoop ForPrep TForPrep TForCall TForLoop
    SetList Closure VarArg VarArgPrep ExtraArg
}

impl Op {
    /// Whether the instruction behind it is for metamethods, and passed by where there are numbers.
    pub(crate) fn is_arithmetic(self) -> bool {
        (Op::AddI as u8..=Op::Shr as u8).contains(&(self as u8))
    }

    /// Whether it calculates with two registers.
    pub(crate) fn is_binary(self) -> bool {
        (Op::Add as u8..=Op::Shr as u8).contains(&(self as u8))
    }

    /// Whether it decides on the jump behind it.
    pub(crate) fn is_test(self) -> bool {
        (Op::Eq as u8..=Op::TestSet as u8).contains(&(self as u8))
    }
}
