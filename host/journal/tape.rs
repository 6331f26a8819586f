//! What stands between a script and the host: nothing, somebody who writes down what passes, or one who
//! answers from what was written down.

use crate::StoreId;
use crate::codec::Bytes;
use crate::journal::Journal;
#[cfg(feature = "workflow")]
use crate::journal::entry::Note;
use crate::journal::entry::{Answer, Asked, COST, Call, End, Entry, Event, Kept};
use crate::journal::player::{Astray, Player};
use crate::run::limits::Limits;
use crate::wire::Seed;

/// What an instance's calls of the host go through.
#[derive(Default)]
pub(crate) enum Tape {
    /// They reach the host, and nobody notes them.
    #[default]
    None,
    /// They reach the host, and are noted.
    Recording(Box<Recorder>),
    /// They don't reach the host, and are answered as they were before.
    Replaying(Box<Player>),
}

/// A journal that is being written.
pub(crate) struct Recorder {
    journal: Journal,
    /// Bytes that there is room for.
    left: usize,
    /// Whether the last entry is a call that is under way.
    is_open: bool,
}

impl Recorder {
    /// One with room for so many bytes.
    pub(crate) fn new(journal: Journal, bytes: usize) -> Recorder {
        Recorder {
            journal,
            left: bytes,
            is_open: false,
        }
    }

    pub(crate) fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// What was written so far.
    pub(crate) fn into_journal(self) -> Journal {
        self.journal
    }

    /// Whether there is room; once there is none, nothing more is written: what comes after a gap would be
    /// misread.
    pub(crate) fn spend(&mut self, cost: usize) -> bool {
        if !self.journal.is_cut {
            match self.left.checked_sub(cost) {
                Some(left) => self.left = left,
                None => self.journal.is_cut = true,
            }
        }
        !self.journal.is_cut
    }

    /// Adds an entry, if there is room.
    #[cfg(feature = "workflow")]
    pub(crate) fn push(&mut self, entry: Entry) {
        if self.spend(entry.cost()) {
            self.journal.entries.push(entry);
        }
    }

    /// The call that is under way, if there is room for so much in it.
    fn call(&mut self, cost: usize) -> Option<&mut Call> {
        if !self.is_open || !self.spend(cost) {
            return None;
        }
        match self.journal.entries.last_mut() {
            Some(Entry::Call(call)) => Some(call),
            _ => None,
        }
    }
}

/// Adds to a journal what isn't a call of its instance.
#[cfg(feature = "workflow")]
impl Recorder {
    /// Words.
    pub(crate) fn note_text(&mut self, text: String) {
        self.push(Entry::Note(Note::Text(text)));
    }

    /// A call of a host function by whoever has the instance.
    pub(crate) fn note_function(
        &mut self,
        name: &str,
        args: &serde_json::Value,
        result: Result<&serde_json::Value, String>,
    ) {
        let encoded = |value: &serde_json::Value| {
            let mut bytes = Vec::new();
            // What is in JSON has passed before.
            let _ = crate::codec::encode("value", value, &mut bytes);
            Bytes(bytes)
        };
        self.push(Entry::Note(Note::Function {
            name: name.to_owned(),
            args: encoded(args),
            result: result.map(encoded),
        }));
    }
}

impl Tape {
    fn recorder(&mut self) -> Option<&mut Recorder> {
        match self {
            Tape::Recording(recorder) => Some(recorder),
            _ => None,
        }
    }

    /// The one who answers, if it isn't the host.
    pub(crate) fn player(&mut self) -> Option<&mut Player> {
        match self {
            Tape::Replaying(player) => Some(player),
            _ => None,
        }
    }

    /// Whether what passes is noted.
    pub(crate) fn is_recording(&self) -> bool {
        matches!(self, Tape::Recording(_))
    }

    /// Whether somebody else answers than the host.
    pub(crate) fn is_replaying(&self) -> bool {
        matches!(self, Tape::Replaying(_))
    }

    /// The answer to what the script asks for, where it isn't the host's to give.
    ///
    /// # Errors
    ///
    /// When it isn't what was asked for before.
    pub(crate) fn answer(
        &mut self,
        asked: impl FnOnce() -> Asked,
    ) -> Option<Result<Answer, Astray>> {
        let player = self.player()?;
        Some(player.answer(asked()))
    }

    /// Notes what the host answered.
    pub(crate) fn note(&mut self, event: impl FnOnce() -> Event) {
        let Some(recorder) = self
            .recorder()
            .filter(|it| it.is_open && !it.journal.is_cut)
        else {
            return;
        };
        let event = event();
        if let Some(call) = recorder.call(event.cost()) {
            call.events.push(event);
        }
    }

    /// A call begins with this request.
    pub(crate) fn begin(&mut self, op: u32, request: &[u8], limits: &Limits, room: usize) {
        let Some(recorder) = self.recorder() else {
            return;
        };
        if !recorder.spend(COST + request.len()) {
            return;
        }
        recorder.is_open = true;
        recorder.journal.entries.push(Entry::Call(Box::new(Call {
            op,
            request: request.into(),
            setup: None,
            limits: Kept::from(limits),
            room,
            events: Vec::new(),
            output: Bytes::default(),
            end: None,
        })));
    }

    /// The guest is told of its grants, before that.
    pub(crate) fn note_setup(&mut self, request: &[u8]) {
        if let Some(recorder) = self.recorder()
            && let Some(call) = recorder.call(request.len())
        {
            call.setup = Some(request.into());
        }
    }

    /// The script printed this, and it was kept.
    pub(crate) fn note_printed(&mut self, text: &[u8]) {
        match self {
            Tape::None => {}
            Tape::Recording(recorder) => {
                if let Some(call) = recorder.call(text.len()) {
                    call.output.0.extend_from_slice(text);
                }
            }
            Tape::Replaying(player) => player.note_printed(text),
        }
    }

    /// The guest answered the request.
    pub(crate) fn note_answer(&mut self, answer: &[u8]) {
        match self {
            Tape::None => {}
            Tape::Recording(recorder) => {
                // An error comes besides, for whom there is room.
                if let Some(call) = recorder.call(COST + answer.len()) {
                    call.end = Some(End {
                        answer: Some(answer.into()),
                        error: None,
                        fuel: 0,
                    });
                }
            }
            Tape::Replaying(player) => player.note_answer(answer),
        }
    }

    /// The call has ended.
    pub(crate) fn end(&mut self, error: Option<&crate::Error>, fuel: u64) {
        let Some(recorder) = self.recorder() else {
            return;
        };
        let error = error.map(|error| (error.code().to_owned(), error.to_string()));
        let cost = error
            .as_ref()
            .map_or(0, |(_, message)| COST + message.len());
        if let Some(call) = recorder.call(cost) {
            let end = call.end.get_or_insert(End {
                answer: None,
                error: None,
                fuel: 0,
            });
            end.error = error;
            end.fuel = fuel;
        }
        recorder.is_open = false;
    }

    /// The seed of the instance, which was given this one by its host.
    pub(crate) fn seed(&mut self, given: impl FnOnce() -> Seed) -> Seed {
        match self {
            Tape::None => given(),
            Tape::Recording(recorder) => *recorder.journal.seed.insert(given()),
            Tape::Replaying(player) => player.seed(),
        }
    }

    /// The journal of an instance that writes one.
    pub(crate) fn take(&mut self) -> Option<Journal> {
        match std::mem::take(self) {
            Tape::Recording(recorder) => Some(recorder.into_journal()),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Which instance the journal is of.
    pub(crate) fn of(&mut self, id: StoreId) {
        if let Some(recorder) = self.recorder() {
            recorder.journal.store_id = id.get();
        }
    }
}
