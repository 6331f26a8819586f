//! The virtual machine: one sandboxed Lua state that answers requests.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::rc::Rc;

use mlua::{Function, Value};
use rmp::Marker;

use crate::Host;
use crate::callee::Callee;
use crate::failure::{Failure, FailureKind};
use crate::header::{self, malformed};
use crate::msgpack::Tokens;
use crate::raw::gate::TABLE;
use crate::raw::lazy::HAS_COPIES;
use crate::raw::library;
use crate::raw::quick::Returned;
use crate::raw::raised;
use crate::raw::reserve;
use crate::raw::settle;
use crate::raw::stack::{Held, Item, Stack};
use crate::sandbox::Sandbox;
use crate::source::Source;
use crate::wire::{self, Allowance, Chunk, Name, Op, Seed, Setup};

/// One sandboxed Lua state.
pub struct Vm {
    sandbox: Sandbox,
    /// What the script raised its error with, in the request at hand, if that wasn't text.
    raised: Cell<Option<Value>>,
    callee: Callee,
    /// The chunks that are held for [`Op::RunHeld`], in their order.
    chunks: RefCell<Vec<Held>>,
}

impl Vm {
    /// The state itself.
    #[cfg(target_family = "wasm")]
    pub(crate) fn lua(&self) -> &mlua::Lua {
        &self.sandbox.lua
    }

    /// A virtual machine in which no script has run.
    ///
    /// # Panics
    ///
    /// When its own prelude fails, which the tests of this crate rule out, or there is no
    /// memory for the libraries.
    pub fn new(host: impl Host + 'static) -> Vm {
        let host: Rc<dyn Host> = Rc::new(host);
        let sandbox = Sandbox::new(&host).expect("the prelude runs");
        let held = Held::new(&sandbox.lua, &Value::Boolean(false)).expect("there is room");
        Vm {
            callee: Callee {
                // Its length is never more.
                name: RefCell::new(Vec::with_capacity(Callee::MAX_NAME)),
                held,
                is_held: Cell::default(),
            },
            sandbox,
            raised: Cell::default(),
            chunks: RefCell::default(),
        }
    }

    /// Carries out one request, and replaces what `answer` held with the answer.
    ///
    /// A request is the length of its header (4 bytes, little-endian), the header, and the
    /// value of the operations that have one. Whatever it holds, this doesn't panic. A `seed` is
    /// taken before any script runs.
    // Inlined where the module is entered: see there on parameters.
    #[inline(always)]
    pub fn handle(
        &mut self,
        op: u32,
        seed: Option<Seed>,
        request: &[u8],
        allowance: &Allowance,
        answer: &mut Vec<u8>,
    ) {
        if let Some((low, high)) = seed {
            self.sandbox.random.seed(low, high);
            self.sandbox.library.restart_clock();
        }
        if !reserve::fill() {
            // An earlier request ended for want of memory; what it held is garbage by now.
            // A finalizer that fails is of no interest here.
            let _ = self.sandbox.lua.gc_collect();
            reserve::fill();
        }
        self.raised.set(None);
        raised::clear(&self.sandbox.lua);
        self.sandbox.library.tidy();
        self.sandbox
            .values
            .allow(allowance.max_value as usize, allowance.max_depth as usize);
        // What the setup makes is small, and made where running out of memory can't be told.
        let unlimited = op == Op::Setup as u32;
        self.sandbox.memory.set_limit(match unlimited {
            true => usize::MAX,
            false => allowance.lua_memory as usize,
        });
        answer.clear();
        answer.push(wire::OK);
        let done = match op == Op::Call as u32 {
            true => self.call_quickly(request, answer),
            false => None,
        };
        if let Err(failure) = done.unwrap_or_else(|| self.dispatch(op, request, answer)) {
            self.write_failure(&failure, answer);
        }
    }

    /// Writes a failure in a frame, and the value behind it that was raised, if it can pass.
    fn write_failure(&self, failure: &Failure, answer: &mut Vec<u8>) {
        answer.clear();
        answer.push(wire::FAILED);
        answer.extend([0; 4]);
        rmp_serde::encode::write(answer, failure).expect(ALL);
        let end = answer.len();
        let len = u32::try_from(end - 5).expect("messages are cut off long before that");
        answer[1..5].copy_from_slice(&len.to_le_bytes());
        if let Some(raised) = self.raised.take() {
            let values = &self.sandbox.values;
            let max = values.max_value();
            if values.write_msgpack(&raised, "error", answer, max).is_err() {
                answer.truncate(end);
            }
        }
    }

    /// Carries out a call of the function that was called last, if that and the arguments allow
    /// it; nothing where [`dispatch`](Self::dispatch) has to.
    #[inline(always)]
    fn call_quickly(&self, request: &[u8], answer: &mut Vec<u8>) -> Option<Result<(), Failure>> {
        let (name, args) = split(request)?;
        let held = self.callee.held(name)?;
        let Sandbox { lua, gate, .. } = &self.sandbox;
        let done = gate.call_quickly(lua, held, args)?;
        Some(match done {
            Ok(returned) => self.write_returned(returned, answer),
            Err(described) => Err(self.failure(&described)),
        })
    }

    #[inline(always)]
    fn write_returned(&self, returned: Returned, answer: &mut Vec<u8>) -> Result<(), Failure> {
        match returned {
            Returned::Nil => answer.push(NULL),
            Returned::Boolean(value) => answer.push(if value { TRUE } else { FALSE }),
            Returned::Integer(value) => match u8::try_from(value) {
                // As below, in short: such a number is its own encoding.
                Ok(value) if value < 0x80 => answer.push(value),
                _ => {
                    rmp::encode::write_sint(answer, value).expect(ALL);
                }
            },
            Returned::Number(value) => rmp::encode::write_f64(answer, value).expect(ALL),
            Returned::Value(value) => {
                let values = &self.sandbox.values;
                values.write_msgpack(&value, "result", answer, values.max_value())?;
            }
            Returned::Several(several) => return Err(several_results(several)),
        }
        Ok(())
    }

    // By itself: what it needs would be in the way of calls that do without it.
    #[inline(never)]
    fn dispatch(&mut self, op: u32, request: &[u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
        let (header, value) = split(request).ok_or_else(|| malformed("no header"))?;
        match operation(op).ok_or_else(|| malformed("no such operation"))? {
            Op::Setup => self.setup(&header::setup(header)?, value, answer),
            Op::Eval => self.eval(&header::chunk(header)?, value, answer),
            Op::Call => self.call(header, value, answer),
            Op::Get => self.get(header::name(header)?, answer),
            Op::Set => self.set(header::name(header)?, value, answer),
            Op::Compile => self.compile(&header::chunk(header)?, !value.is_empty(), answer),
            Op::Run => self.run(header, value, answer),
            Op::Check => {
                self.compiled(&header::chunk(header)?, false)?;
                answer.push(NULL);
                Ok(())
            }
            Op::Hold => self.hold(header, answer),
            Op::RunHeld => {
                let held = self.held(header)?;
                self.answer_chunk(answer, value, |stack| {
                    stack.push_again(held);
                    Ok(())
                })
            }
            Op::Settle => {
                self.settle(header.is_empty())?;
                answer.push(NULL);
                Ok(())
            }
            Op::Keep if !HAS_COPIES => {
                Err(malformed("values to keep, of which there are no copies"))
            }
            Op::Keep => {
                self.protected(|stack| self.sandbox.values.keep(stack, value))?;
                answer.push(NULL);
                Ok(())
            }
        }
    }

    /// Does `work` in a protected call.
    fn protected(&self, mut work: impl FnMut(Stack) -> Result<(), Failure>) -> Result<(), Failure> {
        let Sandbox { lua, gate, .. } = &self.sandbox;
        let mut result = Ok(());
        let done = gate.run(lua, &[], &mut |stack| {
            result = work(stack);
        });
        done.map_err(|described| self.failure(&described))?;
        result
    }

    /// The failure that an error is, as the gate's handler described it.
    fn failure(&self, described: &Value) -> Failure {
        self.raised.set(Failure::raised(described));
        Failure::of_script(described)
    }

    /// Does `work` likewise, which leaves one value at the top, and writes that.
    fn answer(
        &self,
        answer: &mut Vec<u8>,
        mut work: impl FnMut(Stack) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let max = self.sandbox.values.max_value();
        self.protected(|stack| {
            work(stack)?;
            let values = &self.sandbox.values;
            values.write_msgpack_from(stack, "result", answer, max)
        })
    }

    fn setup(
        &mut self,
        setup: &Setup<'_>,
        variables: &[u8],
        answer: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        for (number, name) in &setup.functions {
            let Sandbox { lua, library, .. } = &self.sandbox;
            let number = Value::Integer((*number).into());
            let function = library.function(lua, library::host_function, &[number])?;
            lua.globals().raw_set(name.as_ref(), function)?;
        }
        if setup.clock {
            self.sandbox.library.start_clock();
        }
        if setup.clock || setup.modules || setup.files {
            let granted = (setup.clock, setup.modules, setup.files);
            self.sandbox.grant.call::<()>(granted)?;
        }
        if !variables.is_empty() {
            let variables = self
                .sandbox
                .values
                .unpacked(variables, "variables")
                .map_err(Failure::argument)?;
            self.sandbox.freeze.call::<()>(variables)?;
        }
        answer.push(NULL);
        Ok(())
    }

    /// Leaves nothing but what is in use, since all of it is about to be copied: garbage is collected,
    /// with what its finalizers leave, and free memory is zero. The collector has just been through
    /// then, and doesn't begin again before as much has been allocated as there is. `forgets` which functions
    /// were translated, where the copy may be another pool's.
    fn settle(&self, forgets: bool) -> Result<(), Failure> {
        // The second time for what the finalizers of the first had hold of.
        for _ in 0..2 {
            self.sandbox.lua.gc_collect()?;
        }
        if forgets {
            settle::forget_compiled(&self.sandbox.lua);
        }
        settle::wipe();
        // Whoever begins with the copy is seeded: the same state gives the same bytes.
        self.sandbox.random.seed(0, 0);
        Ok(())
    }

    fn eval(&self, chunk: &Chunk<'_>, state: &[u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
        let source = Source::of(chunk, !state.is_empty())?;
        self.answer_chunk(answer, state, |stack| source.push(stack))
    }

    /// Runs what [`compile`](Self::compile) gave, in whichever instance.
    fn run(&self, bytecode: &[u8], state: &[u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
        self.answer_chunk(answer, state, |stack| match stack.push_compiled(bytecode) {
            true => Ok(()),
            false => Err(malformed(BROKEN)),
        })
    }

    /// Holds what [`compile`](Self::compile) gave, for [`Op::RunHeld`]; answers its number.
    fn hold(&self, bytecode: &[u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
        let number = self.chunks.borrow().len();
        self.protected(|stack| {
            let held = stack.hold_compiled(bytecode);
            let held = held.ok_or_else(|| malformed(BROKEN))?;
            self.chunks.borrow_mut().push(held);
            Ok(())
        })?;
        rmp::encode::write_uint(answer, number as u64).expect(ALL);
        Ok(())
    }

    /// The chunk that is held under the number that a request begins with.
    fn held(&self, header: &[u8]) -> Result<Held, Failure> {
        let number = header.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        let chunks = self.chunks.borrow();
        let held = number.and_then(|number| chunks.get(usize::try_from(number).ok()?));
        held.copied()
            .ok_or_else(|| malformed("no such chunk is held"))
    }

    /// Bytes of a state for which room is made.
    const LARGE: usize = 1 << 20;

    /// Calls the chunk that `push` leaves on the stack, and answers what it returned.
    fn answer_chunk(
        &self,
        answer: &mut Vec<u8>,
        state: &[u8],
        push: impl Fn(Stack) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let values = &self.sandbox.values;
        if !Tokens::of(state).is_defined() {
            return self.answer(answer, |stack| {
                push(stack)?;
                if state.is_empty() {
                    return call_for_one(stack, 0);
                }
                values
                    .unpack(stack, TABLE, state, "state")
                    .map_err(Failure::argument)?;
                call_for_one(stack, 1)
            });
        }
        if state.len() > Self::LARGE {
            // What an earlier node had of this is garbage, between whose pieces there would be no room for the
            // large tables that this needs. A finalizer that fails is of no interest here.
            let _ = self.sandbox.lua.gc_collect();
        }
        self.protected(|stack| {
            let lists = values.push_lists(stack);
            push(stack)?;
            values
                .unpack_numbered(stack, lists, state, "state")
                .map_err(Failure::argument)?;
            call_for_one(stack, 1)?;
            values.write_numbered_from(stack, lists, "result", answer, values.max_value())
        })
    }

    /// Answers what a chunk compiles to, with all that messages and tracebacks show.
    fn compile(
        &self,
        chunk: &Chunk<'_>,
        with_state: bool,
        answer: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let function = self.compiled(chunk, with_state)?;
        answer.extend(function.dump(false));
        Ok(())
    }

    /// The function that a chunk compiles to.
    fn compiled(&self, chunk: &Chunk<'_>, with_state: bool) -> Result<Function, Failure> {
        let source = Source::of(chunk, with_state)?;
        let Sandbox { lua, gate, .. } = &self.sandbox;
        let mut result = Ok(());
        let function = gate.make(lua, &mut |stack| {
            result = source.push(stack);
            if result.is_err() {
                stack.push_nil();
            }
        });
        let function = function.map_err(|described| self.failure(&described))?;
        result?;
        Ok(function.as_function().expect("it was pushed").clone())
    }

    fn call(&self, name: &[u8], args: &[u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
        let callee = &self.callee;
        let again = callee.is_again(name);
        let Name(name) = header::name(name)?;
        self.answer(answer, |stack| {
            find(stack, name)?;
            if again {
                stack.push_text(name.as_bytes());
                stack.hold(callee.held);
                callee.is_held.set(true);
            }
            let count = self
                .sandbox
                .values
                .unpack_each(stack, args, "args")
                .map_err(Failure::argument)?;
            call_for_one(stack, count)
        })
    }

    fn get(&self, Name(name): Name<'_>, answer: &mut Vec<u8>) -> Result<(), Failure> {
        self.answer(answer, |stack| {
            stack.push_globals();
            let globals = stack.top();
            stack.push_text(name.as_bytes());
            stack.get(globals);
            Ok(())
        })
    }

    fn set(&self, Name(name): Name<'_>, value: &[u8], answer: &mut Vec<u8>) -> Result<(), Failure> {
        self.answer(answer, |stack| {
            stack.push_globals();
            let globals = stack.top();
            stack.push_text(name.as_bytes());
            self.sandbox
                .values
                .unpack(stack, TABLE, value, name)
                .map_err(Failure::argument)?;
            stack.set(globals);
            stack.push_nil();
            Ok(())
        })
    }
}

/// Values as answers have them.
const NULL: u8 = Marker::Null.to_u8();
const FALSE: u8 = Marker::False.to_u8();
const TRUE: u8 = Marker::True.to_u8();

/// What is said about bytecode that is none.
const BROKEN: &str = "the bytecode is broken";

/// Why writing an answer can't fail.
const ALL: &str = "a vector takes everything";

/// Pushes the function that a dotted path leads to.
fn find(stack: Stack, path: &str) -> Result<(), Failure> {
    let not_callable = |what: String| Err(Failure::new(FailureKind::NotCallable, what));
    stack.push_globals();
    let found = stack.top();
    let mut end = 0;
    for (depth, key) in path.as_bytes().split(|byte| *byte == b'.').enumerate() {
        let table = stack.item(found);
        if !matches!(table, Item::Table(_)) {
            return not_callable(format!(
                "can't call '{path}': '{}' is a {} value",
                &path[..end],
                table.type_name()
            ));
        }
        stack.push_text(key);
        stack.get(found);
        stack.put(found);
        end += key.len() + usize::from(depth > 0);
    }
    match stack.item(found) {
        Item::Other("function") => Ok(()),
        Item::Nil => not_callable(format!("can't call '{path}': there is no such function")),
        Item::Integer(_) => not_callable(format!("can't call '{path}': it is a number value")),
        other => not_callable(format!(
            "can't call '{path}': it is a {} value",
            other.type_name()
        )),
    }
}

/// Calls the function that has so many arguments above it. Several results are refused, since
/// all but one would be lost.
fn call_for_one(stack: Stack, args: c_int) -> Result<(), Failure> {
    let base = stack.top() - args - 1;
    stack.call(args);
    match stack.top() - base {
        0 => stack.push_nil(),
        1 => {}
        several => {
            return Err(several_results(several));
        }
    }
    Ok(())
}

fn several_results(count: c_int) -> Failure {
    Failure::new(
        FailureKind::Value,
        format!("result: {count} values were returned; return one table that holds them"),
    )
}

/// The operation with this number.
fn operation(number: u32) -> Option<Op> {
    const ALL: [Op; 12] = [
        Op::Setup,
        Op::Eval,
        Op::Call,
        Op::Get,
        Op::Set,
        Op::Compile,
        Op::Run,
        Op::Check,
        Op::Settle,
        Op::Keep,
        Op::Hold,
        Op::RunHeld,
    ];
    ALL.into_iter().find(|op| *op as u32 == number)
}

/// Splits a request into its header and its value.
fn split(request: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = request.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}
