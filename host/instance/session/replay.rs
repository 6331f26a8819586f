//! The calls of a journal, made again.

use crate::instance::session::Session;
use crate::journal::entry::Call;
use crate::journal::memory::Memory;
use crate::report::output::Output;
use crate::run::limits::Limits;
use crate::run::terms::Terms;
use crate::store::global::Number;
use crate::sync::cancel::Cancel;
use crate::sync::nesting;
use crate::wire::Op;
use crate::{Error, Result};

impl Session {
    /// What of its memory and its globals a copy of it begins with.
    pub(in crate::instance) fn kept_memory(&mut self) -> wasmtime::Result<Memory> {
        let globals = self.globals().into_iter().map(|global| {
            Ok(match Number::of(&global, &mut self.store)? {
                Number::I32(number) => number.into(),
                Number::I64(number) => number,
            })
        });
        let globals = globals.collect::<wasmtime::Result<_>>()?;
        let memory = self.memory.data(&self.store);
        Ok(Memory::new(memory, globals, self.room))
    }

    /// Makes this fresh instance one that begins with `kept`.
    ///
    /// # Errors
    ///
    /// When that is no memory of the guest's, or there is no room for it.
    pub(in crate::instance) fn begin_kept(&mut self, kept: &Memory) -> wasmtime::Result<()> {
        use crate::engine::apart::PAGE;

        let wrong = || wasmtime::format_err!("the journal's memory is none of the guest's");
        let begun = self.memory.data_size(&self.store);
        if !kept.len().is_multiple_of(PAGE) || kept.len() < begun {
            return Err(wrong());
        }
        let missing = (kept.len() - begun) / PAGE;
        if missing > 0 {
            self.memory.grow(&mut self.store, missing as u64)?;
        }
        if !kept.restore(self.memory.data_mut(&mut self.store)) {
            return Err(wrong());
        }
        let globals = self.globals();
        if globals.len() != kept.globals.len() {
            return Err(wrong());
        }
        for (own, value) in globals.into_iter().zip(&kept.globals) {
            let value = match Number::of(&own, &mut self.store)? {
                Number::I32(_) => Number::I32((*value).try_into()?),
                Number::I64(_) => Number::I64(*value),
            };
            value.put(&own, &mut self.store)?;
        }
        self.room = kept.room;
        Ok(())
    }

    /// Makes a call again, with this request in place of its own; gives the fuel that it burnt as well.
    pub(in crate::instance) fn repeat(
        &mut self,
        call: &Call,
        request: Vec<u8>,
        cancel: Option<&Cancel>,
    ) -> (Result<()>, u64) {
        let terms = Terms {
            cancel: cancel.cloned(),
            ..Terms::of_limits(Limits {
                output: call.room,
                ..Limits::from(&call.limits)
            })
        };
        let _call = nesting::enter();
        self.store.data_mut().output = Output::default();
        let fuel = match self.begin(Some(&terms), &terms.limits) {
            Ok(fuel) => fuel,
            Err(error) => return (Err(error), 0),
        };
        let result = self.repeat_within(call, request, &terms.limits);
        let burnt = self.settle(fuel);
        (result, burnt)
    }

    fn repeat_within(&mut self, call: &Call, request: Vec<u8>, limits: &Limits) -> Result<()> {
        if let Some(setup) = &call.setup {
            self.request.clone_from(&setup.0);
            let limits = self.store.data().limits;
            self.exchange(Op::Setup, &limits, |_, _| Ok(()))?;
        }
        self.ready = true;
        self.request = request;
        self.watch()?;
        self.exchange(op(call.op)?, limits, |_, _| Ok(()))
    }

    /// Has the guest watch for the line that is waited for.
    fn watch(&mut self) -> Result<()> {
        let player = self.store.data_mut().tape.player();
        let Some(line) = player.and_then(|player| player.watched_line()) else {
            return Ok(());
        };
        let watch = self.instance.get_func(&mut self.store, "moonfork_watch");
        let watch = watch.ok_or_else(|| Error::internal("the guest can't watch for a line"))?;
        let watch = watch.typed::<u32, ()>(&self.store);
        let watched = watch.and_then(|watch| watch.call(&mut self.store, line));
        watched.map_err(|error| Error::internal(format_args!("{error:#}")))
    }
}

/// The operation with this number.
fn op(number: u32) -> Result<Op> {
    const ALL: [Op; 5] = [Op::Eval, Op::Call, Op::Get, Op::Set, Op::Check];

    let mut all = ALL.into_iter();
    all.find(|op| *op as u32 == number).ok_or_else(|| {
        Error::options(format_args!(
            "the journal has a call of operation {number}, which no journal has"
        ))
    })
}
