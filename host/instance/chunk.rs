//! Source text and where it came from.

use std::borrow::Cow;

use crate::wire;

/// Lua source to run, and the name it has in error messages.
///
/// ```
/// use moonfork::Chunk;
/// let node = Chunk::body("return {total = state.a + state.b}").named("node 'sum'");
/// # let _ = node;
/// ```
#[derive(Clone, Debug)]
pub struct Chunk<'a> {
    name: Cow<'a, str>,
    code: Cow<'a, str>,
    expression: bool,
}

impl<'a> Chunk<'a> {
    /// A chunk or a bare expression, named `eval`.
    pub fn new(code: impl Into<Cow<'a, str>>) -> Self {
        Chunk {
            name: Cow::Borrowed("eval"),
            code: code.into(),
            expression: true,
        }
    }

    /// A chunk only, which returns what it gives back with `return`: the body of a node.
    pub fn body(code: impl Into<Cow<'a, str>>) -> Self {
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
            name: name.into(),
            ..self
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
        wire::Chunk {
            name: self.shown_name(),
            code: Cow::Borrowed(&self.code),
            expression: self.expression,
        }
    }
}

impl Chunk<'_> {
    /// The name as Lua can show it: on one line, and cut between two characters.
    fn shown_name(&self) -> Cow<'_, str> {
        /// `LUA_IDSIZE` without the byte that ends a C string.
        const MAX: usize = 59;

        let name = &self.name[..self.name.floor_char_boundary(MAX)];
        if name.contains(char::is_control) {
            Cow::Owned(name.replace(char::is_control, " "))
        } else {
            Cow::Borrowed(name)
        }
    }
}

impl<'a> From<&'a str> for Chunk<'a> {
    fn from(code: &'a str) -> Self {
        Chunk::new(code)
    }
}

impl From<String> for Chunk<'_> {
    fn from(code: String) -> Self {
        Chunk::new(code)
    }
}
