//! One who answers what a script asks for as its journal has it.

use std::collections::BTreeMap;

use crate::error::{Position, Site};
use crate::journal::entry::{Answer, Asked, Event};
use crate::journal::show;
use crate::wire::Seed;

/// Answers one call of an instance after the other.
#[derive(Default)]
pub(crate) struct Player {
    seed: Seed,
    /// Host functions by the numbers that the guest knows them by.
    functions: BTreeMap<u32, String>,
    /// What was asked for in the call under way, and how much of that has been asked for again.
    events: Vec<Event>,
    next: usize,
    /// Whether the call was stopped behind the last of them, or the journal was cut there.
    is_open_ended: bool,
    steps: Vec<Step>,
    answer: Option<Vec<u8>>,
    astray: Option<Astray>,
    until: Option<Until>,
    reached: Option<Site>,
}

/// What a script did.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// It asked for something, at this line if that is known, and was answered.
    Event(Event, Option<Position>),
    /// It printed.
    Printed(Vec<u8>),
}

/// Why a script can't be answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Astray {
    /// It goes another way than it went.
    Other(Divergence),
    /// It goes on where it was stopped, or where the journal was cut.
    Ended,
}

/// Where a script goes another way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Divergence {
    /// Which call of the host it is, counted from 1.
    pub(crate) number: usize,
    /// What was asked for; nothing where the script had ended.
    pub(crate) recorded: Option<String>,
    /// What is asked for now; nothing where the script has ended.
    pub(crate) asked: Option<String>,
}

/// A line to stop at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Until {
    /// Of this chunk; of any, where it isn't named.
    pub(crate) chunk: Option<String>,
    pub(crate) line: u32,
}

impl Until {
    fn is_at(&self, position: &Position) -> bool {
        let chunk = self.chunk.as_deref();
        position.line == self.line && chunk.is_none_or(|chunk| chunk == position.chunk)
    }
}

/// What came of a call.
pub(crate) struct Played {
    pub(crate) steps: Vec<Step>,
    /// The guest's answer, if there was one.
    pub(crate) answer: Option<Vec<u8>>,
    pub(crate) astray: Option<Astray>,
    /// Where the line is that was waited for, if it was reached.
    pub(crate) reached: Option<Site>,
}

impl Player {
    /// One for an instance with this seed, and these functions.
    pub(crate) fn new(
        seed: Seed,
        functions: BTreeMap<u32, String>,
        until: Option<Until>,
    ) -> Player {
        Player {
            seed,
            functions,
            until,
            ..Player::default()
        }
    }

    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    /// The name of a host function.
    pub(crate) fn function(&self, number: u32) -> Option<&str> {
        self.functions.get(&number).map(String::as_str)
    }

    /// A call begins, in which this was asked for.
    pub(crate) fn begin(&mut self, events: Vec<Event>, is_open_ended: bool) {
        self.events = events;
        self.next = 0;
        self.is_open_ended = is_open_ended;
        self.steps.clear();
        self.answer = None;
        self.astray = None;
    }

    /// The call has ended: what came of it.
    pub(crate) fn end(&mut self) -> Played {
        let mut astray = self.astray.take();
        let is_whole = self.reached.is_none() && astray.is_none();
        if is_whole && let Some(event) = self.events.get(self.next) {
            astray = Some(Astray::Other(Divergence {
                number: self.number(),
                recorded: Some(show::asked(&event.asked)),
                asked: None,
            }));
        }
        Played {
            steps: std::mem::take(&mut self.steps),
            answer: self.answer.take(),
            astray,
            reached: self.reached.take(),
        }
    }

    /// Which call of the host comes next.
    fn number(&self) -> usize {
        self.next + 1
    }

    /// The answer to this.
    ///
    /// # Errors
    ///
    /// When something else was asked for in its place.
    pub(crate) fn answer(&mut self, asked: Asked) -> Result<Answer, Astray> {
        match self.events.get(self.next) {
            Some(event) if event.asked == asked => {
                self.next += 1;
                self.steps.push(Step::Event(event.clone(), None));
                Ok(event.answer.clone())
            }
            None if self.is_open_ended => Err(self.lost(Astray::Ended)),
            event => {
                let divergence = Divergence {
                    number: self.number(),
                    recorded: event.map(|event| show::asked(&event.asked)),
                    asked: Some(show::asked(&asked)),
                };
                Err(self.lost(Astray::Other(divergence)))
            }
        }
    }

    fn lost(&mut self, astray: Astray) -> Astray {
        self.astray.insert(astray).clone()
    }

    /// What the script lacked, if that was asked for next.
    pub(crate) fn missing(&mut self, name: &str) -> Option<Answer> {
        let event = self.events.get(self.next)?;
        let is_it = matches!(&event.asked, Asked::Missing { name: asked } if asked == name);
        is_it.then(|| {
            self.next += 1;
            event.answer.clone()
        })
    }

    /// Where the script was when it asked last.
    pub(crate) fn note_place(&mut self, place: Position) {
        if let Some(Step::Event(_, at)) = self.steps.last_mut() {
            *at = Some(place);
        }
    }

    pub(crate) fn note_printed(&mut self, text: &[u8]) {
        match self.steps.last_mut() {
            Some(Step::Printed(printed)) => printed.extend_from_slice(text),
            _ => self.steps.push(Step::Printed(text.to_vec())),
        }
    }

    pub(crate) fn note_answer(&mut self, answer: &[u8]) {
        self.answer = Some(answer.to_vec());
    }

    /// The line to watch for, if there is one.
    pub(crate) fn watched_line(&self) -> Option<u32> {
        self.until.as_ref().map(|until| until.line)
    }

    /// Whether the script has to stop here.
    pub(crate) fn stops_at(&mut self, site: Option<&Site>) -> bool {
        let (Some(until), Some(site)) = (&self.until, site) else {
            return false;
        };
        let is_there = until.is_at(&site.position);
        if is_there {
            self.reached = Some(site.clone());
        }
        is_there
    }
}
