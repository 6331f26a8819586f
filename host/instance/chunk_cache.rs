//! Chunks that come again and again: their bytecode, an LRU cache for all instances of a pool.
//!
//! Compiling a chunk takes several times as long as loading what it compiles to. So a text that
//! is run for the second time is compiled in an instance of its own ([`compile`](super::compile)),
//! and what that gives is sent in place of the text from then on.

use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;

#[cfg(feature = "compile")]
use crate::instance::hot::Heat;
use crate::instance::known_text::KnownText;
use crate::wire::Chunk;

/// A chunk whose bytecode is known.
pub(crate) struct KnownChunk {
    pub(crate) text: KnownText,
    pub(crate) bytecode: Vec<u8>,
    /// How much time its runs took, where that is counted.
    #[cfg(feature = "compile")]
    pub(crate) heat: Heat,
}

impl KnownChunk {
    pub(crate) fn new(chunk: &Chunk<'_>, with_state: bool, bytecode: Vec<u8>) -> KnownChunk {
        KnownChunk {
            text: KnownText::new(chunk, with_state),
            bytecode,
            #[cfg(feature = "compile")]
            heat: Heat::default(),
        }
    }

    /// Bytes that it takes, besides its own.
    pub(crate) fn size(&self) -> usize {
        self.text.size() + self.bytecode.len()
    }
}

/// What became of a chunk that was to be compiled.
pub(crate) enum Compiled {
    Bytecode(Vec<u8>),
    /// It can't be: whatever is wrong comes up again when the text itself is run.
    Refused,
    /// There is no slot for an instance that does it.
    Busy,
    /// It took too long, on a busy machine perhaps.
    Late,
}

/// The bytecode of a pool's chunks.
pub(crate) struct ChunkCache {
    /// The key that texts are hashed with.
    key: RandomState,
    kept: Mutex<Kept>,
}

/// Bytes of a text that is worth keeping: compiling it takes less than a tick of the clock.
const MAX_TEXT: usize = 64 << 10;

/// Times that compiling a text may take too long before it is left alone.
const TOO_OFTEN: u8 = 4;

/// Bytes of texts and bytecode that are kept in all. Defends the host's memory against callers
/// that make up new texts all the time.
const MAX_KEPT: usize = 8 << 20;

impl ChunkCache {
    pub(crate) fn new() -> ChunkCache {
        ChunkCache {
            key: RandomState::new(),
            kept: Mutex::new(Kept::new(MAX_KEPT)),
        }
    }

    /// What `chunk` compiles to, if that is known, or the text comes for the second time and
    /// `compile` gives it.
    pub(crate) fn get(
        &self,
        chunk: &Chunk<'_>,
        with_state: bool,
        compile: impl FnOnce() -> Compiled,
    ) -> Option<Arc<KnownChunk>> {
        self.find(chunk, with_state, false, compile)
    }

    /// The same for a text that is sure to come again: it is compiled the first time.
    pub(crate) fn get_at_once(
        &self,
        chunk: &Chunk<'_>,
        with_state: bool,
        compile: impl FnOnce() -> Compiled,
    ) -> Option<Arc<KnownChunk>> {
        self.find(chunk, with_state, true, compile)
    }

    fn find(
        &self,
        chunk: &Chunk<'_>,
        with_state: bool,
        at_once: bool,
        compile: impl FnOnce() -> Compiled,
    ) -> Option<Arc<KnownChunk>> {
        if chunk.code.len() > MAX_TEXT {
            return None;
        }
        let hash = KnownText::hash(&self.key, chunk, with_state);
        // Not while the lock is held: others go on meanwhile.
        match self.kept().recall(hash, chunk, with_state, at_once) {
            Recalled::Known(known) => return Some(known),
            Recalled::Leave => return None,
            Recalled::Compile => {}
        }
        match compile() {
            Compiled::Bytecode(bytecode) => {
                let known = Arc::new(KnownChunk::new(chunk, with_state, bytecode));
                self.kept().keep(hash, Arc::clone(&known));
                Some(known)
            }
            Compiled::Refused => None,
            Compiled::Busy => {
                self.kept().postpone(hash, 0);
                None
            }
            Compiled::Late => {
                self.kept().postpone(hash, 1);
                None
            }
        }
    }

    /// How many texts needn't be compiled.
    #[cfg(feature = "testing")]
    pub(crate) fn len(&self) -> usize {
        let kept = self.kept();
        let texts = kept.texts.iter();
        texts
            .filter(|(_, text)| matches!(text, Text::Compiled(_)))
            .count()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // It is whole whatever panicked: at worst it counts bytes that are gone.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The texts that were run last, by their keyed hash.
struct Kept {
    texts: LruCache<u64, Text, RandomState>,
    bytes: usize,
    max: usize,
}

enum Text {
    /// It was run, and is to be compiled when it comes again. So often that took too long.
    Seen(u8),
    /// It is being compiled, or could not be. So often that took too long before.
    Refused(u8),
    Compiled(Arc<KnownChunk>),
}

enum Recalled {
    Known(Arc<KnownChunk>),
    /// It comes for the second time.
    Compile,
    /// The text is to be run as it is.
    Leave,
}

impl Kept {
    fn new(max: usize) -> Kept {
        Kept {
            texts: LruCache::with_hasher(usize::MAX, RandomState::new()),
            bytes: 0,
            max,
        }
    }

    /// What is to be done about a text that is to be run now, and compiled `at_once` if it comes for the first time.
    fn recall(&mut self, key: u64, chunk: &Chunk<'_>, with_state: bool, at_once: bool) -> Recalled {
        match self.texts.get_mut(&key) {
            Some(Text::Compiled(known)) if known.text.is(chunk, with_state) => {
                Recalled::Known(Arc::clone(known))
            }
            // Another text with the same hash stays where it is.
            Some(Text::Compiled(_) | Text::Refused(_)) => Recalled::Leave,
            Some(seen) => {
                if let Text::Seen(late) = *seen {
                    *seen = Text::Refused(late);
                }
                Recalled::Compile
            }
            None if at_once => {
                self.insert(key, Text::Refused(0));
                Recalled::Compile
            }
            None => {
                self.insert(key, Text::Seen(0));
                Recalled::Leave
            }
        }
    }

    fn keep(&mut self, key: u64, known: Arc<KnownChunk>) {
        self.insert(key, Text::Compiled(known));
    }

    /// Has a text compiled when it comes again, which was to be now; unless that took too long so often.
    fn postpone(&mut self, key: u64, late: u8) {
        if let Some(text) = self.texts.get_mut(&key)
            && let Text::Refused(before) = *text
            && before + late < TOO_OFTEN
        {
            *text = Text::Seen(before + late);
        }
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
            Text::Seen(_) | Text::Refused(_) => ENTRY,
            Text::Compiled(known) => ENTRY + known.size(),
        }
    }
}

/// Bytes that an entry takes by itself, about.
const ENTRY: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(code: &str) -> Chunk<'_> {
        Chunk {
            name: "test".into(),
            line: 1,
            code: code.as_bytes().into(),
            expression: true,
        }
    }

    fn known(code: &str) -> Arc<KnownChunk> {
        KnownChunk::new(&chunk(code), false, code.into()).into()
    }

    /// Runs a text that has this hash; whether its bytecode was known.
    fn run(kept: &mut Kept, key: u64, code: &str) -> bool {
        match kept.recall(key, &chunk(code), false, false) {
            Recalled::Known(known) => {
                assert_eq!(*known.bytecode, *code.as_bytes());
                true
            }
            Recalled::Compile => {
                kept.keep(key, known(code));
                false
            }
            Recalled::Leave => false,
        }
    }

    #[test]
    fn a_text_is_known_from_its_third_run_on() {
        let mut kept = Kept::new(1 << 20);
        let known = [1, 2, 3, 4].map(|_| run(&mut kept, 7, "x"));
        assert_eq!(known, [false, false, true, true]);
    }

    #[test]
    fn what_is_sure_to_come_again_is_compiled_the_first_time() {
        let mut kept = Kept::new(1 << 20);
        let recalled = kept.recall(7, &chunk("x"), false, true);
        assert!(matches!(recalled, Recalled::Compile));
        kept.keep(7, known("x"));
        assert!(run(&mut kept, 7, "x"), "whoever runs it knows it then");
    }

    #[test]
    fn another_text_with_the_same_hash_is_not_taken_for_it() {
        let mut kept = Kept::new(1 << 20);
        for _ in 0..2 {
            run(&mut kept, 7, "x");
        }
        assert!(!run(&mut kept, 7, "y"));
        assert!(run(&mut kept, 7, "x"));
        let with_state = kept.recall(7, &chunk("x"), true, false);
        assert!(matches!(with_state, Recalled::Leave));
    }

    #[test]
    fn what_could_not_be_compiled_is_not_tried_again() {
        let mut kept = Kept::new(1 << 20);
        let mut recall = || kept.recall(7, &chunk("x"), false, false);
        assert!(matches!(recall(), Recalled::Leave));
        assert!(matches!(recall(), Recalled::Compile));
        assert!(matches!(recall(), Recalled::Leave));
    }

    #[test]
    fn what_nobody_had_time_to_compile_is_when_it_comes_again() {
        let cache = ChunkCache::new();
        let get = |compiled| cache.get(&chunk("x"), false, || compiled).is_some();
        assert!(!get(Compiled::Bytecode(Vec::new())), "it comes once");
        assert!(!get(Compiled::Busy));
        assert!(get(Compiled::Bytecode(Vec::new())));
        assert!(get(Compiled::Refused), "it is known");
    }

    #[test]
    fn what_took_too_long_is_tried_some_times() {
        for late in [TOO_OFTEN - 1, TOO_OFTEN] {
            let cache = ChunkCache::new();
            let get = |compiled| cache.get(&chunk("x"), false, || compiled).is_some();
            assert!(!get(Compiled::Busy), "it comes once");
            for _ in 0..late {
                assert!(!get(Compiled::Late));
                assert!(!get(Compiled::Busy), "nobody tried");
            }
            assert_eq!(get(Compiled::Bytecode(Vec::new())), late < TOO_OFTEN);
        }
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let code = "x".repeat(1000);
        let mut kept = Kept::new(8 << 10);
        for key in 0..3 {
            run(&mut kept, key, &code);
            run(&mut kept, key, &code);
        }
        assert!(run(&mut kept, 0, &code));
        run(&mut kept, 3, &code);
        run(&mut kept, 3, &code);
        assert!(run(&mut kept, 0, &code), "used since");
        assert!(!run(&mut kept, 1, &code), "gone");
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let mut kept = Kept::new(8 << 10);
        for key in 0..1000 {
            let code = "x".repeat(key as usize % 100);
            run(&mut kept, key, &code);
            if key % 2 == 0 {
                run(&mut kept, key, &code);
            }
            assert!(kept.bytes <= 8 << 10);
        }
        let counted: usize = kept.texts.iter().map(|(_, text)| text.size()).sum();
        assert_eq!(kept.bytes, counted);
        assert!(counted > 4 << 10);
    }
}
