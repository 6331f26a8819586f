//! What the committed guest module can ask of its host, as docs/threat-model.md has it.

use std::collections::BTreeSet;

use wasmtime::{Engine, Module};

#[test]
fn the_guest_imports_nothing_but_these() {
    let mut config = wasmtime::Config::new();
    config.wasm_exceptions(true);
    let engine = Engine::new(&config).unwrap();
    let guest = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/host/prebuilt/moonfork-guest.wasm"
    );
    let module = Module::from_file(&engine, guest).unwrap();
    let imports: BTreeSet<_> = module
        .imports()
        .map(|import| (import.module(), import.name()))
        .collect();
    let ours = [
        "host_ask",
        "host_call",
        "host_take",
        "panicked",
        "print",
        "stopped",
        "throw",
    ];
    let of_wasi = ["clock_time_get", "proc_exit", "random_get"];
    let expected = (ours.iter().map(|name| ("moonfork", *name)))
        .chain(of_wasi.iter().map(|name| ("wasi_snapshot_preview1", *name)))
        .collect();
    assert_eq!(imports, expected);
}
