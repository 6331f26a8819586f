//! What passes between the host and the guest: one byte buffer each way.
//!
//! A request is the length of a header, the header and, for some operations, one value behind
//! it; an answer is a status byte, and then a value, or a [`Failure`] in the same frame as a
//! header, with the value that was raised behind it if that wasn't text. All but the headers
//! of requests is MessagePack, with maps for objects; strings of Lua's that aren't UTF-8 are bytes.
//! The host and the guest compile this same file, so that the two can't drift apart.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

/// What the guest is asked to do: the first argument of its entry point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Op {
    /// Tell a fresh instance what it is granted: a [`Setup`]; answers null. Comes once, before all
    /// others, or not at all where nothing is granted. A copy of an instance is told what it is granted
    /// besides.
    Setup = 0,
    /// Run a [`Chunk`] with the value behind it as `state`; answers what it returned.
    Eval = 1,
    /// Call the function a [`Name`] leads to with the array behind it; answers its result.
    Call = 2,
    /// Read the global with this [`Name`]; answers its value.
    Get = 3,
    /// Set the global with this [`Name`] to the value behind it; answers null.
    Set = 4,
    /// Compile what [`Eval`](Op::Eval) would run: a [`Chunk`], and a value behind it if there will
    /// be a `state`. Answers the [`Bytecode`] in place of a value.
    Compile = 5,
    /// Run [`Bytecode`] with the value behind it as `state`; answers what it returned.
    Run = 6,
    /// Compile a [`Chunk`] to see whether it parses; answers null.
    Check = 7,
    /// Leave nothing but what is in use, before all of the memory is copied: collect all garbage, and
    /// zero what is free, and what earlier requests and answers left. With [`Settle`]; answers null.
    Settle = 8,
    /// Hold the values that go by numbers in what comes with it, which is as a `state`: see [`Numbered`].
    /// They are in place of those that were held before; what is passed from there on may name them, and
    /// its own numbers come after theirs. Answers null.
    Keep = 9,
    /// Hold what [`Bytecode`] is, for [`Op::RunHeld`]; answers the number that it has there.
    Hold = 10,
    /// Run what is held under a [`HeldChunk`]'s number as [`Op::Run`] would run its bytecode, without reading that
    /// again.
    RunHeld = 11,
}

/// What a request begins with.
pub trait Header {
    /// Appends it to `out`.
    fn write(&self, out: &mut Vec<u8>);
}

/// First byte of a module that is a [`Chunk`].
pub const TEXT: u8 = 0;
/// First byte of a module that is [`Bytecode`].
pub const BYTECODE: u8 = 1;

/// First byte of an answer that carries a value.
pub const OK: u8 = 0;
/// First byte of an answer that carries a [`Failure`].
pub const FAILED: u8 = 1;

/// Bytes of a request that the guest always has room for, once it has been asked for them.
pub const ROOM: u32 = 4 << 10;

/// How deeply values may be nested, in either direction. Defends both stacks: each level of a
/// value costs a few frames of recursion. Lower than what `serde_json` itself can read (128).
pub const MAX_DEPTH: usize = 100;

/// What a value costs beside the bytes of its text: about what it takes in the memory of
/// whoever reads it. Counting encoded bytes alone, a few kilobytes of shared Lua tables could
/// unfold to gigabytes.
pub const VALUE_COST: usize = 32;
/// What an object costs beside its keys and values.
pub const OBJECT_COST: usize = 128;

/// A value that is there several times passes once, in the `state` of a chunk: an array of a [`Numbered`]
/// definition and the value stands for the value, and a reference for the value of that number. Numbers
/// begin with 1, or after those that [`Op::Keep`] gave; a state in which there are any is itself defined, as number 0. In what the chunk returns,
/// references stand for values of its state that are as they came; there are no definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbered {
    /// The value behind it goes by this number from there on.
    Definition(u32),
    /// The value that goes by this number.
    Reference(u32),
}

impl Numbered {
    /// The type of MessagePack's extension for a definition; its 4 bytes are the number, big-endian.
    pub const DEFINITION: i8 = 1;
    /// The same for a reference.
    pub const REFERENCE: i8 = 2;

    /// Bytes that a text has that is passed once.
    pub const LONG: usize = 64;

    /// What an extension of this type, with this number, is.
    pub fn of(kind: i8, number: u32) -> Option<Numbered> {
        match kind {
            Self::DEFINITION => Some(Numbered::Definition(number)),
            Self::REFERENCE => Some(Numbered::Reference(number)),
            _ => None,
        }
    }
}

impl Serialize for Numbered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, number) = match *self {
            Numbered::Definition(number) => (Self::DEFINITION, number),
            Numbered::Reference(number) => (Self::REFERENCE, number),
        };
        let extension = (kind, Number(number.to_be_bytes()));
        serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &extension)
    }
}

struct Number([u8; 4]);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// Added to the number of the first operation of an instance: its request ends in a [`Seed`].
pub const FRESH: u32 = 1 << 31;

/// What `math.random` starts from, since the snapshot that every instance is made from has one fixed
/// state: two numbers of 8 bytes, little-endian.
pub type Seed = (i64, i64);

/// What a call may use as far as the guest sees to it: passed with every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Bytes that Lua may allocate before scripts see "not enough memory".
    pub lua_memory: u32,
    /// What a value may cost on its way out: see [`VALUE_COST`].
    pub max_value: u32,
    /// How deeply values may be nested, at most [`MAX_DEPTH`].
    pub max_depth: u32,
}

/// What a fresh instance is granted: three bytes that say what it may do, and for each function
/// its number and the length of its name (4 bytes each), and the name. Behind it comes the value
/// of the global `variables`, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup<'a> {
    /// Whether it may tell the time: `os`.
    pub clock: bool,
    /// Whether it may load modules: `require`.
    pub modules: bool,
    /// Whether it may use files: `fs`.
    pub files: bool,
    /// The host functions it may call: number and name, each to be a global.
    pub functions: Vec<(u32, Cow<'a, str>)>,
}

impl Header for Setup<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend([self.clock, self.modules, self.files].map(u8::from));
        for (number, name) in &self.functions {
            out.extend(number.to_le_bytes());
            write_name(name, out);
        }
    }
}

/// Appends the length of `name` (4 bytes, little-endian) and `name`.
fn write_name(name: &str, out: &mut Vec<u8>) {
    // No name is that long.
    let len = u32::try_from(name.len()).unwrap_or(u32::MAX);
    out.extend(len.to_le_bytes());
    out.extend_from_slice(name.as_bytes());
}

/// What the guest's own libraries ask of the host, each with up to two byte strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Service {
    /// The module with this name, [`TEXT`] or [`BYTECODE`] and what that says; nothing if there is none.
    Module = 0,
    /// The content of a file.
    Read = 1,
    /// Makes a file with this content, in place of one that is there.
    Write = 2,
    /// Adds this content to the end of a file, which is made if need be.
    Append = 3,
    /// The names in a folder, as a JSON array.
    List = 4,
    /// What a path leads to, as a JSON object; nothing if it leads nowhere.
    Stat = 5,
    /// Removes a file or an empty folder.
    Remove = 6,
    /// Makes a folder, in a folder that is there.
    MakeFolder = 7,
    /// Leave to tell the time; nothing comes with it.
    Time = 8,
}

impl Service {
    /// All of them, each at the place of its number.
    pub const ALL: [Service; 9] = [
        Service::Module,
        Service::Read,
        Service::Write,
        Service::Append,
        Service::List,
        Service::Stat,
        Service::Remove,
        Service::MakeFolder,
        Service::Time,
    ];
}

/// High half of what an import gives: how it went, in its lowest byte. The low half is a length.
pub const DONE: u32 = 0;
/// There is an error message to take, which the script may catch.
pub const RAISED: u32 = 1;
/// There is nothing, which is no error.
pub const NOTHING: u32 = 2;
/// As [`RAISED`], of something that was not granted. Which refusal of the call it is, is the number
/// in the upper three bytes: see [`Denied::Refusal`].
pub const DENIED: u32 = 3;
/// Bits of a status that say how it went.
pub const STATUS_BITS: u32 = 8;

/// Source text to run: whether it may be an expression, the line that it begins on and the length of
/// its name (4 bytes each, little-endian), the name, and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Where the text came from, as error messages show it: `node 'fetch'`, a file's name.
    pub name: Cow<'a, str>,
    /// The line of its file that it begins on, counted from 1.
    pub line: u32,
    /// The text: Lua source, never bytecode.
    pub code: Cow<'a, [u8]>,
    /// Whether a bare expression will do, besides a chunk.
    pub expression: bool,
}

impl Header for Chunk<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(self.expression.into());
        out.extend(self.line.to_le_bytes());
        write_name(&self.name, out);
        out.extend_from_slice(&self.code);
    }
}

/// What a chunk was compiled to: its bytes, and nothing else. Lua doesn't verify them, so they
/// have to come from the compiler, in an instance that has run nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytecode<'a>(pub &'a [u8]);

impl Header for Bytecode<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// The number of a chunk that the guest holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldChunk(pub u32);

impl Header for HeldChunk {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }
}

/// How a memory is made ready to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settle {
    /// Whether its functions go on saying where they are translated to: only where all copies have the same
    /// translations in the same places.
    pub keeps_translated: bool,
}

impl Header for Settle {
    fn write(&self, out: &mut Vec<u8>) {
        if self.keeps_translated {
            out.push(1);
        }
    }
}

/// A global's name, or a dotted path that leads to a function: its bytes, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a>(pub &'a str);

impl Header for Name<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

/// Why the guest could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// The message, with the chunk's name and line where Lua gives them.
    pub message: String,
    /// Where the error was raised.
    pub position: Option<Position>,
    /// Lua's traceback, one frame a line, innermost first.
    pub traceback: Option<String>,
    /// What it was that the script was denied, if the error was raised for that.
    pub denied: Option<Denied>,
}

/// A line of a script. Where a message begins with one, as Lua writes it, it is this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The chunk's name.
    pub chunk: String,
    /// Counted from 1.
    pub line: u32,
}

/// What a script was denied, as the guest knows it: where the error came from, never what its
/// message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Denied {
    /// The host refused a call with [`DENIED`] and this number.
    Refusal(u32),
    /// The interpreter found nil in the global of this name.
    Global(String),
}

/// The kinds of failure a guest can report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// The script doesn't parse.
    Syntax,
    /// Nor does it, but more text behind it might make it whole.
    Unfinished,
    /// The script raised an error.
    Runtime,
    /// Lua ran out of the memory it may use.
    Memory,
    /// A value of the caller's can't pass into Lua.
    Argument,
    /// A value of the script's can't pass out of it.
    Value,
    /// A name leads to nothing that can be called.
    NotCallable,
    /// The request was malformed: a fault of ours, never of the script.
    Request,
}
