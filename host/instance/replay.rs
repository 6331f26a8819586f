//! Journals of instances: how one begins, and how one is replayed.

use std::sync::Arc;
use std::time::Duration;

use crate::chunk::Chunk;
use crate::instance::session::Session;
use crate::instance::shared::Shared;
use crate::instance::stack;
use crate::journal::entry::{Call, Entry};
use crate::journal::memory::Memory;
use crate::journal::player::Player;
use crate::journal::replay::{self, Ended, Replay, ReplayEnd, ReplayOptions, Story};
use crate::journal::tape::{Recorder, Tape};
use crate::journal::{Begins, Journal, show};
use crate::run::terms::Terms;
use crate::store::accountant::check_room;
use crate::store::context::Context;
use crate::sync::slots::Slot;
use crate::wire::{Header, Op};
use crate::{Error, Result};

impl Session {
    /// Begins its journal, with room for so many bytes.
    ///
    /// # Errors
    ///
    /// `Internal` when its memory can't be read.
    pub(super) fn record(&mut self, bytes: usize) -> Result<()> {
        let image = &self.shared.image;
        let guest_sha256 = image.guest_sha256().to_owned();
        let metered = image.is_metered();
        let context = self.store.data_mut();
        let numbers = context.numbers.as_deref();
        let functions = context.granted.functions().map(|(number, name, _)| {
            let number = numbers.map_or(number, |numbers| numbers.of_guest(number));
            (number, name.to_owned())
        });
        let begins = Begins {
            guest_sha256,
            metered,
            granted: context.granted.described(),
            functions: functions.collect(),
        };
        let journal = Journal::new(begins, &context.limits);
        context.tape = Tape::Recording(Box::new(Recorder::new(journal, bytes)));
        context.tape.of(context.id);
        let Some(frozen) = self.frozen().cloned() else {
            return Ok(());
        };
        // All that begin with it have the same.
        let kept = match frozen.kept.get() {
            Some(kept) => Arc::clone(kept),
            None => {
                let kept = Arc::new(self.kept_memory().map_err(Error::internal)?);
                Arc::clone(frozen.kept.get_or_init(|| kept))
            }
        };
        self.keep_memory(kept);
        Ok(())
    }

    /// Adds the memory that it has to its journal, if it keeps one: it has become a copy.
    ///
    /// # Errors
    ///
    /// As [`record`](Self::record).
    pub(super) fn record_memory(&mut self) -> Result<()> {
        if self.store.data().tape.is_recording() {
            let kept = self.kept_memory().map_err(Error::internal)?;
            self.keep_memory(Arc::new(kept));
        }
        Ok(())
    }

    fn keep_memory(&mut self, kept: Arc<Memory>) {
        if let Tape::Recording(recorder) = &mut self.store.data_mut().tape {
            // Without it nothing can be replayed: it isn't counted, and isn't more than an instance has.
            recorder.journal().memory = Some(kept);
        }
    }
}

/// Replays a journal, on an instance in `slot`.
///
/// # Errors
///
/// As [`Pool::replay`](crate::Pool::replay).
pub(crate) fn replay(
    shared: &Arc<Shared>,
    slot: Slot,
    journal: &Journal,
    options: &ReplayOptions,
) -> Result<Replay> {
    let image = &shared.image;
    replay::check(journal, image.guest_sha256(), image.is_metered())?;
    let limits = journal.limits();
    if limits.memory > shared.limits.memory {
        return Err(Error::options(format_args!(
            "the journal's instance could use {} bytes of memory, and those of this pool {}: build \
             one `for_replay`",
            limits.memory, shared.limits.memory
        )));
    }
    limits.check(journal.is_metered()).map_err(Error::options)?;
    if let Some(memory) = &journal.memory {
        check_room(memory.len(), &limits)?;
    }
    let terms = Terms {
        cancel: options.cancel.clone(),
        ..Terms::of_limits(limits)
    };
    let granted = Arc::clone(&shared.nothing);
    let awake = Arc::clone(image.awake());
    let mut context = Context::new(terms, granted, Duration::ZERO, &shared.random, awake);
    context.tape = Tape::Replaying(Box::new(Player::new(
        // One that was never called has none, and needs none.
        journal.seed.unwrap_or_default(),
        journal.functions().clone(),
        options.until.clone(),
    )));
    let failed = |error: wasmtime::Error| {
        Error::internal(format_args!("no instance could be made: {error:#}"))
            .caused_by(error.into_boxed_dyn_error())
    };
    let mut session = Session::new(shared, None, context, slot).map_err(failed)?;
    if let Some(memory) = &journal.memory {
        session.begin_kept(memory).map_err(|error| {
            Error::options(format_args!("the journal can't be replayed: {error:#}"))
        })?;
    }
    let mut story = Story::new(journal, options.shown());
    let mut entries = journal.entries.iter().peekable();
    while let Some(entry) = entries.next() {
        let call = match entry {
            Entry::Note(note) => {
                story.note(note);
                continue;
            }
            Entry::Call(call) => call,
        };
        let is_last = entries.peek().is_none();
        let (ended, ends_instance) = repeat(&mut session, &mut story, call, is_last, options);
        if options.cancel.as_ref().is_some_and(|it| it.is_cancelled()) {
            return Ok(story.finish(journal, ReplayEnd::Cancelled));
        }
        if let Some(end) = story.end(call, ended) {
            return Ok(story.finish(journal, end));
        }
        if ends_instance {
            break;
        }
    }
    let end = match journal.is_cut {
        true => ReplayEnd::Beyond,
        false => ReplayEnd::Done,
    };
    Ok(story.finish(journal, end))
}

/// Makes a call again; says what came of it, and whether that was the end of the instance.
fn repeat(
    session: &mut Session,
    story: &mut Story,
    call: &Call,
    is_last: bool,
    options: &ReplayOptions,
) -> (Ended, bool) {
    let is_metered = session.shared.image.is_metered();
    let request = request(call, options);
    story.begin(call, &request);
    let is_stopped = |(code, _): &(String, String)| code == "timeout" || code == "cancelled";
    let is_open_ended = match &call.end {
        None => is_last,
        Some(end) => end.error.as_ref().is_some_and(is_stopped),
    };
    if let Some(player) = session.store.data_mut().tape.player() {
        player.begin(call.events.clone(), is_open_ended);
    }
    let cancel = options.cancel.as_ref();
    let (result, fuel) = stack::with_room(|| session.repeat(call, request, cancel));
    let error = result.err();
    let ends_instance = error.as_ref().is_some_and(Error::ends_instance);
    let player = session.store.data_mut().tape.player();
    let ended = Ended {
        played: player.expect("it was given one").end(),
        error,
        fuel,
        is_metered,
    };
    (ended, ends_instance)
}

/// The request of a call, with another script where there is to be one.
fn request(call: &Call, options: &ReplayOptions) -> Vec<u8> {
    let request = &call.request.0;
    let replaced = || {
        if call.op != Op::Eval as u32 {
            return None;
        }
        let (head, value) = show::framed(request)?;
        let recorded = show::chunk(head)?;
        let script = options.script_for(&recorded.name)?;
        Some(with_script(script, &recorded, value))
    };
    replaced().unwrap_or_else(|| request.clone())
}

/// A request that runs `script` in place of what was recorded, with the same value.
fn with_script(script: &Chunk<'_>, recorded: &show::Shown<'_>, value: &[u8]) -> Vec<u8> {
    let mut chunk = script.to_wire_as(&recorded.name);
    chunk.expression &= recorded.expression;
    if !script.is_named() {
        chunk.line = recorded.line;
    }
    let mut head = Vec::new();
    chunk.write(&mut head);
    // No text is that long.
    let len = u32::try_from(head.len()).unwrap_or(u32::MAX);
    let mut request = len.to_le_bytes().to_vec();
    request.extend(head);
    request.extend_from_slice(value);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_script_takes_the_place_of_one() {
        let recorded = show::Shown {
            expression: true,
            line: 1,
            name: "eval".into(),
        };
        let script = Chunk::new("return 2").named("other").first_line(3);
        let request = with_script(&script, &recorded, b"value");
        let (head, value) = show::framed(&request).unwrap();
        let chunk = show::chunk(head).unwrap();
        assert_eq!(
            (chunk.line, &*chunk.name, value),
            (3, "other", &b"value"[..])
        );
        assert!(head.ends_with(b"return 2"));
    }
}
