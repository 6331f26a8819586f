//! The pool and its instances by way of the library: running Lua, values, errors, limits, grants,
//! stopping, and what a guest that an attacker wrote can do.

#[path = "../common/mod.rs"]
mod common;

mod async_runs;
mod auto_traits;
mod blame;
mod branch_for;
mod calls_again;
mod cancel;
mod caught_errors;
mod compiled_chunks;
mod compiled_code;
mod compiled_lua;
mod coroutine_yields;
mod denials;
mod determinism;
mod error_values;
mod escapes;
mod eval;
mod files;
mod first_line;
mod forks;
mod grants;
mod guest_imports;
mod host_arguments;
mod host_functions;
mod hostile_guest;
mod interpreter;
mod journals;
mod kill_site;
mod lazy_copies;
mod limits;
mod own_modules;
mod pack;
#[cfg(target_os = "linux")]
mod pages;
mod poison;
mod precompiled;
mod provenance;
mod public_names;
mod reentrance;
mod reports;
mod slots;
mod snapshots;
mod threads;
mod tracebacks;
mod values;
