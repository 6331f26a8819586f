//! Chunks that come again and again: compiled once for all instances of a pool.
//!
//! Compiling a chunk takes several times as long as loading what it compiles to. So a text that
//! is run for the second time is compiled in an instance of its own, and what that gives is
//! sent in place of the text from then on.
//!
//! Lua doesn't verify bytecode, so where it comes from matters. It comes from an instance that was
//! made for one text, is granted nothing, runs nothing, and is gone afterwards. It is loaded only
//! where the host asks for that very text to be run. Scripts have no way to load any, and
//! nothing that an instance answers once it has run a script is ever taken for bytecode.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hashlink::LruCache;

use crate::Result;
use crate::grants::Granted;
use crate::instance::Instance;
use crate::instance::shard::{SHARDS, Shard};
use crate::pool::slots::Slots;
use crate::run::limits::Limits;
use crate::run::terms::Terms;
use crate::wire::Chunk;

/// Compiles the chunks of a pool, and keeps what was run last.
pub(crate) struct Compiler {
    slots: Arc<Slots>,
    /// Nothing.
    granted: Arc<Granted>,
    memory: Mutex<Memory>,
}

/// Bytes of a text that is worth keeping: compiling it takes less than a tick of the clock.
const MAX_TEXT: usize = 64 << 10;

/// Bytes of texts and bytecode that are kept in all. Defends the host's memory against callers
/// that make up new texts all the time.
const MAX_KEPT: usize = 8 << 20;

/// Bytes of that which each shard may have for itself: a quarter for all of them.
const MAX_RECENT: usize = MAX_KEPT / 4 / SHARDS;

/// How long compiling may take: a few ticks, since whoever asks waits for it outside of their
/// own limit.
const WALL: Duration = Duration::from_millis(20);

impl Compiler {
    /// Instances that it needs at once. Who finds none free runs the text as it is.
    pub(crate) const SLOTS: u32 = 1;

    /// One whose instances are `granted` this.
    pub(crate) fn new(granted: Granted) -> Compiler {
        Compiler {
            slots: Slots::new(Self::SLOTS as usize),
            granted: Arc::new(granted),
            memory: Mutex::new(Memory::new(MAX_KEPT - MAX_RECENT * SHARDS)),
        }
    }

    /// What `chunk` compiles to, if it is known, or the text comes for the second time.
    ///
    /// Not where fuel is metered: a run would burn less the second time.
    pub(crate) fn compiled(
        shard: &Arc<Shard>,
        chunk: &Chunk<'_>,
        with_state: bool,
    ) -> Option<Arc<[u8]>> {
        if shard.image.is_metered() || chunk.code.len() > MAX_TEXT {
            return None;
        }
        if let Some(bytecode) = shard.recent.recall(chunk, with_state) {
            return Some(bytecode);
        }
        let bytecode = Compiler::of_pool(shard, chunk, with_state)?;
        shard.recent.keep(chunk, with_state, &bytecode);
        Some(bytecode)
    }

    /// The same, as all of the pool's instances know it.
    fn of_pool(shard: &Arc<Shard>, chunk: &Chunk<'_>, with_state: bool) -> Option<Arc<[u8]>> {
        let this = &shard.compiler;
        let key = shard
            .random
            .hash_one((&chunk.name, &chunk.code, chunk.expression, with_state));
        match this.memory().recall(key, chunk, with_state) {
            Recalled::Known(bytecode) => return Some(bytecode),
            Recalled::Leave => return None,
            Recalled::Compile => {}
        }
        // Whatever keeps it from being compiled comes up again when the text itself is run.
        let bytecode: Arc<[u8]> = this.compile(shard, chunk, with_state).ok()?.into();
        this.memory()
            .keep(key, chunk, with_state, Arc::clone(&bytecode));
        Some(bytecode)
    }

    /// How many texts it wouldn't have to compile.
    #[cfg(feature = "testing")]
    pub(crate) fn known(&self) -> usize {
        let memory = self.memory();
        let texts = memory.texts.iter();
        texts
            .filter(|(_, text)| matches!(text, Text::Compiled(_)))
            .count()
    }

    fn compile(&self, shard: &Arc<Shard>, chunk: &Chunk<'_>, with_state: bool) -> Result<Vec<u8>> {
        let terms = Terms {
            limits: Limits {
                wall: shard.limits.wall.min(WALL),
                ..shard.limits
            },
            deadline: None,
            cancel: None,
            granted: Some(Arc::clone(&self.granted)),
        };
        let slot = self.slots.take(Duration::ZERO, &terms)?;
        Instance::new(shard, slot, terms)?.compile(chunk, with_state)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // It is whole whatever panicked: at worst it counts bytes that are gone.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Small chunks that the instances of one shard ran, with bytecode of its own. Where it has what
/// they run, they neither wait for the pool's, nor write to what others read.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Few>);

/// In the order in which they came.
#[derive(Default)]
struct Few {
    chunks: VecDeque<Compiled>,
    bytes: usize,
    /// How often one of them was run since they were last forgotten.
    runs: u32,
}

impl Recent {
    fn recall(&self, chunk: &Chunk<'_>, with_state: bool) -> Option<Arc<[u8]>> {
        self.few().recall(chunk, with_state)
    }

    fn keep(&self, chunk: &Chunk<'_>, with_state: bool, bytecode: &[u8]) {
        let compiled = Compiled::new(chunk, with_state, bytecode.into());
        self.few().keep(compiled);
    }

    fn few(&self) -> MutexGuard<'_, Few> {
        // As with the pool's.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Few {
    /// How many there may be: all of them are looked at.
    const MAX: usize = 32;

    /// Runs after which all are forgotten, so that the pool's memory learns that they are in use.
    const RUNS: u32 = 1024;

    fn recall(&mut self, chunk: &Chunk<'_>, with_state: bool) -> Option<Arc<[u8]>> {
        self.runs += 1;
        if self.runs > Few::RUNS {
            *self = Few::default();
        }
        let mut chunks = self.chunks.iter();
        let compiled = chunks.find(|compiled| compiled.is(chunk, with_state))?;
        Some(Arc::clone(&compiled.bytecode))
    }

    fn keep(&mut self, compiled: Compiled) {
        if compiled.size() > MAX_RECENT / 8 {
            return;
        }
        self.bytes += compiled.size();
        self.chunks.push_back(compiled);
        while (self.bytes > MAX_RECENT || self.chunks.len() > Few::MAX)
            && let Some(first) = self.chunks.pop_front()
        {
            self.bytes -= first.size();
        }
    }
}

/// The texts that were run last, by their keyed hash.
struct Memory {
    texts: LruCache<u64, Text, RandomState>,
    bytes: usize,
    max: usize,
}

enum Text {
    /// It was run once.
    Seen,
    /// It is being compiled, or could not be.
    Refused,
    Compiled(Compiled),
}

struct Compiled {
    name: String,
    code: String,
    expression: bool,
    with_state: bool,
    bytecode: Arc<[u8]>,
}

enum Recalled {
    Known(Arc<[u8]>),
    /// It comes for the second time.
    Compile,
    /// The text is to be run as it is.
    Leave,
}

impl Memory {
    fn new(max: usize) -> Memory {
        Memory {
            texts: LruCache::with_hasher(usize::MAX, RandomState::new()),
            bytes: 0,
            max,
        }
    }

    /// What is to be done about a text that is to be run now.
    fn recall(&mut self, key: u64, chunk: &Chunk<'_>, with_state: bool) -> Recalled {
        match self.texts.get_mut(&key) {
            Some(Text::Compiled(compiled)) if compiled.is(chunk, with_state) => {
                Recalled::Known(Arc::clone(&compiled.bytecode))
            }
            // Another text with the same hash stays where it is.
            Some(Text::Compiled(_) | Text::Refused) => Recalled::Leave,
            Some(seen @ Text::Seen) => {
                *seen = Text::Refused;
                Recalled::Compile
            }
            None => {
                self.insert(key, Text::Seen);
                Recalled::Leave
            }
        }
    }

    fn keep(&mut self, key: u64, chunk: &Chunk<'_>, with_state: bool, bytecode: Arc<[u8]>) {
        let compiled = Compiled::new(chunk, with_state, bytecode);
        self.insert(key, Text::Compiled(compiled));
    }

    /// Puts in `text`, and takes out what was not used for longest until there is room.
    fn insert(&mut self, key: u64, text: Text) {
        self.bytes += text.size();
        if let Some(before) = self.texts.insert(key, text) {
            self.bytes -= before.size();
        }
        while self.bytes > self.max
            && let Some((_, oldest)) = self.texts.remove_lru()
        {
            self.bytes -= oldest.size();
        }
    }
}

impl Text {
    /// Bytes that it takes.
    fn size(&self) -> usize {
        match self {
            Text::Seen | Text::Refused => ENTRY,
            Text::Compiled(compiled) => compiled.size(),
        }
    }
}

/// Bytes that an entry takes by itself, about.
const ENTRY: usize = 256;

impl Compiled {
    fn new(chunk: &Chunk<'_>, with_state: bool, bytecode: Arc<[u8]>) -> Compiled {
        Compiled {
            name: chunk.name.clone().into_owned(),
            code: chunk.code.clone().into_owned(),
            expression: chunk.expression,
            with_state,
            bytecode,
        }
    }

    /// Bytes that it takes.
    fn size(&self) -> usize {
        ENTRY + self.name.len() + self.code.len() + self.bytecode.len()
    }

    /// Whether it was compiled from this: hashes may be the same.
    fn is(&self, chunk: &Chunk<'_>, with_state: bool) -> bool {
        self.code == chunk.code
            && self.name == chunk.name
            && (self.expression, self.with_state) == (chunk.expression, with_state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(code: &str) -> Chunk<'_> {
        Chunk {
            name: "test".into(),
            code: code.into(),
            expression: true,
        }
    }

    /// Runs a text that has this hash; whether its bytecode was known.
    fn run(memory: &mut Memory, key: u64, code: &str) -> bool {
        match memory.recall(key, &chunk(code), false) {
            Recalled::Known(bytecode) => {
                assert_eq!(*bytecode, *code.as_bytes());
                true
            }
            Recalled::Compile => {
                memory.keep(key, &chunk(code), false, code.as_bytes().into());
                false
            }
            Recalled::Leave => false,
        }
    }

    fn few(codes: impl IntoIterator<Item = String>) -> Few {
        let mut few = Few::default();
        for code in codes {
            let bytecode = code.as_bytes().into();
            few.keep(Compiled::new(&chunk(&code), false, bytecode));
        }
        few
    }

    #[test]
    fn a_shard_knows_what_it_keeps_and_nothing_like_it() {
        let mut few = few(["x".to_owned(), "y".to_owned()]);
        assert_eq!(*few.recall(&chunk("x"), false).unwrap(), *b"x");
        assert_eq!(*few.recall(&chunk("y"), false).unwrap(), *b"y");
        assert!(few.recall(&chunk("x"), true).is_none());
        let named = Chunk {
            name: "other".into(),
            ..chunk("x")
        };
        assert!(few.recall(&named, false).is_none());
    }

    #[test]
    fn a_shard_keeps_the_last_few() {
        let mut few = few((0..=Few::MAX).map(|n| n.to_string()));
        assert!(few.recall(&chunk("0"), false).is_none());
        assert!(few.recall(&chunk("1"), false).is_some());
        let last = Few::MAX.to_string();
        assert!(few.recall(&chunk(&last), false).is_some());
    }

    #[test]
    fn a_shard_keeps_no_more_bytes_than_it_may() {
        let few = few((0..100).map(|n| "x".repeat(50 * n)));
        let counted: usize = few.chunks.iter().map(Compiled::size).sum();
        assert_eq!(few.bytes, counted);
        assert!(
            (MAX_RECENT / 2..=MAX_RECENT).contains(&counted),
            "{counted}"
        );
    }

    #[test]
    fn a_shard_leaves_what_is_large_to_the_pool() {
        let (small, large) = ("x".to_owned(), "x".repeat(MAX_RECENT / 8));
        let mut few = few([small.clone(), large.clone()]);
        assert!(few.recall(&chunk(&small), false).is_some());
        assert!(few.recall(&chunk(&large), false).is_none());
    }

    #[test]
    fn a_shard_asks_the_pool_again_after_many_runs() {
        let mut few = few(["x".to_owned()]);
        for _ in 0..Few::RUNS {
            assert!(few.recall(&chunk("x"), false).is_some());
        }
        assert!(few.recall(&chunk("x"), false).is_none());
        assert_eq!(few.bytes, 0);
    }

    #[test]
    fn a_text_is_known_from_its_third_run_on() {
        let mut memory = Memory::new(1 << 20);
        let known = [1, 2, 3, 4].map(|_| run(&mut memory, 7, "x"));
        assert_eq!(known, [false, false, true, true]);
    }

    #[test]
    fn another_text_with_the_same_hash_is_not_taken_for_it() {
        let mut memory = Memory::new(1 << 20);
        for _ in 0..2 {
            run(&mut memory, 7, "x");
        }
        assert!(!run(&mut memory, 7, "y"));
        assert!(run(&mut memory, 7, "x"));
        let with_state = memory.recall(7, &chunk("x"), true);
        assert!(matches!(with_state, Recalled::Leave));
    }

    #[test]
    fn what_could_not_be_compiled_is_not_tried_again() {
        let mut memory = Memory::new(1 << 20);
        let mut recall = || memory.recall(7, &chunk("x"), false);
        assert!(matches!(recall(), Recalled::Leave));
        assert!(matches!(recall(), Recalled::Compile));
        assert!(matches!(recall(), Recalled::Leave));
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let code = "x".repeat(1000);
        let mut memory = Memory::new(8 << 10);
        for key in 0..3 {
            run(&mut memory, key, &code);
            run(&mut memory, key, &code);
        }
        assert!(run(&mut memory, 0, &code));
        run(&mut memory, 3, &code);
        run(&mut memory, 3, &code);
        assert!(run(&mut memory, 0, &code), "used since");
        assert!(!run(&mut memory, 1, &code), "gone");
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let mut memory = Memory::new(8 << 10);
        for key in 0..1000 {
            let code = "x".repeat(key as usize % 100);
            run(&mut memory, key, &code);
            if key % 2 == 0 {
                run(&mut memory, key, &code);
            }
            assert!(memory.bytes <= 8 << 10);
        }
        let counted: usize = memory.texts.iter().map(|(_, text)| text.size()).sum();
        assert_eq!(memory.bytes, counted);
        assert!(counted > 4 << 10);
    }
}
