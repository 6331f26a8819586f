//! The text of a chunk, as it is compiled.

use std::ffi::CString;

use crate::failure::{Failure, FailureKind};
use crate::raw::stack::Stack;
use crate::wire::Chunk;

/// What Lua's compiler is given: see [`Source::push`].
pub(crate) struct Source<'c> {
    name: CString,
    /// Lines of its file that come before it.
    lines_before: u32,
    /// What it begins with beside its own text.
    prefix: &'static str,
    text: &'c [u8],
    /// Whether the text may be an expression.
    expression: bool,
}

impl<'c> Source<'c> {
    /// The text of `chunk`, with the local `state` or without.
    ///
    /// # Errors
    ///
    /// When its name holds a zero byte.
    pub(crate) fn of(chunk: &'c Chunk<'_>, with_state: bool) -> Result<Source<'c>, Failure> {
        let name = CString::new(format!("={}", chunk.name)).map_err(|error| {
            Failure::new(FailureKind::Runtime, format!("invalid name: {error}"))
        })?;
        let text = without_file_marks(&chunk.code);
        Ok(Source {
            name,
            lines_before: chunk.line.saturating_sub(1),
            // On the script's own first line, so that the lines in messages are its own.
            prefix: match with_state {
                true => "local state = ...; ",
                false => "",
            },
            expression: chunk.expression && !is_statement(text),
            text,
        })
    }

    /// Pushes the function that it compiles to: of the text as an expression, if it may be one, or else of
    /// the text itself.
    ///
    /// # Errors
    ///
    /// When it doesn't compile.
    pub(crate) fn push(&self, stack: Stack) -> Result<(), Failure> {
        if !self.expression {
            return self.compile(stack, "");
        }
        self.compile(stack, "return ").or_else(|as_expression| {
            self.compile(stack, "").map_err(|as_chunk| {
                match as_expression.kind {
                    // It was an expression so far, and then the text ended.
                    FailureKind::Unfinished => as_expression,
                    _ => as_chunk,
                }
            })
        })
    }

    fn compile(&self, stack: Stack, keyword: &str) -> Result<(), Failure> {
        let pieces = [self.prefix.as_bytes(), keyword.as_bytes(), self.text];
        let compiled = stack.compile(self.lines_before, &pieces, &self.name);
        compiled.map_err(|error| {
            // Without the sign that it is to be shown as it is.
            let name = String::from_utf8_lossy(&self.name.to_bytes()[1..]);
            Failure::uncompiled(error, &name)
        })
    }
}

/// The text without what a file may begin with that is no Lua: a byte order mark, and a first line for the
/// system, of which the end stays. No Lua text begins like that.
fn without_file_marks(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if !text.starts_with(b"#!") {
        return text;
    }
    let end = text.iter().position(|byte| *byte == b'\n');
    &text[end.unwrap_or(text.len())..]
}

/// Whether the first word of `code` rules out that it is an expression.
///
/// Trying to compile what isn't costs a throw, and a throw is dear in WebAssembly.
fn is_statement(code: &[u8]) -> bool {
    let mut rest = code.trim_ascii_start();
    while rest.starts_with(b"--") && !rest.starts_with(b"--[") {
        let end = rest.iter().position(|byte| *byte == b'\n');
        rest = rest[end.unwrap_or(rest.len())..].trim_ascii_start();
    }
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = rest.iter().position(|byte| !is_of_word(byte));
    matches!(
        &rest[..end.unwrap_or(rest.len())],
        b"break" | b"do" | b"for" | b"goto" | b"if" | b"local" | b"repeat" | b"return" | b"while"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_tells_statements() {
        for code in [
            "return 1",
            "\n -- note\n\tlocal x",
            "if x then end",
            "do end",
            "return",
        ] {
            assert!(is_statement(code.as_bytes()), "{code}");
        }
    }

    #[test]
    fn anything_else_may_be_an_expression() {
        for code in [
            "1 + 1",
            "returned",
            "f()",
            "function() end",
            "--[[ c ]] return",
            "-- only a note",
            "",
        ] {
            assert!(!is_statement(code.as_bytes()), "{code}");
        }
    }

    #[test]
    fn what_only_files_have_is_no_part_of_the_text() {
        for (file, text) in [
            ("#!/usr/bin/lua\nreturn 1", "\nreturn 1"),
            ("\u{feff}return 1", "return 1"),
            ("\u{feff}#!lua\r\nreturn 1", "\nreturn 1"),
            ("#!lua", ""),
            ("#t", "#t"),
            ("", ""),
        ] {
            assert_eq!(without_file_marks(file.as_bytes()), text.as_bytes());
        }
    }
}
