//! Machine code that the pools of this process share: compiled once for each setting that changes
//! it, whatever their limits and however many instances they may have.

use std::hash::RandomState;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use hashlink::LruCache;
use wasmtime::{Engine, Module};

use crate::engine::audited::machine_code::Serialized;

/// How much is kept, each some 3 MB. There are a handful of settings; where the address space is
/// short, one for each memory limit.
const CAPACITY: usize = 8;

/// Code by the hash of the guest and of the settings, last used last.
pub(super) struct Cache(Mutex<LruCache<u64, Entry, RandomState>>);

/// Code for one setting, once it has been compiled. Who wants it meanwhile waits for the lock.
type Entry = Arc<Mutex<Option<Serialized>>>;

/// That of this process.
pub(super) fn cache() -> &'static Cache {
    static CACHE: LazyLock<Cache> = LazyLock::new(Cache::new);
    &CACHE
}

impl Cache {
    fn new() -> Cache {
        Cache(Mutex::new(LruCache::with_hasher(
            CAPACITY,
            RandomState::new(),
        )))
    }

    /// The module for `engine` whose code has this key, and whether it was there already. What
    /// isn't there comes from `compile`, once, however many threads ask for it.
    ///
    /// # Errors
    ///
    /// Those of `compile`; the next one who asks tries again.
    pub(super) fn get(
        &self,
        engine: &Engine,
        key: u64,
        compile: impl FnOnce() -> wasmtime::Result<Module>,
    ) -> wasmtime::Result<(Module, bool)> {
        let entry = Arc::clone(lock(&self.0).entry(key).or_insert_with(Entry::default));
        let mut code = lock(&entry);
        // wasmtime compares the settings themselves: were two hashes the same, it wouldn't load.
        if let Some(code) = &*code
            && let Ok(module) = code.load(engine)
        {
            return Ok((module, true));
        }
        let module = compile()?;
        // Without it the next pool compiles for itself.
        *code = Serialized::of(&module).ok();
        Ok((module, false))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked had written nothing yet.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use wasmtime::Config;

    use super::*;

    /// The smallest module of all.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn engine(fuel: bool) -> Engine {
        let mut config = Config::new();
        config.consume_fuel(fuel);
        Engine::new(&config).unwrap()
    }

    /// Whether what is asked for under `key` was there already.
    fn is_shared(cache: &Cache, engine: &Engine, key: u64) -> bool {
        let compile = || Module::new(engine, MODULE);
        cache.get(engine, key, compile).unwrap().1
    }

    #[test]
    fn each_key_is_compiled_once_for_any_number_of_engines() {
        let cache = Cache::new();
        assert!(!is_shared(&cache, &engine(false), 1));
        assert!(is_shared(&cache, &engine(false), 1));
        assert!(!is_shared(&cache, &engine(true), 2));
        assert!(is_shared(&cache, &engine(true), 2));
        assert!(is_shared(&cache, &engine(false), 1));
    }

    #[test]
    fn code_of_other_settings_is_not_loaded_though_its_key_be_the_same() {
        let cache = Cache::new();
        assert!(!is_shared(&cache, &engine(false), 1));
        assert!(!is_shared(&cache, &engine(true), 1));
        assert!(is_shared(&cache, &engine(true), 1));
    }

    #[test]
    fn threads_that_ask_at_once_wait_for_one_of_them() {
        const THREADS: usize = 8;
        let (cache, engine) = (Cache::new(), engine(false));
        let compiled = AtomicUsize::new(0);
        let barrier = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    let compile = || {
                        compiled.fetch_add(1, Ordering::Relaxed);
                        Module::new(&engine, MODULE)
                    };
                    cache.get(&engine, 1, compile).unwrap();
                });
            }
        });
        assert_eq!(compiled.into_inner(), 1);
    }

    #[test]
    fn what_could_not_be_compiled_is_tried_again() {
        let (cache, engine) = (Cache::new(), engine(false));
        let broken = cache.get(&engine, 1, || Module::new(&engine, b"not a module"));
        assert!(broken.is_err());
        assert!(!is_shared(&cache, &engine, 1));
        assert!(is_shared(&cache, &engine, 1));
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let (cache, engine) = (Cache::new(), engine(false));
        for key in 0..CAPACITY as u64 {
            assert!(!is_shared(&cache, &engine, key));
        }
        assert!(is_shared(&cache, &engine, 0));
        assert!(!is_shared(&cache, &engine, CAPACITY as u64));
        assert!(is_shared(&cache, &engine, 0), "used since");
        assert!(!is_shared(&cache, &engine, 1), "gone");
    }
}
