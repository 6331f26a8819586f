//! Reading what the host passes in: the same rules as for JSON text, without serde.
//!
//! An error that Lua raises here leaves at once, and drops nothing: nothing is owned but a fault,
//! and with that nothing is asked of Lua any more.

use std::ffi::c_int;

use super::book::Shape;
use super::kept::Lists;
use super::object::Object;
use super::run::{Cause, Fault, Run};
use super::sink::Digits;
use super::{MAX_ARGUMENTS, MAX_RESERVED, Values};
use crate::failure::Failure;
use crate::msgpack::{Token, Tokens};
use crate::number::{NOT_FINITE, too_large};
use crate::path::{Path, Step};
use crate::raw::gate::TABLE;
use crate::raw::lazy::HAS_COPIES;
use crate::raw::stack::{Item, Stack};
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

    /// Reads one value likewise on a stack that has come through a gate, in which some go by numbers.
    ///
    /// # Errors
    ///
    /// As [`unpack`](Self::unpack).
    pub(crate) fn unpack_numbered(
        &self,
        stack: Stack,
        lists: Lists,
        bytes: &[u8],
        root: &str,
    ) -> Result<(), Failure> {
        let run = Run {
            lists: Some(lists),
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
        Token::Numbered(Numbered::Reference(number)) => {
            if let Some(lists) = run.lists {
                return refer(run, lists, number, tokens);
            }
            return Err(rule(NO_KIND));
        }
        Token::Numbered(_) | Token::Other => return Err(rule(NO_KIND)),
    }
    Ok(())
}

fn array(run: &Run, len: usize, tokens: &mut Tokens<'_>) -> Read<()> {
    let stack = run.stack;
    if len == 2
        && let Some(lists) = run.lists
        && let Some(number) = tokens.definition()
    {
        return define(run, lists, number, tokens);
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
    made(run);
    run.leave();
    Ok(())
}

/// Seals the last value, a table that is whole, if it is in an original.
fn made(run: &Run) {
    if run.originals.get() > 0
        && let Item::Table(table) = run.stack.item(run.stack.top())
    {
        run.stack.seal(table);
        reach(run, run.depth_left.get());
    }
}

/// Notes that a table of an original has so many levels left.
fn reach(run: &Run, left: usize) {
    run.deepest.set(run.deepest.get().min(left));
}

/// Reads a value that goes by this number from here on.
fn define(run: &Run, lists: Lists, number: u32, tokens: &mut Tokens<'_>) -> Read<()> {
    let stack = run.stack;
    let index = u64::from(number);
    if number == 0 {
        // The state itself, which is there once.
        return value(run, tokens);
    }
    if !HAS_COPIES {
        stack.push_integer(tokens.left().cast_signed());
        stack.raw_set_index(lists.values, index);
        return value(run, tokens);
    }
    let left = run.depth_left.get();
    let around = run.deepest.replace(left);
    run.originals.set(run.originals.get() + 1);
    value(run, tokens)?;
    run.originals.set(run.originals.get() - 1);
    stack.push_integer((left - run.deepest.get()) as i64);
    stack.raw_set_index(lists.depths, index);
    reach(run, around);
    if matches!(stack.item(stack.top()), Item::Table(_) | Item::Text(_)) {
        stack.push_copy(stack.top());
        stack.push_integer(index as i64);
        stack.raw_set(lists.numbers);
    }
    stack.push_copy(stack.top());
    stack.raw_set_index(lists.values, index);
    show(run);
    Ok(())
}

/// Puts a copy in place of the last value if that is a table, unless it is in an original itself.
fn show(run: &Run) {
    if run.originals.get() == 0 && matches!(run.stack.item(run.stack.top()), Item::Table(_)) {
        run.stack.lazy_copy();
    }
}

/// Pushes the value that goes by this number.
fn refer(run: &Run, lists: Lists, number: u32, tokens: &Tokens<'_>) -> Read<()> {
    let stack = run.stack;
    let index = u64::from(number);
    let values = lists.of(number).values;
    if !HAS_COPIES {
        stack.raw_get_index(values, index);
        let left = match stack.item(stack.top()) {
            Item::Integer(left) => left.cast_unsigned(),
            _ => return Err(rule(NO_VALUE)),
        };
        stack.pop();
        return value(run, &mut tokens.again(left));
    }
    let left = run
        .depth_left
        .get()
        .checked_sub(run.depth_of(lists, number));
    reach(run, left.ok_or_else(|| rule(run.too_deep()))?);
    stack.raw_get_index(values, index);
    if stack.last_is_nil() {
        return Err(rule(NO_VALUE));
    }
    show(run);
    Ok(())
}

/// What is said of what no host of ours passes in.
const NO_KIND: &str = "what was passed in has a kind that there is not";
const NO_VALUE: &str = "what was passed in has a number that stands for nothing";

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
    made(run);
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
