//! The chunks of a pool that are translated to WebAssembly: which those are is said when the pool is
//! built.

use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use moonfork_translate::Limits;

use crate::engine::image::Image;
use crate::engine::translated::OneTranslated;
use crate::instance::known_text::KnownText;
use crate::wire::Chunk;

/// What is translated.
pub(crate) struct Translations {
    key: RandomState,
    /// By a keyed hash of the text and all that makes a difference to it.
    known: RwLock<HashMap<u64, Vec<Known>>>,
    /// Whether there are any: pools that translate nothing look no further, whatever they run.
    is_any: AtomicBool,
    /// Whether whatever is run is translated.
    all: bool,
    /// How much of a chunk is.
    limits: Limits,
}

/// A chunk that is known.
struct Known {
    text: KnownText,
    /// Nothing where it can't be.
    translated: Option<OneTranslated>,
}

impl Translations {
    /// Of nothing so far; or of `all`, each chunk when it is first run.
    pub(crate) fn new(all: bool) -> Translations {
        Translations {
            key: RandomState::new(),
            known: RwLock::default(),
            is_any: AtomicBool::new(all),
            all,
            limits: Limits::default(),
        }
    }

    /// The same, however large functions and chunks are.
    #[cfg(feature = "testing")]
    pub(crate) fn without_limits(self) -> Translations {
        let limits = Limits {
            function: usize::MAX,
            all: usize::MAX,
        };
        Translations { limits, ..self }
    }

    /// Whether there may be any.
    pub(crate) fn is_any(&self) -> bool {
        self.is_any.load(Ordering::Relaxed)
    }

    /// What `chunk` was translated to, if it was; or is, if all are.
    pub(crate) fn get(
        &self,
        image: &Image,
        chunk: &Chunk<'_>,
        with_state: bool,
        compile: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<OneTranslated> {
        let hash = KnownText::hash(&self.key, chunk, with_state);
        {
            // It is whole whatever panicked.
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let found = known.get(&hash).and_then(|chunks| {
                let mut chunks = chunks.iter();
                chunks.find(|known| known.text.is(chunk, with_state))
            });
            if let Some(known) = found {
                return known.translated.clone();
            }
        }
        match self.all {
            true => self.translate(image, chunk, with_state, compile).ok()?,
            false => None,
        }
    }

    /// Translates `chunk`, from the bytecode that `compile` gives, for all that run it from there on. Nothing
    /// where there is none, or the guest isn't made for that.
    ///
    /// # Errors
    ///
    /// When it doesn't compile.
    pub(crate) fn translate(
        &self,
        image: &Image,
        chunk: &Chunk<'_>,
        with_state: bool,
        compile: impl FnOnce() -> Option<Vec<u8>>,
    ) -> wasmtime::Result<Option<OneTranslated>> {
        // Not while the lock is held: it takes long.
        let translated = match compile() {
            Some(bytecode) => {
                let all = image.translate(&[&bytecode], self.limits)?;
                all.and_then(|all| OneTranslated::each(all).next())
            }
            None => None,
        };
        self.is_any.store(true, Ordering::Relaxed);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let chunks = known
            .entry(KnownText::hash(&self.key, chunk, with_state))
            .or_default();
        // Somebody else may have been quicker.
        if let Some(known) = chunks.iter().find(|known| known.text.is(chunk, with_state)) {
            return Ok(known.translated.clone());
        }
        chunks.push(Known {
            text: KnownText::new(chunk, with_state),
            translated: translated.clone(),
        });
        Ok(translated)
    }

    /// All that were translated.
    pub(crate) fn all(&self) -> Vec<(String, OneTranslated)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let known = known.values().flatten();
        let translated = known
            .filter_map(|known| Some((known.text.name().to_owned(), known.translated.clone()?)));
        translated.collect()
    }
}
