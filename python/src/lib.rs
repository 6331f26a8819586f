//! The native part of the Python package `moonfork`.
//!
//! Nothing here decides anything: it converts values, settings and errors, and lets other threads
//! have the interpreter while Lua runs.

#![deny(missing_docs)]

mod branch;
mod calls;
mod cancel;
#[path = "../../host/cli/mod.rs"]
mod cli;
mod errors;
mod fork;
mod plugin;
mod pool;
mod settings;
mod snapshot;
mod value;
mod workers;
mod workflow;

use std::ffi::OsString;

use pyo3::prelude::*;

/// Does what the arguments of the command `moonfork` say; returns the exit code.
#[pyfunction]
fn command_line(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| cli::main(arguments))
}

/// The native module; what users import is `moonfork`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    calls::note_main_thread(module.py())?;
    module.add_class::<pool::PyPool>()?;
    module.add_class::<branch::Branch>()?;
    module.add_class::<branch::Main>()?;
    module.add_class::<snapshot::Snapshot>()?;
    module.add_class::<cancel::PyCancel>()?;
    module.add_class::<calls::PyHostCall>()?;
    module.add_class::<workflow::PyWorkflow>()?;
    module.add_class::<workflow::PyStream>()?;
    module.add_class::<workers::PyWorkers>()?;
    module.add_class::<workers::PyWorker>()?;
    module.add_class::<plugin::PyPluginHost>()?;
    module.add_class::<plugin::PyTenant>()?;
    module.add_function(wrap_pyfunction!(fork::before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(fork::after_fork, module)?)?;
    module.add_function(wrap_pyfunction!(fork::after_fork_in_child, module)?)?;
    module.add_function(wrap_pyfunction!(command_line, module)?)?;
    module.add_function(wrap_pyfunction!(workers::serve_stdio, module)?)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
