//! What replaying a journal is asked for, and what comes of it.

use std::fmt::{self, Write};

use crate::chunk::Chunk;
use crate::error::{ErrorKind, Site};
use crate::journal::Journal;
use crate::journal::entry::{Asked, Call, End, Note};
use crate::journal::player::{Astray, Divergence, Played, Step, Until};
use crate::journal::show;
use crate::sync::cancel::Cancel;
use crate::wire::{self, Op, Service};
use crate::{Error, Result};

/// How to replay a [`Journal`]: see [`Pool::replay`](crate::Pool::replay). The default is as it was recorded.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ReplayOptions {
    pub(crate) until: Option<Until>,
    pub(crate) scripts: Vec<(Option<String>, Chunk<'static>)>,
    pub(crate) cancel: Option<Cancel>,
    full: bool,
}

impl ReplayOptions {
    /// As it was recorded.
    pub fn new() -> ReplayOptions {
        ReplayOptions::default()
    }

    /// Stops when a script first comes to this line of the chunk with this name, or of any chunk.
    pub fn until(mut self, chunk: Option<&str>, line: u32) -> Self {
        let chunk = chunk.map(str::to_owned);
        self.until = Some(Until { chunk, line });
        self
    }

    /// Runs `script` in place of the chunk that was recorded under this name, or of every chunk.
    pub fn script<'c>(mut self, name: Option<&str>, script: impl Into<Chunk<'c>>) -> Self {
        let name = name.map(str::to_owned);
        self.scripts.push((name, script.into().into_owned()));
        self
    }

    /// Stops it when this is fired.
    pub fn cancel_handle(mut self, cancel: &Cancel) -> Self {
        self.cancel = Some(cancel.clone());
        self
    }

    /// Shows values in full, however long they are.
    pub fn full(mut self) -> Self {
        self.full = true;
        self
    }

    /// Bytes of a value that are shown.
    pub(crate) fn shown(&self) -> usize {
        match self.full {
            true => usize::MAX,
            false => show::SHORT,
        }
    }

    /// What is to run in place of the chunk with this name.
    pub(crate) fn script_for(&self, name: &str) -> Option<&Chunk<'static>> {
        let mut scripts = self.scripts.iter();
        let found = scripts.find(|(of, _)| of.as_deref().is_none_or(|of| of == name));
        found.map(|(_, script)| script)
    }
}

/// What came of a replay. Shown, it is the whole story: what the scripts saw, what they did and at which line, and
/// how that ended; the same text each time.
#[derive(Debug)]
pub struct Replay {
    text: String,
    end: ReplayEnd,
    differences: Vec<String>,
    output: Vec<u8>,
}

/// How a replay ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReplayEnd {
    /// All that was recorded was done again.
    Done,
    /// A script came to the line that it was to stop at.
    Reached(Site),
    /// A script went another way: a [`Diverged`](ErrorKind::Diverged) error.
    Diverged(Error),
    /// A script went on where the recorded run was stopped, by time or by somebody, or where the journal had no
    /// more room.
    Beyond,
    /// The replay itself was stopped, by the handle of [`ReplayOptions::cancel_handle`].
    Cancelled,
}

impl Replay {
    /// How it ended.
    pub fn end(&self) -> &ReplayEnd {
        &self.end
    }

    /// Whether all was as it was recorded: requests and answers, errors, output, and fuel where it is metered.
    pub fn is_same(&self) -> bool {
        matches!(self.end, ReplayEnd::Done) && self.differences.is_empty()
    }

    /// What was not as it was recorded, in words.
    pub fn differences(&self) -> &[String] {
        &self.differences
    }

    /// What was printed.
    pub fn output(&self) -> &[u8] {
        &self.output
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a replayed call gave.
pub(crate) struct Ended {
    pub(crate) played: Played,
    pub(crate) error: Option<Error>,
    pub(crate) fuel: u64,
    pub(crate) is_metered: bool,
}

/// The story, while it is told.
pub(crate) struct Story {
    text: String,
    max: usize,
    calls: usize,
    /// What the call under way is introduced by, where that is told only if something is to be said of it: most
    /// scripts parse.
    title: Option<String>,
    differences: Vec<String>,
    output: Vec<u8>,
}

impl Story {
    pub(crate) fn new(journal: &Journal, max: usize) -> Story {
        let mut text = String::new();
        for line in journal.head() {
            let _ = writeln!(text, "{line}");
        }
        Story {
            text,
            max,
            calls: 0,
            title: None,
            differences: Vec::new(),
            output: Vec::new(),
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        let _ = writeln!(self.text, "{line}");
    }

    pub(crate) fn note(&mut self, note: &Note) {
        match note {
            Note::Text(text) => self.line(format_args!("{text}")),
            Note::Function { name, args, result } => {
                let args = show::arguments(&args.0, self.max);
                let result = match result {
                    Ok(result) => show::value(&result.0, self.max),
                    Err(message) => format!("error: {message}"),
                };
                self.line(format_args!("the host called {name}{args} -> {result}"));
            }
        }
    }

    /// A call begins, with this request.
    pub(crate) fn begin(&mut self, call: &Call, request: &[u8]) {
        if let Some((_, variables)) = call.setup.as_ref().and_then(|it| show::framed(&it.0))
            && !variables.is_empty()
        {
            let variables = show::value(variables, self.max);
            self.line(format_args!("variables: {variables}"));
        }
        let request = show::request(call.op, request, self.max);
        if call.op == Op::Check as u32 {
            self.title = Some(request);
            return;
        }
        self.calls += 1;
        let number = self.calls;
        self.line(format_args!("{number}. {request}"));
    }

    /// The call has ended, like this; gives how the replay has, if that is the end of it.
    pub(crate) fn end(&mut self, call: &Call, ended: Ended) -> Option<ReplayEnd> {
        let Ended {
            played,
            error,
            fuel,
            is_metered,
        } = ended;
        let mut output = Vec::new();
        for step in &played.steps {
            self.step(step);
            if let Step::Printed(text) = step {
                output.extend_from_slice(text);
            }
        }
        self.output.extend_from_slice(&output);
        if let Some(title) = self.title.take()
            && (error.is_some() || call.end.as_ref().is_none_or(|end| end.error.is_some()))
        {
            self.line(format_args!("{title}"));
        } else if call.op == Op::Check as u32 {
            return None;
        }
        if let Some(site) = played.reached {
            self.line(format_args!("   stopped at {}", site.position));
            for frame in site.traceback.lines() {
                self.line(format_args!("     {}", frame.trim_start()));
            }
            return Some(ReplayEnd::Reached(site));
        }
        // Calls that it would have made yet are none that it left out.
        let is_late = error.as_ref().is_some_and(Error::is_timeout);
        let astray = played.astray.filter(|astray| {
            !matches!(astray, Astray::Other(divergence) if divergence.asked.is_none() && is_late)
        });
        match astray {
            Some(Astray::Other(divergence)) => {
                let at = error.as_ref().and_then(Error::site).cloned();
                let error = Error::from(diverged(divergence, at));
                self.line(format_args!("   {error}"));
                return Some(ReplayEnd::Diverged(error));
            }
            Some(Astray::Ended) => {
                let at = error.as_ref().and_then(Error::site);
                let at = at.map_or_else(String::new, |site| format!(" (at {})", site.position));
                let why = match call.end.as_ref().and_then(|end| end.error.as_ref()) {
                    Some((_, message)) => format!("the recorded run ended here{at}: {message}"),
                    None => format!("the journal was full and ends here{at}"),
                };
                self.line(format_args!("   {why}"));
                return Some(ReplayEnd::Beyond);
            }
            None => {}
        }
        match (&error, &played.answer) {
            (Some(error), _) => {
                let (code, message) = (error.code(), error.to_string());
                self.line(format_args!("   failed ({code}): {message}"));
                for frame in error.traceback().unwrap_or_default().lines() {
                    self.line(format_args!("     {}", frame.trim_start()));
                }
            }
            (None, Some(answer)) => {
                let value = show::value(answer.get(1..).unwrap_or_default(), self.max);
                self.line(format_args!("   returned {value}"));
            }
            (None, None) => {}
        }
        if is_metered {
            self.line(format_args!("   fuel {fuel}"));
        }
        let before = self.differences.len();
        match &call.end {
            None => {
                self.line(format_args!(
                    "   the journal was full, and has no end of this call"
                ));
                return Some(ReplayEnd::Beyond);
            }
            Some(end) => self.compare(end, &played.answer, error.as_ref()),
        }
        if call.output.0 != output {
            let was = &call.output.0;
            let at = was
                .iter()
                .zip(&output)
                .take_while(|(one, other)| one == other);
            let line = 1 + was[..at.count()].iter().filter(|it| **it == b'\n').count();
            self.differ(format!("the output is another one, from its line {line}"));
        }
        if let Some(end) = &call.end
            && is_metered
            && end.fuel != fuel
        {
            self.differ(format!("the fuel was {}, and is {fuel}", end.fuel));
        }
        for index in before..self.differences.len() {
            let difference = self.differences[index].clone();
            self.line(format_args!("   differs: {difference}"));
        }
        None
    }

    fn differ(&mut self, difference: String) {
        let number = self.calls;
        self.differences
            .push(format!("call {number}: {difference}"));
    }

    fn compare(&mut self, was: &End, answer: &Option<Vec<u8>>, error: Option<&Error>) {
        let error = error.map(|error| (error.code().to_owned(), error.to_string()));
        match (&was.error, &error) {
            (Some(was), now) if now.as_ref() != Some(was) => {
                let (code, message) = was;
                self.differ(format!("it had failed ({code}): {message}"));
            }
            (None, Some(_)) => self.differ("it had not failed".to_owned()),
            _ => {
                let now = answer.as_deref();
                let was = was.answer.as_ref().map(|answer| &*answer.0);
                if now != was {
                    let was = was.and_then(|was| was.strip_prefix(&[wire::OK]));
                    let was = was.map(|was| show::value(was, self.max));
                    self.differ(match was {
                        Some(was) => format!("it had returned {was}"),
                        None => "the error had other details".to_owned(),
                    });
                }
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Printed(text) => {
                let text = show::text(text, self.max);
                self.line(format_args!("   printed {text}"));
            }
            // Leave to tell the time comes before the time itself, what was missing behind the end.
            Step::Event(event, _)
                if matches!(&event.asked, Asked::Service { number, .. }
                    if *number == Service::Time as u32
                        && event.answer == crate::journal::entry::Answer::Nothing) => {}
            Step::Event(event, place) => {
                let asked = show::asked_to(&event.asked, self.max);
                let answer = show::answer(&event.asked, &event.answer, self.max);
                match place {
                    Some(place) => self.line(format_args!("   {place}: {asked} -> {answer}")),
                    None => self.line(format_args!("   {asked} -> {answer}")),
                }
            }
        }
    }

    /// The end of the story.
    pub(crate) fn finish(mut self, journal: &Journal, end: ReplayEnd) -> Replay {
        if journal.is_cut {
            self.line(format_args!(
                "the journal had no room for what came then: record it again with more"
            ));
        }
        match &end {
            ReplayEnd::Done if self.differences.is_empty() => {
                self.line(format_args!("the same as recorded"));
            }
            ReplayEnd::Done => self.line(format_args!("not the same as recorded")),
            ReplayEnd::Cancelled => self.line(format_args!("stopped")),
            ReplayEnd::Reached(_) | ReplayEnd::Diverged(_) | ReplayEnd::Beyond => {}
        }
        Replay {
            text: self.text,
            end,
            differences: self.differences,
            output: self.output,
        }
    }
}

fn diverged(divergence: Divergence, at: Option<Site>) -> ErrorKind {
    let Divergence {
        number,
        recorded,
        asked,
    } = divergence;
    ErrorKind::Diverged {
        call: number,
        recorded,
        asked,
        at,
    }
}

/// Checks that a journal can be replayed by a pool with this guest.
pub(crate) fn check(journal: &Journal, guest_sha256: &str, metered: bool) -> Result<()> {
    let refused = |why: &str| {
        Err(Error::options(format_args!(
            "the journal can't be replayed: {why}"
        )))
    };
    if journal.guest_sha256() != guest_sha256 {
        return refused(
            "it is of another guest module; replay it with the version that has recorded it",
        );
    }
    if journal.is_metered() != metered {
        return refused(match metered {
            true => {
                "it is of a pool that counts no fuel, and this one does; build one `for_replay`"
            }
            false => {
                "it is of a pool that counts fuel, and this one doesn't; build one `for_replay`"
            }
        });
    }
    Ok(())
}
