//! Source text and where it came from.

use std::borrow::Cow;

use crate::wire;

/// Lua source to run, and what it is called in error messages.
///
/// A byte order mark and a first line that begins with `#!` are skipped, as files may have them. Texts
/// needn't be UTF-8.
///
/// ```
/// # use moonfork::Pool;
/// # fn main() -> moonfork::Result<()> {
/// use moonfork::Chunk;
/// let node = Chunk::body("return {total = state.a + state.b}").named("node 'sum'");
/// // What begins on line 12 of a file says its lines.
/// let block = Chunk::body("local t\nreturn t.x").named("orders.yaml").first_line(12);
/// let mut branch = Pool::builder().build()?.branch()?;
/// let error = branch.eval::<()>(block).unwrap_err();
/// assert_eq!(error.to_string(), "orders.yaml:13: attempt to index a nil value (local 't')");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Chunk<'a> {
    name: Option<Cow<'a, str>>,
    line: u32,
    code: Cow<'a, [u8]>,
    expression: bool,
}

/// A text that a [`Chunk`] can be made of: of strings and of bytes.
#[derive(Clone, Debug)]
pub struct LuaSource<'a>(Cow<'a, [u8]>);

impl<'a> Chunk<'a> {
    /// A chunk or a bare expression, named `eval`.
    pub fn new(code: impl Into<LuaSource<'a>>) -> Self {
        Chunk {
            name: None,
            line: 1,
            code: code.into().0,
            expression: true,
        }
    }

    /// A chunk only, which returns what it gives back with `return`: the body of a node.
    pub fn body(code: impl Into<LuaSource<'a>>) -> Self {
        Chunk {
            expression: false,
            ..Chunk::new(code)
        }
    }

    /// Names the chunk after where it came from: `node 'fetch'`, a file's name. Lua shows
    /// the first 59 bytes, control characters as spaces.
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'a, str>>) -> Self {
        Chunk {
            name: Some(name.into()),
            ..self
        }
    }

    /// Says on which line of its file the chunk begins, counted from 1, as it is without this: errors
    /// and tracebacks show the file's lines.
    #[must_use]
    pub fn first_line(self, line: u32) -> Self {
        let line = line.max(1);
        Chunk { line, ..self }
    }

    /// Whether it has a name.
    pub(crate) fn is_named(&self) -> bool {
        self.name.is_some()
    }

    /// The chunk with a text and a name of its own.
    pub fn into_owned(self) -> Chunk<'static> {
        Chunk {
            name: self.name.map(|name| Cow::Owned(name.into_owned())),
            line: self.line,
            code: Cow::Owned(self.code.into_owned()),
            expression: self.expression,
        }
    }

    /// The same, not taken for an expression: nobody wants its value.
    pub(crate) fn without_value(self) -> Self {
        Chunk {
            expression: false,
            ..self
        }
    }

    pub(crate) fn to_wire(&self) -> wire::Chunk<'_> {
        self.to_wire_as("eval")
    }

    /// The same, of a chunk that has this name unless it has one of its own.
    pub(crate) fn to_wire_as<'n>(&'n self, name: &'n str) -> wire::Chunk<'n> {
        wire::Chunk {
            name: shown(self.name.as_deref().unwrap_or(name)),
            line: self.line,
            code: Cow::Borrowed(&self.code),
            expression: self.expression,
        }
    }
}

/// A name as Lua can show it: on one line, and cut between two characters.
fn shown(name: &str) -> Cow<'_, str> {
    /// `LUA_IDSIZE` without the byte that ends a C string.
    const MAX: usize = 59;

    let name = &name[..name.floor_char_boundary(MAX)];
    if name.contains(char::is_control) {
        Cow::Owned(name.replace(char::is_control, " "))
    } else {
        Cow::Borrowed(name)
    }
}

impl<'a> From<&'a str> for LuaSource<'a> {
    fn from(code: &'a str) -> Self {
        LuaSource(Cow::Borrowed(code.as_bytes()))
    }
}

impl<'a> From<&'a String> for LuaSource<'a> {
    fn from(code: &'a String) -> Self {
        LuaSource(Cow::Borrowed(code.as_bytes()))
    }
}

impl From<String> for LuaSource<'_> {
    fn from(code: String) -> Self {
        LuaSource(Cow::Owned(code.into_bytes()))
    }
}

impl<'a> From<Cow<'a, str>> for LuaSource<'a> {
    fn from(code: Cow<'a, str>) -> Self {
        match code {
            Cow::Borrowed(code) => code.into(),
            Cow::Owned(code) => code.into(),
        }
    }
}

impl<'a> From<&'a [u8]> for LuaSource<'a> {
    fn from(code: &'a [u8]) -> Self {
        LuaSource(Cow::Borrowed(code))
    }
}

impl From<Vec<u8>> for LuaSource<'_> {
    fn from(code: Vec<u8>) -> Self {
        LuaSource(Cow::Owned(code))
    }
}

impl<'a, S: Into<LuaSource<'a>>> From<S> for Chunk<'a> {
    fn from(code: S) -> Self {
        Chunk::new(code)
    }
}
