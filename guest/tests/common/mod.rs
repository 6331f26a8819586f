//! A virtual machine with JSON at both ends.

#![allow(dead_code, reason = "not every test file uses every helper")]

use std::cell::RefCell;
use std::rc::Rc;

use moonfork_guest::vm::Vm;
use moonfork_guest::wire::{
    self, Allowance, Chunk, Failure, Header, Name, Op, Seed, Service, Setup,
};
use moonfork_guest::{Host, Refused};
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

    fn call(&self, function: u32, args: &[u8]) -> Result<Vec<u8>, Refused> {
        match function {
            0 => Ok(args.to_vec()),
            2 => Err(Refused {
                message: "it is not granted".into(),
                denied: Some(7),
            }),
            other => Err(format!("function {other} always fails").into()),
        }
    }

    fn ask(&self, service: Service, subject: &[u8], _: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
        let subject = String::from_utf8_lossy(subject).into_owned();
        match (service, &*subject) {
            (Service::Module, "answer") => Ok(Some(module("return {value = 42}"))),
            (Service::Module, "circle") => Ok(Some(module("return require 'circle'"))),
            (Service::Module, "broken") => Ok(Some(module("return +"))),
            (Service::Module, _) | (Service::Stat, _) => Ok(None),
            _ => Err(format!("{subject}: there is no file").into()),
        }
    }
}

/// A module as the host gives it.
fn module(code: &str) -> Vec<u8> {
    let mut out = vec![wire::TEXT];
    chunk("module", code, false).write(&mut out);
    out
}

/// A chunk that begins on the first line.
pub(crate) fn chunk<'c>(name: &'c str, code: &'c str, expression: bool) -> Chunk<'c> {
    Chunk {
        name: name.into(),
        line: 1,
        code: code.as_bytes().into(),
        expression,
    }
}

/// What machines are seeded with.
pub(crate) const SEED: Seed = (7, -11);

/// A virtual machine under test.
pub(crate) struct Machine {
    vm: Vm,
    pub(crate) recorder: Recorder,
    pub(crate) allowance: Allowance,
    /// What the last error was raised with, if that wasn't text.
    pub(crate) raised: Option<Value>,
    /// What comes with the first request.
    seed: Option<Seed>,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        Machine::with_memory(64 << 20)
    }

    pub(crate) fn with_memory(lua_memory: u32) -> Machine {
        let recorder = Recorder::default();
        let vm = Vm::new(recorder.clone());
        let allowance = Allowance {
            lua_memory,
            max_value: 1 << 20,
            max_depth: 100,
        };
        let mut machine = Machine {
            vm,
            recorder,
            allowance,
            raised: None,
            seed: Some(SEED),
        };
        let setup = Setup {
            functions: vec![
                (0, "echo".into()),
                (1, "fails".into()),
                (2, "denied".into()),
            ],
            clock: false,
            modules: false,
            files: false,
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
        self.request(Op::Eval, &chunk("test", code, true), state)
    }

    /// Calls the function at `path`.
    pub(crate) fn call(&mut self, path: &str, args: &Value) -> Result<Value, Failure> {
        self.request(Op::Call, &Name(path), Some(args))
    }

    /// Sends one request.
    pub(crate) fn request<V: Serialize>(
        &mut self,
        op: Op,
        header: &impl Header,
        value: Option<&V>,
    ) -> Result<Value, Failure> {
        self.raw(op as u32, &framed(header, value))
    }

    /// Sends bytes as they are.
    pub(crate) fn raw(&mut self, op: u32, request: &[u8]) -> Result<Value, Failure> {
        let value = self.bytes(op, request)?;
        Ok(rmp_serde::from_slice(&value).expect("a value"))
    }

    /// The same, and gives the answer as bytes too.
    pub(crate) fn bytes(&mut self, op: u32, request: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut answer = Vec::new();
        let seed = self.seed.take();
        self.vm
            .handle(op, seed, request, &self.allowance, &mut answer);
        match answer.split_first().expect("a status byte") {
            (&wire::OK, value) => Ok(value.to_vec()),
            (_, framed) => {
                let (len, rest) = framed.split_first_chunk::<4>().expect("a length");
                let (failure, raised) = rest.split_at(u32::from_le_bytes(*len) as usize);
                self.raised = (!raised.is_empty())
                    .then(|| rmp_serde::from_slice(raised).expect("the raised value"));
                Err(rmp_serde::from_slice(failure).expect("a failure"))
            }
        }
    }

    /// What `code` gives, as it is written.
    pub(crate) fn raw_eval(&mut self, code: &str) -> Result<Vec<u8>, Failure> {
        let request = framed::<()>(&chunk("test", code, true), None);
        self.bytes(Op::Eval as u32, &request)
    }

    /// The message that `code` fails with.
    #[track_caller]
    pub(crate) fn error(&mut self, code: &str) -> String {
        self.eval(code).expect_err(code).message
    }
}

/// A request with this header and value.
pub(crate) fn framed<V: Serialize>(header: &impl Header, value: Option<&V>) -> Vec<u8> {
    let mut request = vec![0; 4];
    header.write(&mut request);
    let len = u32::try_from(request.len() - 4).expect("short");
    request[..4].copy_from_slice(&len.to_le_bytes());
    if let Some(value) = value {
        request.extend(rmp_serde::to_vec_named(value).expect("values encode"));
    }
    request
}
