//! Where the guest's Lua has what: offsets in its structures, in bytes, and the tags of its values.
//! `guest/lua/compiled.h` asserts each of them.

/// The guest's memory, by the names of the import.
pub const MEMORY: &str = "memory";

/// Its table of functions.
pub const TABLE: &str = "__indirect_function_table";

/// The first place of that table for a module's functions: a constant global of 32 bits. Whoever makes an instance
/// gives it, so that the module is the same wherever its functions go.
pub const FIRST: &str = "first";

/// What the guest exports for translated functions to call, by name; they are imported in this order.
pub const HELPERS: [&str; 11] = [
    "moonfork_op",
    "moonfork_op_call",
    "moonfork_op_tailcall",
    "moonfork_op_return",
    "moonfork_field",
    "moonfork_set_field",
    "moonfork_string_methods",
    "moonfork_next",
    "moonfork_pow",
    "moonfork_fmod",
    "moonfork_known",
];

/// The places of [`HELPERS`].
pub(crate) mod helper {
    pub(crate) const OP: u32 = 0;
    pub(crate) const CALL: u32 = 1;
    pub(crate) const TAILCALL: u32 = 2;
    pub(crate) const RETURN: u32 = 3;
    pub(crate) const FIELD: u32 = 4;
    pub(crate) const SET_FIELD: u32 = 5;
    pub(crate) const STRING_METHODS: u32 = 6;
    pub(crate) const NEXT: u32 = 7;
    pub(crate) const POW: u32 = 8;
    pub(crate) const FMOD: u32 = 9;
    pub(crate) const KNOWN: u32 = 10;
}

/// Values: what they are is behind what they hold.
pub(crate) mod value {
    pub(crate) const SIZE: u32 = 16;
    pub(crate) const TAG: u32 = 8;
}

/// Tags of values.
pub(crate) mod tag {
    pub(crate) const NIL: i32 = 0x00;
    pub(crate) const FALSE: i32 = 0x01;
    pub(crate) const TRUE: i32 = 0x11;
    pub(crate) const INTEGER: i32 = 0x03;
    pub(crate) const FLOAT: i32 = 0x13;
    pub(crate) const SHORT: i32 = 0x44;
    pub(crate) const LONG: i32 = 0x54;
    pub(crate) const TABLE: i32 = 0x45;
    pub(crate) const LUA_FUNCTION: i32 = 0x46;
    /// A function of C's without upvalues.
    pub(crate) const C_FUNCTION: i32 = 0x16;
    /// The bits that say the type alone; all of them are zero for nil and for what is empty.
    pub(crate) const TYPE: i32 = 0x0f;
    /// The type of strings.
    pub(crate) const STRING: i32 = 0x04;
    /// The bit of what the collector has to do with.
    pub(crate) const COLLECTABLE: i32 = 0x40;
}

/// `lua_State`.
pub(crate) mod state {
    pub(crate) const TOP: u32 = 12;
    pub(crate) const CI: u32 = 20;
    pub(crate) const STACK_LAST: u32 = 24;
    pub(crate) const HOOKMASK: u32 = 112;
}

/// `CallInfo`.
pub(crate) mod frame {
    pub(crate) const FUNC: u32 = 0;
    pub(crate) const TOP: u32 = 4;
    pub(crate) const PREVIOUS: u32 = 8;
    pub(crate) const NEXT: u32 = 12;
    pub(crate) const SAVED_PC: u32 = 16;
    pub(crate) const TRAP: u32 = 20;
    /// Two bytes, and behind them as many of its status.
    pub(crate) const RESULTS: u32 = 32;
}

/// `LClosure`.
pub(crate) mod closure {
    pub(crate) const PROTO: u32 = 12;
    pub(crate) const UPVALUES: u32 = 16;
}

/// `UpVal`.
pub(crate) mod upvalue {
    pub(crate) const VALUE: u32 = 8;
}

/// `Proto`.
pub(crate) mod proto {
    pub(crate) const PARAMETERS: u32 = 6;
    pub(crate) const REGISTERS: u32 = 8;
    /// Two bytes.
    pub(crate) const COMPILED: u32 = 10;
    pub(crate) const CONSTANTS: u32 = 48;
    pub(crate) const CODE: u32 = 52;
}

/// `Table`.
pub(crate) mod table {
    pub(crate) const MARKED: u32 = 5;
    pub(crate) const FLAGS: u32 = 6;
    pub(crate) const LOG_NODES: u32 = 7;
    pub(crate) const LIMIT: u32 = 8;
    pub(crate) const ARRAY: u32 = 12;
    pub(crate) const NODES: u32 = 16;
    pub(crate) const METATABLE: u32 = 24;
    /// The bit of `marked` that says that the collector has been here.
    pub(crate) const BLACK: i32 = 0x20;
    /// The bit of `flags` that says that `LIMIT` isn't the array's size.
    pub(crate) const LIMIT_IS_HINT: i32 = 0x80;
}

/// `Node`.
pub(crate) mod node {
    pub(crate) const SIZE: i32 = 24;
    /// Two bytes: the tag of the value, and that of the key.
    pub(crate) const TAGS: u32 = 8;
    pub(crate) const KEY_TAG: u32 = 9;
    pub(crate) const KEY: u32 = 16;
}

/// Bytes of the native stack that translated functions may have under way, counted as `calls.rs` does.
/// Beyond that the stack is unwound, and the interpreter begins anew with what is to be called: scripts
/// recurse as deeply as they like. Lua's own bound on C calls has to come before the end of that stack.
pub(crate) const DEPTH_LIMIT: i32 = 192 << 10;
