//! The chunks of a pool that are translated to WebAssembly: which those are is said by the embedder.

use std::collections::HashMap;
#[cfg(feature = "plugin")]
use std::fmt;
use std::hash::RandomState;
#[cfg(feature = "plugin")]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use moonfork_translate::Limits;

use crate::engine::image::Image;
use crate::engine::translated::{OneTranslated, Reach, Translated};
use crate::instance::chunk_cache::KnownChunk;
use crate::instance::known_text::KnownText;
use crate::wire::Chunk;

/// What is translated.
pub(crate) struct Translations {
    key: RandomState,
    /// By a keyed hash of the text and all that makes a difference to it.
    known: RwLock<HashMap<u64, Vec<Known>>>,
    /// Held while chunks are translated: it takes a processor and long, and what one asks for, another may be
    /// about to have.
    translating: Mutex<()>,
    /// Whether there are any: pools that translate nothing look no further, whatever they run.
    is_any: AtomicBool,
    /// Whether whatever is run is translated.
    all: bool,
    /// How much is translated at once.
    limits: Limits,
}

/// A chunk that is known.
struct Known {
    text: KnownText,
    translated: OneTranslated,
    /// Whether its runs are why.
    hot: bool,
    /// How many have asked for it that may let go of it again.
    users: usize,
    /// Whether it stays, whoever lets go.
    stays: bool,
}

/// A chunk to be translated.
#[derive(PartialEq)]
pub(crate) struct Wanted<'w> {
    pub(crate) chunk: Chunk<'w>,
    pub(crate) with_state: bool,
}

/// Chunks that stay translated for as long as this is there.
#[cfg(feature = "plugin")]
pub(crate) struct Lease {
    translations: Arc<Translations>,
    texts: Vec<(u64, KnownText)>,
}

#[cfg(feature = "plugin")]
impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("chunks", &self.texts.len())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "plugin")]
impl Drop for Lease {
    fn drop(&mut self) {
        for (hash, text) in &self.texts {
            self.translations.let_go(*hash, |known| known == text);
        }
    }
}

impl Translations {
    /// Of nothing so far; or of `all`, each chunk when it is first run.
    pub(crate) fn new(all: bool) -> Translations {
        Translations {
            key: RandomState::new(),
            known: RwLock::default(),
            translating: Mutex::default(),
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

    fn hash(&self, chunk: &Chunk<'_>, with_state: bool) -> u64 {
        KnownText::hash(&self.key, chunk, with_state)
    }

    // It is whole whatever panicked.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<u64, Vec<Known>>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<u64, Vec<Known>>> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `chunk` was translated to, if it was; or is, if all are.
    pub(crate) fn get(
        &self,
        image: &Image,
        chunk: &Chunk<'_>,
        with_state: bool,
        compile: impl Fn(&Chunk<'_>, bool) -> Option<Vec<u8>>,
    ) -> Option<OneTranslated> {
        let known = self.find(chunk, with_state);
        if known.is_some() || !self.all {
            return known;
        }
        let wanted = Wanted {
            chunk: chunk.clone(),
            with_state,
        };
        self.translate(image, &[wanted], Reach::Pool, compile)
            .ok()?;
        self.find(chunk, with_state)
    }

    fn find(&self, chunk: &Chunk<'_>, with_state: bool) -> Option<OneTranslated> {
        let known = self.read();
        let mut chunks = known.get(&self.hash(chunk, with_state))?.iter();
        let known = chunks.find(|known| known.text.is(chunk, with_state))?;
        Some(known.translated.clone())
    }

    /// Translates a chunk that is hot, unless it is known by now. Nobody waits for it. Gives the bytes that are kept for
    /// it.
    ///
    /// # Errors
    ///
    /// When the module doesn't compile.
    pub(crate) fn translate_hot(
        &self,
        image: &Image,
        chunk: &KnownChunk,
    ) -> wasmtime::Result<usize> {
        let KnownText {
            chunk: text,
            with_state,
        } = &chunk.text;
        if self.find(text, *with_state).is_some() {
            return Ok(0);
        }
        let translated = image.translate(&[&chunk.bytecode], Reach::Pool, self.limits)?;
        let Some(translated) = translated else {
            return Ok(0);
        };
        let bytes = translated.code + chunk.size();
        self.add(
            std::slice::from_ref(&chunk.text),
            translated,
            Reach::Pool,
            true,
        );
        Ok(bytes)
    }

    /// Knows these texts from here on, but those that were known meanwhile.
    fn add(&self, texts: &[KnownText], mut all: Translated, reach: Reach, hot: bool) {
        all.texts = texts.iter().map(|text| text.chunk.clone()).collect();
        self.is_any.store(true, Ordering::Relaxed);
        let mut known = self.write();
        for (text, translated) in texts.iter().zip(OneTranslated::each(all)) {
            let hash = self.hash(&text.chunk, text.with_state);
            let chunks = known.entry(hash).or_default();
            let found = chunks.iter_mut().find(|known| known.text == *text);
            let known = match found {
                Some(found) => found,
                None => {
                    chunks.push(Known {
                        text: text.clone(),
                        translated,
                        hot,
                        users: 0,
                        stays: false,
                    });
                    chunks.last_mut().expect("just pushed")
                }
            };
            known.note_user(reach);
        }
    }

    /// Translates those of the chunks that aren't yet to one module, from the bytecode that `compile` gives, for all
    /// that run them from there on. Says which of them there is no bytecode of, by their places among all.
    ///
    /// # Errors
    ///
    /// When the module doesn't compile.
    pub(crate) fn translate(
        &self,
        image: &Image,
        wanted: &[Wanted<'_>],
        reach: Reach,
        compile: impl Fn(&Chunk<'_>, bool) -> Option<Vec<u8>>,
    ) -> wasmtime::Result<Vec<usize>> {
        // Whoever panicked has changed nothing.
        let _one_at_a_time = self
            .translating
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (mut new, mut bytecodes) = (Vec::new(), Vec::new());
        let (mut noted, mut without) = (Vec::new(), Vec::new());
        for (place, wanted) in wanted.iter().enumerate() {
            if new.contains(&wanted) {
                continue;
            }
            if self.note_user(wanted, reach) {
                noted.push(wanted);
                continue;
            }
            match compile(&wanted.chunk, wanted.with_state) {
                Some(bytecode) => {
                    new.push(wanted);
                    bytecodes.push(bytecode);
                }
                None => without.push(place),
            }
        }
        if bytecodes.is_empty() {
            return Ok(without);
        }
        let bytecodes: Vec<_> = bytecodes.iter().map(Vec::as_slice).collect();
        let all = image.translate(&bytecodes, reach, self.limits);
        let all = all.inspect_err(|_| {
            // Whoever asked has nothing that could let go of these.
            if reach == Reach::Own {
                for Wanted { chunk, with_state } in noted {
                    let hash = self.hash(chunk, *with_state);
                    self.let_go(hash, |known| known.is(chunk, *with_state));
                }
            }
        })?;
        if let Some(all) = all {
            let texts = new
                .iter()
                .map(|it| KnownText::new(&it.chunk, it.with_state));
            self.add(&texts.collect::<Vec<_>>(), all, reach, false);
        }
        Ok(without)
    }

    /// Notes that somebody asks for a chunk; whether it is known.
    fn note_user(&self, wanted: &Wanted<'_>, reach: Reach) -> bool {
        let mut known = self.write();
        let hash = self.hash(&wanted.chunk, wanted.with_state);
        let mut chunks = known.get_mut(&hash).into_iter().flatten();
        let found = chunks.find(|known| known.text.is(&wanted.chunk, wanted.with_state));
        found.is_some_and(|found| {
            found.note_user(reach);
            true
        })
    }

    /// Lets go of a chunk once. Nobody has it anew, if that was the last time.
    fn let_go(&self, hash: u64, is: impl Fn(&KnownText) -> bool) {
        let mut known = self.write();
        let Some(chunks) = known.get_mut(&hash) else {
            return;
        };
        chunks.retain_mut(|known| {
            if is(&known.text) {
                known.users = known.users.saturating_sub(1);
            }
            known.stays || known.users > 0
        });
        if chunks.is_empty() {
            known.remove(&hash);
        }
    }

    /// What lets go of these when it is dropped, once for each time that they were asked for.
    #[cfg(feature = "plugin")]
    pub(crate) fn lease(self: &Arc<Self>, wanted: &[Wanted<'_>]) -> Lease {
        let texts = wanted.iter().map(|wanted| {
            let text = KnownText::new(&wanted.chunk, wanted.with_state);
            (self.hash(&wanted.chunk, wanted.with_state), text)
        });
        Lease {
            texts: texts.collect(),
            translations: Arc::clone(self),
        }
    }

    /// All that were translated, with their names, and whether they were because they are hot.
    pub(crate) fn all(&self) -> Vec<(String, bool, OneTranslated)> {
        let known = self.read();
        let known = known.values().flatten();
        let translated = known.map(|known| {
            let name = known.text.chunk.name.clone().into_owned();
            (name, known.hot, known.translated.clone())
        });
        translated.collect()
    }
}

impl Known {
    /// Notes that somebody asks for it.
    fn note_user(&mut self, reach: Reach) {
        match reach {
            Reach::Pool => self.stays = true,
            Reach::Own => self.users += 1,
        }
    }
}

#[cfg(test)]
#[cfg(feature = "plugin")]
mod tests {
    use super::*;
    use crate::instance::compile;
    use crate::{Chunk, Pool};

    #[test]
    fn who_gets_an_error_keeps_nothing() {
        let pool = Pool::builder().build().unwrap();
        let branch = pool.branch().unwrap();
        let shared = branch.0.with(|instance| Arc::clone(instance.shared()));
        if !shared.image.translates() {
            return;
        }
        let [first, second] = ["return 1", "return 2"].map(Chunk::body);
        let wanted = [&first, &second].map(|chunk| Wanted {
            chunk: chunk.to_wire(),
            with_state: false,
        });
        let translations = &shared.translations;
        let compile = |chunk: &crate::wire::Chunk<'_>, with_state: bool| {
            compile::bytecode_patiently(&shared, chunk, with_state)
        };
        let translated = translations.translate(&shared.image, &wanted[..1], Reach::Own, compile);
        assert_eq!(translated.unwrap(), [0; 0]);
        let lease = translations.lease(&wanted[..1]);
        let broken = |_: &crate::wire::Chunk<'_>, _: bool| Some(b"none".to_vec());
        let failed = translations.translate(&shared.image, &wanted, Reach::Own, broken);
        assert!(failed.is_err());
        assert_eq!(translations.all().len(), 1);
        drop(lease);
        assert_eq!(translations.all().len(), 0, "nobody has it");
    }
}
