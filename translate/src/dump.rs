//! Reading what Lua dumps: the header, and the functions in the order in which they begin.

use std::fmt;

use crate::instruction::Instruction;

/// Why something isn't bytecode of the guest's Lua.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub(crate) &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no bytecode of the guest's Lua: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

/// A function, as far as its code says what it does.
pub(crate) struct Function {
    /// Where in the dump it says its place in the guest's table: two bytes.
    pub(crate) place_at: usize,
    /// The line that it begins on.
    pub(crate) line: u32,
    /// How many registers it has.
    pub(crate) registers: usize,
    pub(crate) code: Vec<Instruction>,
    pub(crate) constants: Vec<Constant>,
    pub(crate) upvalues: usize,
    /// The functions in it, by their places among all.
    pub(crate) inner: Vec<usize>,
    /// Registers of the enclosing function's that are its upvalues.
    captures: Vec<usize>,
    /// Which of its registers are upvalues of functions in it.
    pub(crate) captured: Vec<bool>,
}

/// A constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Constant {
    Nil,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    /// A string of which there is only one.
    Short,
    Long,
}

/// What a dump begins with: Lua 5.4, in the guest's format (`guest/lua/19-compiled-code.patch`), with
/// instructions of 4 bytes and numbers of 8.
const HEADER: &[u8] = b"\x1bLua\x54\x01\x19\x93\r\n\x1a\n\x04\x08\x08\
    \x78\x56\0\0\0\0\0\0\0\0\0\0\0\x28\x77\x40";

/// How deeply functions may be nested: Lua's parser stops at as many C calls.
const MAX_NESTED: usize = 200;

/// Bytes that a string has of which there is only one.
const MAX_SHORT: usize = 40;

/// The functions of a dump, each before those in it.
///
/// # Errors
///
/// When it isn't one.
pub(crate) fn read(bytecode: &[u8]) -> Result<Vec<Function>, Malformed> {
    let mut reader = Reader {
        all: bytecode,
        at: 0,
    };
    if reader.take(HEADER.len())? != HEADER {
        return Err(Malformed("another version, or none"));
    }
    let upvalues = reader.byte()?;
    let mut functions = Vec::new();
    reader.function(&mut functions, 0)?;
    if reader.at != bytecode.len() {
        return Err(Malformed("there is more behind it"));
    }
    if functions[0].upvalues != usize::from(upvalues) {
        return Err(Malformed("the chunk has another number of upvalues"));
    }
    Ok(functions)
}

struct Reader<'b> {
    all: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, len: usize) -> Result<&'b [u8], Malformed> {
        let rest = &self.all[self.at..];
        let taken = rest.get(..len).ok_or(Malformed("it is cut off"))?;
        self.at += len;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn eight(&mut self) -> Result<[u8; 8], Malformed> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(bytes)
    }

    /// A number, seven bits a byte, the highest first; the last byte is marked.
    fn size(&mut self) -> Result<usize, Malformed> {
        let mut size: u32 = 0;
        loop {
            let byte = self.byte()?;
            if size >> 25 != 0 {
                return Err(Malformed("a number is too large"));
            }
            size = size << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 != 0 {
                return usize::try_from(size).map_err(|_| Malformed("a number is too large"));
            }
        }
    }

    /// How many things of so many bytes at least there are.
    fn count(&mut self, bytes: usize) -> Result<usize, Malformed> {
        let count = self.size()?;
        match count.checked_mul(bytes) {
            Some(all) if all <= self.all.len() - self.at => Ok(count),
            _ => Err(Malformed("it is cut off")),
        }
    }

    /// Passes by a string. Says how long it is, if it is there.
    fn string(&mut self) -> Result<Option<usize>, Malformed> {
        let Some(len) = self.size()?.checked_sub(1) else {
            return Ok(None);
        };
        self.take(len)?;
        Ok(Some(len))
    }

    /// Reads a function, and those in it. Gives its place.
    fn function(
        &mut self,
        functions: &mut Vec<Function>,
        depth: usize,
    ) -> Result<usize, Malformed> {
        if depth > MAX_NESTED {
            return Err(Malformed("functions are nested too deeply"));
        }
        self.string()?;
        let line = self.size()?;
        self.size()?;
        let parameters = usize::from(self.byte()?);
        self.byte()?;
        let registers = usize::from(self.byte()?);
        if parameters > registers {
            return Err(Malformed("it has more parameters than registers"));
        }
        let place_at = self.at;
        if self.take(2)? != [0, 0] {
            return Err(Malformed("it is translated already"));
        }
        let count = self.count(4)?;
        let code = self.take(4 * count)?.chunks_exact(4);
        let code = code.map(|bytes| {
            let mut word = [0; 4];
            word.copy_from_slice(bytes);
            Instruction::new(u32::from_le_bytes(word))
        });
        let code: Option<Vec<_>> = code.collect();
        let code = code.ok_or(Malformed("an instruction is none of Lua's"))?;
        let constants = (0..self.count(1)?).map(|_| self.constant());
        let constants = constants.collect::<Result<_, _>>()?;
        let upvalues = self.count(3)?;
        let mut captures = Vec::new();
        for _ in 0..upvalues {
            let upvalue = self.take(3)?;
            if upvalue[0] != 0 {
                captures.push(usize::from(upvalue[1]));
            }
        }
        let place = functions.len();
        functions.push(Function {
            place_at,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            registers,
            code,
            constants,
            upvalues,
            inner: Vec::new(),
            captures,
            captured: vec![false; registers],
        });
        for _ in 0..self.count(1)? {
            let inner = self.function(functions, depth + 1)?;
            let captures = std::mem::take(&mut functions[inner].captures);
            let own = &mut functions[place];
            for register in captures {
                *own.captured
                    .get_mut(register)
                    .ok_or(Malformed("an upvalue is no register"))? = true;
            }
            own.inner.push(inner);
        }
        self.debug_information()?;
        Ok(place)
    }

    fn constant(&mut self) -> Result<Constant, Malformed> {
        Ok(match self.byte()? {
            0x00 => Constant::Nil,
            0x01 => Constant::Boolean(false),
            0x11 => Constant::Boolean(true),
            0x03 => Constant::Integer(i64::from_le_bytes(self.eight()?)),
            0x13 => Constant::Float(f64::from_le_bytes(self.eight()?)),
            0x04 | 0x14 => match self.string()? {
                Some(0..=MAX_SHORT) => Constant::Short,
                Some(_) => Constant::Long,
                None => return Err(Malformed("a constant is missing")),
            },
            _ => return Err(Malformed("a constant is of no type")),
        })
    }

    /// Passes by what messages and tracebacks show.
    fn debug_information(&mut self) -> Result<(), Malformed> {
        let lines = self.count(1)?;
        self.take(lines)?;
        for _ in 0..self.count(2)? {
            self.size()?;
            self.size()?;
        }
        for _ in 0..self.count(3)? {
            self.string()?;
            self.size()?;
            self.size()?;
        }
        for _ in 0..self.count(1)? {
            self.string()?;
        }
        Ok(())
    }
}
