//! The virtual machine: one sandboxed Lua state that answers requests.

use std::cell::Cell;
use std::rc::Rc;

use mlua::chunk::ChunkMode;
use mlua::{Function, MultiValue, Table, Value};
use serde::Deserialize;

use crate::Host;
use crate::failure::{Failure, FailureKind};
use crate::json::outcome;
use crate::raw::reserve;
use crate::sandbox::Sandbox;
use crate::wire::{self, Allowance, Chunk, Name, Op, Setup};

/// One sandboxed Lua state.
pub struct Vm {
    sandbox: Sandbox,
    host: Rc<dyn Host>,
    /// What a value may cost on its way out, in the request at hand.
    max_value: Rc<Cell<usize>>,
    /// What the script raised its error with, in the request at hand, if that wasn't text.
    raised: Cell<Option<Value>>,
}

impl Vm {
    /// A virtual machine in which no script has run.
    ///
    /// # Panics
    ///
    /// When its own prelude fails, which the tests of this crate rule out, or there is no
    /// memory for the libraries.
    pub fn new(host: impl Host + 'static) -> Vm {
        let host: Rc<dyn Host> = Rc::new(host);
        let sandbox = Sandbox::new(&host).expect("the prelude runs");
        // The snapshot made of this state should not hold its garbage.
        sandbox.lua.gc_collect().expect("nothing has a finalizer");
        reserve::fill();
        Vm {
            sandbox,
            host,
            max_value: Rc::default(),
            raised: Cell::default(),
        }
    }

    /// Carries out one request, and replaces what `answer` held with the answer.
    ///
    /// A request is the length of its header (4 bytes, little-endian), the header, and the
    /// value of the operations that have one. Whatever it holds, this doesn't panic.
    pub fn handle(&mut self, op: u32, request: &[u8], allowance: &Allowance, answer: &mut Vec<u8>) {
        if !reserve::fill() {
            // An earlier request ended for want of memory; what it held is garbage by now.
            // A finalizer that fails is of no interest here.
            let _ = self.sandbox.lua.gc_collect();
            reserve::fill();
        }
        self.raised.set(None);
        self.max_value.set(allowance.max_value as usize);
        self.sandbox
            .values
            .set_max_depth(allowance.max_depth as usize);
        if op != Op::Setup as u32 {
            self.sandbox.memory.set_limit(allowance.lua_memory as usize);
        }
        answer.clear();
        answer.push(wire::OK);
        let written = self.dispatch(op, request).and_then(|value| {
            let values = &self.sandbox.values;
            values.write_msgpack(&value, "result", answer, self.max_value.get())
        });
        if let Err(failure) = written {
            self.write_failure(&failure, answer);
        }
    }

    /// Writes a failure in a frame, and the value behind it that was raised, if it can pass.
    fn write_failure(&self, failure: &Failure, answer: &mut Vec<u8>) {
        answer.clear();
        answer.push(wire::FAILED);
        answer.extend([0; 4]);
        rmp_serde::encode::write(answer, failure).expect("a vector takes everything");
        let end = answer.len();
        let len = u32::try_from(end - 5).expect("messages are cut off long before that");
        answer[1..5].copy_from_slice(&len.to_le_bytes());
        if let Some(raised) = self.raised.take() {
            let values = &self.sandbox.values;
            let max = self.max_value.get();
            if values.write_msgpack(&raised, "error", answer, max).is_err() {
                answer.truncate(end);
            }
        }
    }

    fn dispatch(&mut self, op: u32, request: &[u8]) -> Result<Value, Failure> {
        let (header, value) = split(request).ok_or_else(|| malformed("no header"))?;
        match operation(op).ok_or_else(|| malformed("no such operation"))? {
            Op::Setup => self.setup(&read_header(header)?, value),
            Op::Eval => self.eval(&read_header(header)?, value),
            Op::Call => self.call(&read_header(header)?, value),
            Op::Get => self.get(&read_header(header)?),
            Op::Set => self.set(&read_header(header)?, value),
        }
    }

    fn setup(&mut self, setup: &Setup<'_>, variables: &[u8]) -> Result<Value, Failure> {
        self.sandbox.seed.call::<()>(setup.seed)?;
        let globals = self.sandbox.lua.globals();
        for (number, name) in &setup.functions {
            let function = self.host_function(*number)?;
            globals.raw_set(name.as_ref(), function)?;
        }
        if setup.clock || setup.modules || setup.files {
            let granted = (setup.clock, setup.modules, setup.files);
            self.sandbox.grant.call::<()>(granted)?;
        }
        if !variables.is_empty() {
            let variables = self.read(variables, "variables")?;
            self.sandbox.freeze.call::<()>(variables)?;
        }
        Ok(Value::Nil)
    }

    fn host_function(&self, number: u32) -> mlua::Result<Function> {
        let host = Rc::clone(&self.host);
        let values = Rc::clone(&self.sandbox.values);
        let max = Rc::clone(&self.max_value);
        let raw = self
            .sandbox
            .lua
            .create_function(move |lua, args: MultiValue| {
                let call = || {
                    let args = values.array(args)?;
                    let mut request = Vec::new();
                    values.write_msgpack(&Value::Table(args), "args", &mut request, max.get())?;
                    let answer = host
                        .call(number, &request)
                        .map_err(|message| Failure::new(FailureKind::Runtime, message))?;
                    values.read(
                        &mut rmp_serde::Deserializer::from_read_ref(&answer),
                        "result",
                    )
                };
                outcome(lua, call())
            })?;
        self.sandbox.bounded.call(raw)
    }

    fn eval(&self, chunk: &Chunk<'_>, state: &[u8]) -> Result<Value, Failure> {
        if state.is_empty() {
            return self.run(self.load(chunk, "")?, Vec::new());
        }
        let state = self.read(state, "state")?;
        // On the script's own first line, so that the lines in messages are its own.
        self.run(self.load(chunk, "local state = ...; ")?, vec![state])
    }

    /// Calls `function`, and describes the error it ends with, if it does.
    fn run(&self, function: Function, args: Vec<Value>) -> Result<Value, Failure> {
        let mut call = MultiValue::from_vec(args);
        call.push_front(Value::Function(function));
        let mut results: MultiValue = self.sandbox.run.call(call)?;
        match results.pop_front() {
            Some(Value::Boolean(true)) => single(results),
            _ => {
                let described = results.pop_front().unwrap_or_default();
                self.raised.set(Failure::raised(&described));
                Err(Failure::of_script(&described))
            }
        }
    }

    /// Compiles a chunk; a bare expression too, if it may be one.
    fn load(&self, chunk: &Chunk<'_>, prefix: &str) -> Result<Function, Failure> {
        let compile = |keyword: &str| {
            let text = [prefix, keyword, &chunk.code].concat();
            self.sandbox
                .lua
                .load(text)
                .set_name(format!("={}", chunk.name))
                .set_mode(ChunkMode::Text)
                .into_function()
        };
        if !chunk.expression || is_statement(&chunk.code) {
            return Ok(compile("")?);
        }
        compile("return ").or_else(|as_expression| {
            compile("").map_err(|as_chunk| match &as_expression {
                // It was an expression so far, and then the text ended.
                mlua::Error::SyntaxError {
                    incomplete_input: true,
                    ..
                } => as_expression.into(),
                _ => as_chunk.into(),
            })
        })
    }

    fn call(&self, name: &Name<'_>, args: &[u8]) -> Result<Value, Failure> {
        let mut source = rmp_serde::Deserializer::from_read_ref(args);
        let args = self.sandbox.values.read_each(&mut source, "args")?;
        self.run(self.find(&name.name)?, args)
    }

    /// The function a dotted path leads to.
    fn find(&self, path: &str) -> Result<Function, Failure> {
        let not_callable = |what: String| Failure::new(FailureKind::NotCallable, what);
        let mut found = Value::Table(self.sandbox.lua.globals());
        let mut end = 0;
        for (depth, key) in path.split('.').enumerate() {
            let Value::Table(table) = found else {
                return Err(not_callable(format!(
                    "can't call '{path}': '{}' is a {} value",
                    &path[..end],
                    found.type_name()
                )));
            };
            found = table.get(key)?;
            end += key.len() + usize::from(depth > 0);
        }
        match found {
            Value::Function(function) => Ok(function),
            Value::Nil => Err(not_callable(format!(
                "can't call '{path}': there is no such function"
            ))),
            other => Err(not_callable(format!(
                "can't call '{path}': it is a {} value",
                other.type_name()
            ))),
        }
    }

    fn get(&self, name: &Name<'_>) -> Result<Value, Failure> {
        let globals: Table = self.sandbox.lua.globals();
        Ok(globals.get(name.name.as_ref())?)
    }

    fn set(&self, name: &Name<'_>, value: &[u8]) -> Result<Value, Failure> {
        let value = self.read(value, &name.name)?;
        self.sandbox.lua.globals().set(name.name.as_ref(), value)?;
        Ok(Value::Nil)
    }

    fn read(&self, bytes: &[u8], root: &str) -> Result<Value, Failure> {
        let mut source = rmp_serde::Deserializer::from_read_ref(bytes);
        self.sandbox.values.read(&mut source, root)
    }
}

/// The operation with this number.
fn operation(number: u32) -> Option<Op> {
    [Op::Setup, Op::Eval, Op::Call, Op::Get, Op::Set]
        .into_iter()
        .find(|op| *op as u32 == number)
}

/// Splits a request into its header and its value.
fn split(request: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = request.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

fn read_header<'a, T: Deserialize<'a>>(header: &'a [u8]) -> Result<T, Failure> {
    rmp_serde::from_slice(header).map_err(|error| malformed(error.to_string()))
}

fn malformed(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Request, message)
}

/// The one value of a result: several are refused, since all but one would be lost.
fn single(mut results: MultiValue) -> Result<Value, Failure> {
    match results.len() {
        0 | 1 => Ok(results.pop_front().unwrap_or(Value::Nil)),
        several => Err(Failure::new(
            FailureKind::Value,
            format!("result: {several} values were returned; return one table that holds them"),
        )),
    }
}

/// Whether the first word of `code` rules out that it is an expression.
///
/// Trying to compile what isn't costs a throw, and a throw is dear in WebAssembly.
fn is_statement(code: &str) -> bool {
    let mut rest = code.trim_start();
    while rest.starts_with("--") && !rest.starts_with("--[") {
        rest = rest
            .split_once('\n')
            .map_or("", |(_, rest)| rest.trim_start());
    }
    let word = rest
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .next();
    matches!(
        word,
        Some("break" | "do" | "for" | "goto" | "if" | "local" | "repeat" | "return" | "while")
    )
}

#[cfg(test)]
mod tests {
    use super::is_statement;

    #[test]
    fn the_first_word_tells_statements() {
        for code in [
            "return 1",
            "\n -- note\n\tlocal x",
            "if x then end",
            "do end",
        ] {
            assert!(is_statement(code), "{code}");
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
            "",
        ] {
            assert!(!is_statement(code), "{code}");
        }
    }
}
