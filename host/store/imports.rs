//! What the guest can ask of the host: its imports.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::{Caller, Linker, Module};

use crate::capability::{Access, Capability};
use crate::codec::Bytes;
use crate::grants::files::Refusal;
use crate::grants::function::Failed;
use crate::grants::granted::{Denial, Granted, Lookup, split_path};
use crate::journal::entry::{Answer, Asked, Event, Halt};
use crate::store::context::{Context, ModuleBytecode, Stop, guarded};
use crate::store::memory::{guest_memory, read_site, slice, slice_mut};
use crate::store::replayed::{misfit, note_place, stop};
use crate::store::{exception, wasi};
use crate::wire::{self, Header, Service};

/// Where the guest's imports come from.
const HOST_MODULE: &str = "moonfork";
/// Defines all that `module` imports.
///
/// # Errors
///
/// When it imports what is not there.
pub(crate) fn define(linker: &mut Linker<Context>, module: &Module) -> wasmtime::Result<()> {
    linker.func_wrap(HOST_MODULE, "print", print)?;
    linker.func_wrap(HOST_MODULE, "host_call", host_call)?;
    linker.func_wrap(HOST_MODULE, "host_take", host_take)?;
    linker.func_wrap(
        HOST_MODULE,
        "host_ask",
        |caller: Caller<'_, Context>,
         service: u32,
         one: u32,
         one_len: u32,
         two: u32,
         two_len: u32| { host_ask(caller, service, (one, one_len), (two, two_len)) },
    )?;
    linker.func_wrap(HOST_MODULE, "throw", exception::throw)?;
    linker.func_wrap(HOST_MODULE, "stopped", stopped)?;
    linker.func_wrap(HOST_MODULE, "panicked", panicked)?;
    let others = module.imports();
    wasi::define(linker, others.filter(|it| it.module() != HOST_MODULE))
}

/// Import `print`: text that a script printed.
fn print(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<()> {
    let (memory, context) = guest_memory(&mut caller)?;
    let text = slice(memory, ptr, len)?;
    let kept = context.output.push(text, context.call.limits.output);
    if kept.is_empty() {
        return Ok(());
    }
    context.tape.note_printed(kept);
    if let Some(sink) = context.granted.output() {
        let began = context.host_begins();
        let pushed = guarded("output", || sink.push(kept));
        context.host_ended(began);
        pushed?;
    }
    Ok(())
}

/// Import `host_call`: calls a host function and keeps its result for `host_take`.
fn host_call(
    mut caller: Caller<'_, Context>,
    function: u32,
    ptr: u32,
    len: u32,
) -> wasmtime::Result<u64> {
    let (memory, context) = guest_memory(&mut caller)?;
    let args = slice(memory, ptr, len)?;
    let unknown = || Stop::Guest(format!("it called host function {function}"));
    if let Some(player) = context.tape.player() {
        let name = player.function(function).ok_or_else(unknown)?.to_owned();
        let args = args.into();
        context.count_host_call(function as usize)?;
        return replayed(&mut caller, || Asked::Function { name, args });
    }
    let granted = Arc::clone(context.call.narrowed.as_ref().unwrap_or(&context.granted));
    let functions = granted.registry();
    let number = match &context.numbers {
        None => Some(function),
        Some(numbers) => numbers.of_pool(function),
    };
    let found = number.and_then(|number| Some((number, functions.name(number)?)));
    let (function, name) = found.ok_or_else(unknown)?;
    context.count_host_call(function as usize)?;
    let began = context.host_begins();
    let answer = call_function(context, &granted, (function, name), args);
    context.host_ended(began);
    context.tape.note(|| Event {
        asked: Asked::Function {
            name: name.to_owned(),
            args: args.into(),
        },
        answer: noted(&answer),
    });
    context.reply(answer?)
}

/// What a host function answers, if it is granted.
fn call_function(
    context: &Context,
    granted: &Granted,
    (function, name): (u32, &str),
    args: &[u8],
) -> Result<Answer, Stop> {
    if !granted.has_function(name) {
        return Ok(Answer::Denied {
            capability: Capability::Function(name.to_owned()),
            message: format!("the host function '{name}' is not granted to this run"),
        });
    }
    let max = context.call.limits.value;
    let functions = granted.registry();
    match functions.call(function, &context.host_call(), args, max) {
        Ok(result) if result.len() <= max => Ok(Answer::Done(Bytes(result))),
        Ok(result) => Ok(raised(format!(
            "the result has {} bytes, more than the {max} that may pass in one piece",
            result.len()
        ))),
        Err(Failed::Raised(mut message)) => {
            message.truncate(message.floor_char_boundary(max));
            Ok(raised(message))
        }
        // Its own idea of the time may be a moment ahead of ours.
        Err(Failed::Stopped) => Err(context.call.due(Instant::now()).unwrap_or(Stop::Deadline)),
        Err(Failed::Panicked { function, message }) => Err(Stop::HostPanic { function, message }),
    }
}

/// Import `host_ask`: what the guest's own libraries ask for, with two byte strings.
fn host_ask(
    mut caller: Caller<'_, Context>,
    service: u32,
    (one, one_len): (u32, u32),
    (two, two_len): (u32, u32),
) -> wasmtime::Result<u64> {
    let (memory, context) = guest_memory(&mut caller)?;
    let subject = slice(memory, one, one_len)?;
    let content = slice(memory, two, two_len)?;
    let Some(&service) = Service::ALL.get(service as usize) else {
        return Err(Stop::Guest(format!("it asked for service {service}")).into());
    };
    let asked = || Asked::Service {
        number: service as u32,
        subject: subject.into(),
        content: content.into(),
    };
    if context.tape.is_replaying() {
        let asked = asked();
        context.count_host_call(service as usize)?;
        return replayed(&mut caller, || asked);
    }
    let granted = Arc::clone(context.call.narrowed.as_ref().unwrap_or(&context.granted));
    context.count_host_call(granted.registry().names().count() + service as usize)?;
    let max = context.call.limits.value;
    let began = context.host_begins();
    let answer = match str::from_utf8(subject) {
        Ok(subject) if service == Service::Module => module(&granted, &context.modules, subject),
        Ok(subject) => serve(&granted, service, subject, content, max),
        Err(_) => raised("the name is not UTF-8".to_owned()),
    };
    context.host_ended(began);
    let answer = Ok(answer);
    context.tape.note(|| Event {
        asked: asked(),
        answer: noted(&answer),
    });
    context.reply(answer?)
}

/// The module of this name, if it is granted: its text, or the bytecode that one of `modules` has of it.
fn module(granted: &Granted, modules: &[Arc<dyn ModuleBytecode>], subject: &str) -> Answer {
    match granted.module(subject) {
        Lookup::Granted(chunk) => {
            let name = format!("module '{subject}'");
            let chunk = wire::Chunk {
                expression: false,
                ..chunk.to_wire_as(&name)
            };
            let bytecode = modules.iter().find_map(|modules| modules.find(&chunk));
            let source = match bytecode {
                Some(bytecode) => [&[wire::BYTECODE], bytecode].concat(),
                None => {
                    let mut source = vec![wire::TEXT];
                    chunk.write(&mut source);
                    source
                }
            };
            Answer::Done(Bytes(source))
        }
        Lookup::Absent => Answer::Nothing,
        // A name that the pool has, hence of its own choosing.
        Lookup::Denied => Answer::Denied {
            capability: Capability::Module(subject.to_owned()),
            message: format!("module '{subject}' is not granted to this run"),
        },
    }
}

/// What a service answers, if it is granted; `max` is what may pass in one piece.
fn serve(granted: &Granted, service: Service, subject: &str, content: &[u8], max: usize) -> Answer {
    let denied = |capability, message| Answer::Denied {
        capability,
        message,
    };
    if let Service::Time = service {
        return match granted.clock() {
            Some(_) => Answer::Nothing,
            None => denied(
                Capability::Clock,
                "the clock is not granted to this run".into(),
            ),
        };
    }
    let (name, path) = split_path(subject);
    let (subject, shown_name) = (shown(subject), shown(name));
    let folder_denied = |access, message| {
        let name = shown_name.clone().into_owned();
        denied(Capability::Folder { name, access }, message)
    };
    let access = match service {
        Service::Read | Service::List | Service::Stat => Access::ReadOnly,
        _ => Access::ReadWrite,
    };
    let Some(folder) = granted.folder(name) else {
        let message = format!("{subject}: no folder '{shown_name}' is granted to this run");
        return folder_denied(access, message);
    };
    match folder.serve(service, path, content, max) {
        Ok(Some(content)) => Answer::Done(Bytes(content)),
        Ok(None) => Answer::Nothing,
        Err(Refusal::ReadOnly) => {
            let message = format!("{subject}: the folder '{name}' is granted for reading only");
            folder_denied(Access::ReadWrite, message)
        }
        Err(Refusal::System(error)) if error.kind() == ErrorKind::PermissionDenied => {
            folder_denied(access, format!("{subject}: {error}"))
        }
        Err(Refusal::System(error)) => raised(format!("{subject}: {error}")),
        Err(Refusal::TooLarge(max)) => raised(format!(
            "{subject}: it is larger than the {max} bytes that may pass"
        )),
    }
}

fn raised(message: String) -> Answer {
    Answer::Raised(Bytes(message.into_bytes()))
}

/// An answer, or none, as a journal has it.
fn noted(answer: &Result<Answer, Stop>) -> Answer {
    match answer {
        Ok(answer) => answer.clone(),
        Err(stop) => Answer::Stopped(match stop {
            Stop::Deadline => Halt::Deadline,
            Stop::Cancelled => Halt::Cancelled,
            Stop::HostPanic { function, message } => Halt::Panic {
                function: function.clone(),
                message: message.clone(),
            },
            other => Halt::Failed(other.to_string()),
        }),
    }
}

/// Answers a replayed script, and notes where it is.
fn replayed(
    caller: &mut Caller<'_, Context>,
    asked: impl FnOnce() -> Asked,
) -> wasmtime::Result<u64> {
    let answer = caller.data_mut().replayed(asked)?;
    note_place(caller);
    caller.data_mut().reply(answer)
}

impl Context {
    /// Answers a script.
    fn reply(&mut self, answer: Answer) -> wasmtime::Result<u64> {
        match answer {
            Answer::Done(result) => self.keep(wire::DONE, result.0),
            Answer::Nothing => self.keep(wire::NOTHING, Vec::new()),
            Answer::Raised(message) => self.keep(wire::RAISED, message.0),
            Answer::Denied {
                capability,
                message,
            } => self.deny(capability, message),
            Answer::Stopped(halt) => Err(stop(halt).into()),
            Answer::Time(_) | Answer::Missing(_) => Err(misfit().into()),
        }
    }

    /// Keeps a result for `host_take`, and says so.
    fn keep(&mut self, status: u32, result: Vec<u8>) -> wasmtime::Result<u64> {
        let len = u32::try_from(result.len())?;
        self.result = result;
        Ok(u64::from(status) << 32 | u64::from(len))
    }

    /// Refuses what was not granted, with an error that the script can catch.
    fn deny(&mut self, capability: Capability, message: String) -> wasmtime::Result<u64> {
        /// Denials that are remembered: a script may raise an earlier one again. The guest
        /// remembers as many.
        const KEPT: usize = 16;
        /// Numbers for which there is room.
        const NUMBERS: u32 = 1 << (u32::BITS - wire::STATUS_BITS);

        let call = &mut self.call;
        let number = call.refused % NUMBERS;
        call.refused = call.refused.wrapping_add(1);
        call.denials.truncate(KEPT - 1);
        call.denials.push_front(Denial { number, capability });
        let status = wire::DENIED | number << wire::STATUS_BITS;
        self.keep(status, message.into_bytes())
    }
}

/// As much of a path as a message repeats.
fn shown(path: &str) -> Cow<'_, str> {
    /// Bytes that are shown.
    const MAX: usize = 1 << 10;

    let kept = &path[..path.floor_char_boundary(MAX)];
    if kept.len() == path.len() {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("{kept}..."))
    }
}

/// Import `stopped`: where the script was that `moonfork_interrupt` asked to stop.
fn stopped(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<()> {
    let (memory, context) = guest_memory(&mut caller)?;
    let site = read_site(slice(memory, ptr, len)?);
    if let Some(player) = context.tape.player()
        && player.stops_at(site.as_ref())
    {
        context.call.site = site;
        return Err(Stop::Replay.into());
    }
    // A call before this one may have asked, and ended before it was heard.
    let Some(stop) = context.call.stopping.take() else {
        return Ok(());
    };
    context.call.site = site;
    Err(stop.into())
}

/// Import `host_take`: copies the kept result to the guest.
fn host_take(mut caller: Caller<'_, Context>, ptr: u32) -> wasmtime::Result<()> {
    let (memory, context) = guest_memory(&mut caller)?;
    let result = std::mem::take(&mut context.result);
    let len = u32::try_from(result.len())?;
    slice_mut(memory, ptr, len)?.copy_from_slice(&result);
    Ok(())
}

/// Import `panicked`: the guest's own code failed; nothing more of it runs.
fn panicked(mut caller: Caller<'_, Context>, ptr: u32, len: u32) -> wasmtime::Result<()> {
    /// Bytes of the message that are kept.
    const KEPT: u32 = 4 << 10;

    let (memory, _) = guest_memory(&mut caller)?;
    let message = String::from_utf8_lossy(slice(memory, ptr, len.min(KEPT))?).into_owned();
    Err(Stop::Guest(message).into())
}
