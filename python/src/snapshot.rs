//! `Snapshot`: what branches can begin with.

use std::path::PathBuf;

use moonfork::RunOptions;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::branch::Branch;
use crate::calls::{Ended, framed};
use crate::cancel::PyCancel;
use crate::errors::exception;
use crate::fork::{Birthplace, forked};
use crate::pool::{PyPool, cancel_of};
use crate::settings::run_options;

/// An instance as it was at a moment, frozen: any number of branches can begin with it.
#[pyclass(module = "moonfork", frozen)]
pub(crate) struct Snapshot {
    /// There until it is dropped.
    snapshot: Option<moonfork::Snapshot>,
    pool: Py<PyPool>,
    made: Birthplace,
}

impl Snapshot {
    pub(crate) fn new(snapshot: moonfork::Snapshot, pool: Py<PyPool>) -> Snapshot {
        Snapshot {
            snapshot: Some(snapshot),
            pool,
            made: Birthplace::here(),
        }
    }

    fn frozen(&self) -> PyResult<&moonfork::Snapshot> {
        match &self.snapshot {
            Some(snapshot) if self.made.is_here() => Ok(snapshot),
            _ => Err(forked("Snapshot")),
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if !self.made.is_here() {
            // What its pool has besides isn't here to end with it.
            std::mem::forget(self.snapshot.take());
        }
    }
}

#[pymethods]
impl Snapshot {
    /// A fresh instance that begins with the snapshot; options as of `Pool.branch`.
    #[pyo3(signature = (*, cancel = None, **options))]
    fn branch(
        &self,
        py: Python<'_>,
        cancel: Option<&Bound<'_, PyCancel>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Branch> {
        let snapshot = self.frozen()?;
        branch_of(py, &self.pool, cancel, options, |options| {
            snapshot.branch_with(options)
        })
    }

    /// Writes it to a file, for `Pool.load_snapshot`.
    fn write(&self, py: Python<'_>, file: PathBuf) -> PyResult<()> {
        let snapshot = self.frozen()?;
        py.detach(|| snapshot.write(file))
            .map_err(|error| exception(py, &error, None, Ended::with_nothing("file")))
    }

    /// Bytes of memory that an instance has which begins with it.
    #[getter]
    fn memory(&self) -> PyResult<usize> {
        Ok(self.frozen()?.memory())
    }

    /// The identity of the instance that it was made of.
    #[getter]
    fn parent(&self) -> PyResult<u64> {
        Ok(self.frozen()?.parent().get())
    }

    /// SHA-256 of that memory, in hexadecimal digits.
    #[getter]
    fn sha256(&self) -> PyResult<String> {
        let hash = self.frozen()?.hash();
        Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "a Snapshot can't be pickled; write it to a file, and load that in the other process",
        ))
    }

    fn __repr__(&self) -> PyResult<String> {
        let snapshot = self.frozen()?;
        Ok(format!("<moonfork.Snapshot, {} bytes>", snapshot.memory()))
    }
}

/// A branch that `make` makes, with the options that keyword arguments say.
pub(crate) fn branch_of(
    py: Python<'_>,
    pool: &Py<PyPool>,
    cancel: Option<&Bound<'_, PyCancel>>,
    options: Option<&Bound<'_, PyDict>>,
    make: impl FnOnce(&RunOptions) -> moonfork::Result<moonfork::Branch> + Send,
) -> PyResult<Branch> {
    let options = run_options(&pool.get().open()?, options)?;
    let cancel = cancel_of(cancel);
    let options = options.cancel_handle(&cancel);
    let (made, ended) =
        py.detach(|| framed("options", Some(cancel.clone()), None, || make(&options)));
    match made {
        Ok(branch) => Ok(Branch::new(branch, cancel, pool.clone_ref(py))),
        Err(error) => Err(exception(py, &error, None, ended)),
    }
}
