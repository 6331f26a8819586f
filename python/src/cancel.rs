//! `Cancel`: stopping runs from another thread.

use moonfork::Cancel;
use pyo3::prelude::*;

#[pyclass(module = "moonfork", name = "Cancel", frozen)]
pub(crate) struct PyCancel(Cancel);

#[pymethods]
impl PyCancel {
    #[new]
    fn new() -> PyCancel {
        PyCancel(Cancel::new())
    }

    /// Stops the runs that were given this, and those that will be.
    fn cancel(&self, py: Python<'_>) {
        py.detach(|| self.0.cancel());
    }

    #[getter]
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn __repr__(&self) -> String {
        format!(
            "<moonfork.Cancel, {}>",
            if self.0.is_cancelled() {
                "fired"
            } else {
                "not fired"
            }
        )
    }
}

impl PyCancel {
    pub(crate) fn handle(&self) -> &Cancel {
        &self.0
    }
}
