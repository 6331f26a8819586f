//! What the translator makes of bytecode: modules that are valid, and refusals; whatever it is given.

use std::sync::LazyLock;

use moonfork::testing::bytecode;
use moonfork_translate::{Limits, Reason, translate};

use super::generator::Generator;
use super::{PROGRAMS, has_places};
use crate::common;

/// Whether it is a module that WebAssembly allows, with what the guest is compiled with.
fn is_valid(module: &[u8]) -> bool {
    static ENGINE: LazyLock<wasmtime::Engine> = LazyLock::new(|| {
        let mut config = wasmtime::Config::new();
        config.wasm_exceptions(true);
        wasmtime::Engine::new(&config).unwrap()
    });
    match wasmtime::Module::validate(&ENGINE, module) {
        Ok(()) => true,
        Err(error) => {
            eprintln!("{error:?}");
            false
        }
    }
}

#[test]
fn programs_are_translated_to_valid_modules() {
    if !has_places() {
        return;
    }
    for (name, code) in PROGRAMS {
        let dump = bytecode(common::pool(), code).unwrap();
        let translation = translate(&[&dump], 459, 512, Limits::default()).unwrap();
        assert_eq!(translation.chunks[0].refused, [], "{name}");
        assert!(is_valid(&translation.module.unwrap()), "{name}");
        let bytecode = &translation.chunks[0].bytecode;
        assert_eq!(bytecode.len(), dump.len());
        // It says the places, which bytecode that is to be translated doesn't.
        assert!(translate(&[bytecode], 459, 512, Limits::default()).is_err());
    }
}

#[test]
fn limits_are_kept() {
    if !has_places() {
        return;
    }
    let dump = bytecode(
        common::pool(),
        "return function() return function() return 1 end end",
    );
    let dump = dump.unwrap();
    let all = translate(&[&dump], 1, 3, Limits::default()).unwrap();
    assert_eq!((all.functions, all.chunks[0].refused.len()), (3, 0));
    let places = translate(&[&dump], 1, 2, Limits::default()).unwrap();
    assert_eq!(places.functions, 2);
    assert_eq!(places.chunks[0].refused[0].reason, Reason::NoPlace);
    let limits = Limits {
        all: all.chunks[0].instructions - 1,
        ..Limits::default()
    };
    let smaller = translate(&[&dump], 1, 3, limits).unwrap();
    assert_eq!(smaller.functions, 2);
    assert_eq!(smaller.chunks[0].refused[0].reason, Reason::TooLarge);
    let limits = Limits {
        function: 0,
        ..Limits::default()
    };
    let nothing = translate(&[&dump], 1, 3, limits).unwrap();
    assert_eq!(nothing.module, None);
    assert_eq!(nothing.chunks[0].refused.len(), 3);
    assert_eq!(nothing.chunks[0].bytecode, dump);
}

/// What mutations are drawn from.
struct Mutations(u64);

impl Mutations {
    fn random(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    /// `dump` with some bytes changed.
    fn of(&mut self, dump: &[u8]) -> Vec<u8> {
        let mut broken = dump.to_vec();
        for _ in 0..=self.random(3) {
            let at = self.random(broken.len() - 4);
            match self.random(7) {
                0 => broken[at] ^= 1 << self.random(8),
                1 => broken[at] = u8::try_from(self.random(256)).unwrap(),
                2 => broken.swap(at, at + 4),
                3 => broken[at] = broken[self.random(dump.len())],
                // Another instruction, if one begins here.
                4 => broken[at] = broken[at] & 0x80 | u8::try_from(self.random(83)).unwrap(),
                5 => {
                    let from = self.random(broken.len() - 4);
                    broken.copy_within(from..from + 4, at);
                }
                // A number at an edge.
                _ => broken[at] = [0, 0x7f, 0x80, 0xff][self.random(4)],
            }
        }
        if self.random(20) == 0 {
            broken.truncate(self.random(dump.len()));
        }
        broken
    }
}

/// Bytecode with some bytes changed: it is refused, or translated to a module that is valid. So many times
/// as `MOONFORK_TEST_MUTATIONS` says, from that seed on, or a few.
#[test]
fn broken_bytecode_is_refused_or_gives_a_valid_module() {
    /// Mutations of each dump.
    const OF_EACH: u64 = 500;

    if !has_places() {
        return;
    }
    let asked = std::env::var("MOONFORK_TEST_MUTATIONS").ok();
    let (first, count) = match &asked {
        None => (0, 3000),
        Some(text) => {
            let (first, count) = text
                .split_once(',')
                .expect("MOONFORK_TEST_MUTATIONS=FIRST,COUNT");
            (first.parse::<u64>().unwrap(), count.parse::<u64>().unwrap())
        }
    };
    let (mut refused, mut valid) = (0, 0);
    let mut dump = Vec::new();
    for seed in first..first + count {
        if seed.is_multiple_of(OF_EACH) || dump.is_empty() {
            let number = seed / OF_EACH;
            let program = usize::try_from(number).unwrap() % (3 * PROGRAMS.len());
            dump = match PROGRAMS.get(program) {
                Some((_, code)) => bytecode(common::pool(), *code).unwrap(),
                None => bytecode(common::pool(), &*Generator::programs(number, 6)).unwrap(),
            };
            if asked.is_some() && number.is_multiple_of(100) {
                eprintln!("mutations up to {seed}: {refused} refused, {valid} valid");
            }
        }
        let broken = Mutations(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6d6f_6f6e).of(&dump);
        match translate(&[&broken], 459, 512, Limits::default()) {
            Err(_) => refused += 1,
            Ok(translation) => {
                valid += 1;
                if let Some(module) = &translation.module {
                    assert!(is_valid(module), "seed {seed}");
                }
            }
        }
    }
    assert!(
        refused > 100 && valid > 100,
        "{refused} refused, {valid} valid"
    );
}

/// However many chunks there are in a module, each has its own places, one behind the other, and the module is the same
/// wherever these begin.
#[test]
fn chunks_of_one_module_have_places_of_their_own() {
    if !has_places() {
        return;
    }
    let codes = [
        "return function() return 1 end",
        "return 2",
        "return function() return 3 end",
    ];
    let dumps = codes.map(|code| bytecode(common::pool(), code).unwrap());
    let dumps = dumps.each_ref().map(Vec::as_slice);
    let all = |first, places| translate(&dumps, first, places, Limits::default()).unwrap();
    let translation = all(100, 512);
    let functions: Vec<_> = translation.chunks.iter().map(|it| it.functions).collect();
    assert_eq!((functions, translation.functions), (vec![2, 1, 2], 5));
    assert!(is_valid(&translation.module.clone().unwrap()));
    assert_eq!(all(7, 512).module, translation.module);
    assert_ne!(
        all(7, 512).chunks[1].bytecode,
        translation.chunks[1].bytecode
    );
    // Those in front have what places there are.
    let few = all(100, 3);
    let refused: Vec<_> = few.chunks.iter().map(|it| it.refused.len()).collect();
    assert_eq!((refused, few.functions), (vec![0, 0, 2], 3));
    let alone = translate(&dumps[..2], 100, 512, Limits::default()).unwrap();
    assert_eq!(few.module, alone.module);
}
