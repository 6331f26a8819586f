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
    first_line: u32,
}

impl<'a> Chunk<'a> {
    /// A chunk or a bare expression, named `eval`.
    pub fn new(code: impl Into<Cow<'a, str>>) -> Self {
        Chunk {
            name: Cow::Borrowed("eval"),
            code: code.into(),
            expression: true,
            first_line: 1,
        }
    }

    /// A chunk only, which returns what it gives back with `return`: the body of a node.
    pub fn body(code: impl Into<Cow<'a, str>>) -> Self {
        Chunk {
            expression: false,
            ..Chunk::new(code)
        }
    }

    /// Bytes of a name that Lua shows.
    pub const MAX_NAME: usize = 59;

    /// Names the chunk after where it came from: `node 'fetch'`, a file's name. Lua shows
    /// the first [`MAX_NAME`](Self::MAX_NAME) bytes, control characters as spaces.
    #[must_use]
    pub fn named(self, name: impl Into<Cow<'a, str>>) -> Self {
        Chunk {
            name: name.into(),
            ..self
        }
    }

    /// Says which line of a file its first line is, so that messages and tracebacks have the
    /// lines of that file. Counted from 1, as it is without this.
    ///
    /// ```
    /// # use moonfork::{Chunk, Handle, Pool};
    /// # fn main() -> moonfork::Result<()> {
    /// let chunk = Chunk::body("local x\nx.y = 1").named("shop.yaml").first_line(8);
    /// let error = Pool::builder().build()?.branch()?.eval::<()>(chunk).unwrap_err();
    /// assert!(error.to_string().starts_with("shop.yaml:9: "));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn first_line(self, line: u32) -> Self {
        Chunk {
            first_line: line.max(1),
            ..self
        }
    }

    pub(crate) fn to_wire(&self) -> wire::Chunk<'_> {
        wire::Chunk {
            name: self.shown_name(),
            code: Cow::Borrowed(&self.code),
            expression: self.expression,
            first_line: self.first_line,
        }
    }
}

impl Chunk<'_> {
    /// The name as Lua can show it: on one line, and cut between two characters.
    fn shown_name(&self) -> Cow<'_, str> {
        // `LUA_IDSIZE` without the byte that ends a C string.
        let name = &self.name[..self.name.floor_char_boundary(Chunk::MAX_NAME)];
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
