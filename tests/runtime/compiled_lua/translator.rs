//! What the translator makes of bytecode: modules that are valid, and refusals; whatever it is given.

use moonfork::testing::bytecode;
use moonfork_translate::{Limits, Reason, translate};

use super::{PROGRAMS, has_places};
use crate::common;

/// Whether it is a module that WebAssembly allows, with what the guest is compiled with.
fn is_valid(module: &[u8]) -> bool {
    let mut config = wasmtime::Config::new();
    config.wasm_exceptions(true);
    let engine = wasmtime::Engine::new(&config).unwrap();
    match wasmtime::Module::validate(&engine, module) {
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
        let translation = translate(&dump, 459, 512, Limits::default()).unwrap();
        assert_eq!(translation.refused, [], "{name}");
        assert!(is_valid(&translation.module.unwrap()), "{name}");
        assert_eq!(translation.bytecode.len(), dump.len());
        // It says the places, which bytecode that is to be translated doesn't.
        assert!(translate(&translation.bytecode, 459, 512, Limits::default()).is_err());
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
    let all = translate(&dump, 1, 3, Limits::default()).unwrap();
    assert_eq!((all.functions, all.refused.len()), (3, 0));
    let places = translate(&dump, 1, 2, Limits::default()).unwrap();
    assert_eq!(places.functions, 2);
    assert_eq!(places.refused[0].reason, Reason::NoPlace);
    let limits = Limits {
        chunk: all.instructions - 1,
        ..Limits::default()
    };
    let smaller = translate(&dump, 1, 3, limits).unwrap();
    assert_eq!(smaller.functions, 2);
    assert_eq!(smaller.refused[0].reason, Reason::TooLarge);
    let limits = Limits {
        function: 0,
        ..Limits::default()
    };
    let nothing = translate(&dump, 1, 3, limits).unwrap();
    assert_eq!((nothing.module, nothing.refused.len()), (None, 3));
    assert_eq!(nothing.bytecode, dump);
}

/// Bytecode with some bytes changed: it is refused, or translated to a module that is valid. So many times
/// as `MOONFORK_TEST_MUTATIONS` says, for each program.
#[test]
fn broken_bytecode_is_refused_or_gives_a_valid_module() {
    if !has_places() {
        return;
    }
    let times = std::env::var("MOONFORK_TEST_MUTATIONS");
    let times: u64 = times.map_or(60, |times| times.parse().unwrap());
    let mut seed: u64 = 0x6d6f_6f6e;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let (mut refused, mut valid) = (0, 0);
    for (name, code) in PROGRAMS {
        let dump = bytecode(common::pool(), code).unwrap();
        for time in 0..times {
            let mut broken = dump.clone();
            for _ in 0..=random(3) {
                let at = random(broken.len());
                match random(4) {
                    0 => broken[at] ^= 1 << random(8),
                    1 => broken[at] = u8::try_from(random(256)).unwrap(),
                    2 => broken.swap(at, (at + 4).min(dump.len() - 1)),
                    _ => broken[at] = broken[random(dump.len())],
                }
            }
            if random(20) == 0 {
                broken.truncate(random(dump.len()));
            }
            match translate(&broken, 459, 512, Limits::default()) {
                Err(_) => refused += 1,
                Ok(translation) => {
                    valid += 1;
                    if let Some(module) = &translation.module {
                        assert!(is_valid(module), "{name}, {time}");
                    }
                }
            }
        }
    }
    assert!(
        refused > 100 && valid > 100,
        "{refused} refused, {valid} valid"
    );
}
