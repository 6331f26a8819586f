//! Reading what the host passes in: the same rules as for JSON text, without serde.
//!
//! An error that Lua raises here leaves at once, and drops nothing: nothing is owned but a fault,
//! and with that nothing is asked of Lua any more.

use std::ffi::c_int;

use super::{Cause, Digits, Fault, MAX_ARGUMENTS, MAX_RESERVED, Object, Run, Shape, TABLE, Values};
use crate::failure::Failure;
use crate::msgpack::{Token, Tokens};
use crate::number::{NOT_FINITE, too_large};
use crate::path::{Path, Step};
use crate::raw::stack::Stack;
use crate::wire::Numbered;

/// What was read, or where it breaks a rule.
type Read<T> = Result<T, Box<Fault>>;

impl Values {
    /// Reads one value and pushes it. Lua raises an error when it has no memory for it. `book` is where
    /// the stack has that.
    ///
    /// # Errors
    ///
    /// `Value` when it can't be a Lua value, with a path that begins with `root`; `Memory` when
    /// Lua has no room for it.
    pub(crate) fn unpack(
        &self,
        stack: Stack,
        book: c_int,
        bytes: &[u8],
        root: &str,
    ) -> Result<(), Failure> {
        let run = self.run(stack, book);
        value(&run, &mut Tokens::of(bytes)).map_err(|fault| fault.failure(root))
    }

    /// Reads one value likewise on a stack that has come through a gate, where `list` is the position of
    /// a table that takes the values that go by numbers.
    ///
    /// # Errors
    ///
    /// As [`unpack`](Self::unpack).
    pub(crate) fn unpack_shared(
        &self,
        stack: Stack,
        list: c_int,
        bytes: &[u8],
        root: &str,
    ) -> Result<(), Failure> {
        let run = Run {
            list: Some(list),
            ..self.run(stack, TABLE)
        };
        value(&run, &mut Tokens::of(bytes)).map_err(|fault| fault.failure(root))
    }

    /// Reads an array and pushes each of its elements to a stack that has come through a gate, and says how many that were; null is an
    /// empty one. Lua raises an error when it has no memory for them.
    ///
    /// # Errors
    ///
    /// As [`unpack`](Self::unpack), and when there are more than a call may have.
    pub(crate) fn unpack_each(
        &self,
        stack: Stack,
        bytes: &[u8],
        root: &str,
    ) -> Result<c_int, Failure> {
        let run = self.run(stack, TABLE);
        each(&run, &mut Tokens::of(bytes)).map_err(|fault| fault.failure(root))
    }

    /// Reads one value.
    ///
    /// # Errors
    ///
    /// As [`unpack`](Self::unpack).
    pub(crate) fn unpacked(&self, bytes: &[u8], root: &str) -> Result<mlua::Value, Failure> {
        self.made(|stack| self.unpack(stack, TABLE, bytes, root))
    }
}

fn fault(cause: Cause) -> Box<Fault> {
    Box::new(Fault {
        path: Path::default(),
        cause,
    })
}

fn rule(rule: impl Into<String>) -> Box<Fault> {
    fault(Cause::Rule(rule.into()))
}

/// What `read` gave, for something that lies at this step.
fn within(step: impl FnOnce() -> Step, read: Read<()>) -> Read<()> {
    read.map_err(|mut fault| {
        fault.path.within(step());
        fault
    })
}

#[inline(always)]
fn next<'a>(tokens: &mut Tokens<'a>) -> Read<Token<'a>> {
    tokens
        .next()
        .ok_or_else(|| rule("what was passed in ends too early"))
}

fn value(run: &Run, tokens: &mut Tokens<'_>) -> Read<()> {
    match next(tokens)? {
        Token::Null => run.stack.push_nil(),
        Token::Boolean(value) => run.stack.push_boolean(value),
        Token::Integer(value) => run.stack.push_integer(value),
        Token::Large(value) => return Err(rule(too_large(value))),
        Token::Number(value) if value.is_finite() => run.stack.push_number(value),
        Token::Number(_) => return Err(rule(NOT_FINITE)),
        Token::Text(text) => run.stack.push_text(text),
        Token::Array(len) => return array(run, len, tokens),
        Token::Map(len) => return map(run, len, tokens),
        Token::Bytes(bytes) => run.stack.push_text(bytes),
        Token::Numbered(Numbered::Reference(number)) if run.list.is_some() => {
            let list = run.list.unwrap_or_default();
            run.stack.raw_get_index(list, u64::from(number) + 1);
        }
        Token::Numbered(_) | Token::Other => {
            return Err(rule("what was passed in has a kind that there is not"));
        }
    }
    Ok(())
}

fn array(run: &Run, len: usize, tokens: &mut Tokens<'_>) -> Read<()> {
    let stack = run.stack;
    if len == 2
        && let Some(list) = run.list
        && let Some(number) = tokens.definition()
    {
        value(run, tokens)?;
        stack.push_copy(stack.top());
        stack.raw_set_index(list, u64::from(number) + 1);
        return Ok(());
    }
    run.enter().map_err(fault)?;
    stack.push_table(len.min(MAX_RESERVED), 0);
    let table = stack.top();
    let mut last = 0;
    for index in 1..=len as u64 {
        within(|| Step::Index(index), value(run, tokens))?;
        if stack.last_is_nil() {
            stack.pop();
        } else {
            last = index;
            stack.raw_set_index(table, index);
        }
    }
    run.remember(Shape::of(len as u64, last));
    run.leave();
    Ok(())
}

fn map(run: &Run, len: usize, tokens: &mut Tokens<'_>) -> Read<()> {
    run.enter().map_err(fault)?;
    let mut object = Object::new(run, len);
    for _ in 0..len {
        key(run, tokens)?;
        let key = run.stack.top();
        within(|| run.step(key), value(run, tokens))?;
        object.set(run);
    }
    object.end(run);
    run.leave();
    Ok(())
}

fn key(run: &Run, tokens: &mut Tokens<'_>) -> Read<()> {
    let number = match next(tokens)? {
        Token::Text(text) => {
            run.stack.push_text(text);
            return Ok(());
        }
        Token::Integer(key) => i128::from(key),
        Token::Large(key) => i128::from(key),
        other => {
            return Err(rule(format!(
                "a key is {}; it has to be text or an integer",
                other.kind()
            )));
        }
    };
    let mut digits = Digits::default();
    run.stack.push_text(digits.of(number).as_bytes());
    Ok(())
}

fn each(run: &Run, tokens: &mut Tokens<'_>) -> Read<c_int> {
    let len = match next(tokens)? {
        Token::Null => 0,
        Token::Array(len) => len,
        other => {
            return Err(rule(format!(
                "{} is passed for the arguments; pass an array or a tuple of them",
                other.kind()
            )));
        }
    };
    if len > MAX_ARGUMENTS as usize {
        return Err(rule(format!(
            "a function takes at most {MAX_ARGUMENTS} arguments; pass one table"
        )));
    }
    for index in 1..=len as u64 {
        if !run.stack.room() {
            return Err(fault(Cause::Memory));
        }
        within(|| Step::Index(index), value(run, tokens))?;
    }
    Ok(c_int::try_from(len).unwrap_or(c_int::MAX))
}
