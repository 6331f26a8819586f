//! A virtual machine with JSON at both ends.

#![allow(dead_code, reason = "not every test file uses every helper")]

use std::cell::RefCell;
use std::rc::Rc;

use moonfork_guest::Host;
use moonfork_guest::vm::Vm;
use moonfork_guest::wire::{self, Chunk, Failure, Name, Op, Setup};
use serde::Serialize;
use serde_json::Value;

/// A host that records what is printed and echoes what it is called with.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    pub(crate) printed: Rc<RefCell<Vec<u8>>>,
}

impl Host for Recorder {
    fn print(&self, text: &[u8]) {
        self.printed.borrow_mut().extend_from_slice(text);
    }

    fn call(&self, function: u32, args: &[u8]) -> Result<Vec<u8>, String> {
        match function {
            0 => Ok(args.to_vec()),
            other => Err(format!("function {other} always fails")),
        }
    }
}

/// A virtual machine under test.
pub(crate) struct Machine {
    vm: Vm,
    pub(crate) recorder: Recorder,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        Machine::with_memory(64 << 20)
    }

    pub(crate) fn with_memory(lua_memory: u64) -> Machine {
        let recorder = Recorder::default();
        let vm = Vm::new(recorder.clone());
        let mut machine = Machine { vm, recorder };
        let setup = Setup {
            seed: (7, 11),
            lua_memory,
            max_value: 1 << 20,
            functions: vec!["echo".into(), "fails".into()],
        };
        machine
            .request::<()>(Op::Setup, &setup, None)
            .expect("set up");
        machine
    }

    /// Runs `code` as a chunk or an expression.
    pub(crate) fn eval(&mut self, code: &str) -> Result<Value, Failure> {
        self.eval_with(code, None)
    }

    /// Runs `code` with `state`.
    pub(crate) fn eval_with(
        &mut self,
        code: &str,
        state: Option<&Value>,
    ) -> Result<Value, Failure> {
        let chunk = Chunk {
            name: "test".into(),
            code: code.into(),
            expression: true,
        };
        self.request(Op::Eval, &chunk, state)
    }

    /// Calls the function at `path`.
    pub(crate) fn call(&mut self, path: &str, args: &Value) -> Result<Value, Failure> {
        self.request(Op::Call, &Name { name: path.into() }, Some(args))
    }

    /// Sends one request.
    pub(crate) fn request<V: Serialize>(
        &mut self,
        op: Op,
        header: &impl Serialize,
        value: Option<&V>,
    ) -> Result<Value, Failure> {
        let header = rmp_serde::to_vec(header).expect("headers encode");
        let mut request = u32::try_from(header.len())
            .expect("short")
            .to_le_bytes()
            .to_vec();
        request.extend(header);
        if let Some(value) = value {
            request.extend(rmp_serde::to_vec_named(value).expect("values encode"));
        }
        self.raw(op as u32, &request)
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, op: u32, request: &[u8]) -> Result<Value, Failure> {
        let mut answer = Vec::new();
        self.vm.handle(op, request, &mut answer);
        match answer.split_first().expect("a status byte") {
            (&wire::OK, value) => Ok(rmp_serde::from_slice(value).expect("a value")),
            (_, failure) => Err(rmp_serde::from_slice(failure).expect("a failure")),
        }
    }

    /// The message that `code` fails with.
    #[track_caller]
    pub(crate) fn error(&mut self, code: &str) -> String {
        self.eval(code).expect_err(code).message
    }
}
