//! Translates Lua 5.4 bytecode to a WebAssembly module that shares the memory, the table of functions and
//! the slow paths of moonfork's guest.
//!
//! Each function of Lua's becomes one of the module's, which does what the interpreter would do with the
//! same frame: it keeps nothing that isn't in Lua's own stack and frame as well, so that it may hand
//! over to the interpreter at any instruction. `guest/lua/compiled.h` is the other side, and says what the
//! two have agreed on.
//!
//! Bytecode is read with every index in it checked. What isn't bytecode of that guest is refused as
//! a whole ([`Malformed`]); a function that can't be translated stays interpreted, and is counted with the
//! reason ([`Refused`]). Nothing panics, whatever is passed in.
//!
//! The module imports nothing but what the guest exports, so the worst that a wrong translation can do is
//! what a script could do to its own instance anyway.

mod check;
mod dump;
mod emit;
mod flow;
mod instruction;
mod layout;
mod module;
mod uses;

use std::fmt;

pub use dump::Malformed;
pub use layout::{FIRST, HELPERS, MEMORY, TABLE};

/// How much is translated at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Instructions of a function's. Compiling WebAssembly takes more than linear time in a function's
    /// size.
    pub function: usize,
    /// Instructions of all functions together; those beyond stay interpreted.
    pub all: usize,
}

impl Default for Limits {
    /// 1,000 and 5,000.
    fn default() -> Limits {
        Limits {
            function: 1000,
            all: 5000,
        }
    }
}

/// Chunks, translated to one module.
#[derive(Clone, Debug)]
pub struct Translation {
    /// The module, which puts its functions into the guest's table when it is instantiated, from the place on that
    /// its import [`FIRST`] says; nothing where no function was translated.
    pub module: Option<Vec<u8>>,
    /// The chunks, in the order in which they were given.
    pub chunks: Vec<TranslatedChunk>,
    /// How many functions were translated. They are at so many places from the first on.
    pub functions: u16,
}

/// A chunk, translated.
#[derive(Clone, Debug)]
pub struct TranslatedChunk {
    /// The bytecode, in which each function says its place in the guest's table.
    pub bytecode: Vec<u8>,
    /// How many of its functions were translated.
    pub functions: usize,
    /// How many instructions those have.
    pub instructions: usize,
    /// Those that weren't.
    pub refused: Vec<Refused>,
}

/// A function that stays interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The line that it begins on; 0 for the chunk itself.
    pub line: u32,
    /// Why.
    pub reason: Reason,
}

/// Why a function stays interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It is larger than [`Limits::function`], or what comes before it is as large as [`Limits::all`].
    TooLarge,
    /// It has a `goto` that leads into a loop.
    JumpIntoLoop,
    /// There is no place left in the table.
    NoPlace,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::TooLarge => "it is too large",
            Reason::JumpIntoLoop => "it jumps into a loop",
            Reason::NoPlace => "there is no place for it",
        })
    }
}

/// Translates chunks to one module: the bytecode of each, which the guest's Lua has dumped, for `places` of its table,
/// from `first` on.
///
/// # Errors
///
/// When one of them isn't such bytecode.
pub fn translate(
    chunks: &[&[u8]],
    first: u16,
    places: u16,
    limits: Limits,
) -> Result<Translation, Malformed> {
    let mut writer = Writer {
        first,
        places: places.min(u16::MAX - first),
        limits,
        bodies: Vec::new(),
        instructions: 0,
        sites: 0,
    };
    let chunks = chunks.iter().map(|bytecode| writer.chunk(bytecode));
    let chunks = chunks.collect::<Result<_, _>>()?;
    let Writer { bodies, sites, .. } = writer;
    Ok(Translation {
        functions: u16::try_from(bodies.len()).unwrap_or(u16::MAX),
        module: (!bodies.is_empty()).then(|| module::assemble(&bodies, sites)),
        chunks,
    })
}

/// How many instructions all functions of a chunk have.
///
/// # Errors
///
/// When it isn't bytecode that the guest's Lua has dumped.
pub fn instructions(bytecode: &[u8]) -> Result<usize, Malformed> {
    let functions = dump::read(bytecode)?;
    Ok(functions.iter().map(|function| function.code.len()).sum())
}

/// What is written of a module.
struct Writer {
    first: u16,
    places: u16,
    limits: Limits,
    bodies: Vec<wasm_encoder::Function>,
    /// How many instructions those are.
    instructions: usize,
    sites: u32,
}

impl Writer {
    fn chunk(&mut self, bytecode: &[u8]) -> Result<TranslatedChunk, Malformed> {
        let functions = dump::read(bytecode)?;
        for function in &functions {
            check::check(function)?;
        }
        let (bodies, instructions) = (self.bodies.len(), self.instructions);
        let mut bytecode = bytecode.to_vec();
        let mut refused = Vec::new();
        for function in &functions {
            match self.function(function) {
                Ok(place) => {
                    let at = function.place_at;
                    bytecode[at..at + 2].copy_from_slice(&place.to_le_bytes());
                }
                Err(reason) => refused.push(Refused {
                    line: function.line,
                    reason,
                }),
            }
        }
        Ok(TranslatedChunk {
            bytecode,
            functions: self.bodies.len() - bodies,
            instructions: self.instructions - instructions,
            refused,
        })
    }

    /// Translates a function. Gives its place.
    fn function(&mut self, function: &dump::Function) -> Result<u16, Reason> {
        let size = function.code.len();
        let number = u16::try_from(self.bodies.len()).unwrap_or(u16::MAX);
        if size > self.limits.function || self.instructions + size > self.limits.all {
            return Err(Reason::TooLarge);
        }
        if number >= self.places {
            return Err(Reason::NoPlace);
        }
        let body = emit::emit(function, number.into(), &mut self.sites);
        self.bodies.push(body.ok_or(Reason::JumpIntoLoop)?);
        self.instructions += size;
        Ok(self.first + number)
    }
}
