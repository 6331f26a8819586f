//! Errors of the library as exceptions: the classes are in `moonfork/_errors.py`.

use moonfork::{Error, ErrorKind, Report};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use serde::Serialize;

use crate::calls::Ended;
use crate::value::{take_fault, to_python};

/// The exception for `error`. `report` is what the run cost, and `ended` what Python code did in it.
pub(crate) fn exception(
    py: Python<'_>,
    error: &Error,
    report: Option<&Report>,
    ended: Ended,
) -> PyErr {
    let left = ended.left.map(|left| *left).unwrap_or_default();
    if let Some(raised) = left.stopped_by {
        return raised;
    }
    // What couldn't be passed in was Python's, and Python has names for that.
    if let Some(fault) = take_fault(ended.root) {
        return fault;
    }
    let made = fields(py, error, report)
        .and_then(|fields| make(py, error.code(), &error.to_string(), &fields));
    match made {
        Ok(made) => {
            let exception = PyErr::from_value(made);
            if let Some(cause) = left.raised
                && caused(error, &cause.message)
            {
                exception.set_cause(py, Some(cause.exception));
            }
            exception
        }
        Err(broken) => broken,
    }
}

/// Whether the script let the error of a host function pass that ended with this message.
fn caused(error: &Error, message: &str) -> bool {
    match error.kind() {
        ErrorKind::Script { message: text, .. } => text.ends_with(message),
        _ => false,
    }
}

fn fields<'py>(
    py: Python<'py>,
    error: &Error,
    report: Option<&Report>,
) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    if let Some(report) = report {
        fields.set_item("report", to_python(py, report)?)?;
    }
    if let Some(site) = error.site() {
        fields.set_item("position", site.position.to_string())?;
    }
    if let Some(traceback) = error.traceback() {
        fields.set_item("lua_traceback", traceback)?;
    }
    match error.kind() {
        ErrorKind::Script {
            value: Some(value), ..
        } => fields.set_item("value", to_python(py, value)?)?,
        ErrorKind::Denied { capability, .. } => {
            fields.set_item("capability", capability.to_string())?
        }
        _ => {}
    }
    Ok(fields)
}

/// An exception of the class that `code` stands for.
pub(crate) fn make<'py>(
    py: Python<'py>,
    code: &str,
    message: &str,
    fields: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    MAKE.import(py, "moonfork._errors", "make")?
        .call1((code, message, fields))
}

/// As [`make`], with plain data in the fields.
pub(crate) fn make_with(
    py: Python<'_>,
    code: &str,
    message: &str,
    data: &[(&str, &dyn erased::ToPython)],
) -> PyErr {
    let made = (|| {
        let fields = PyDict::new(py);
        for (name, value) in data {
            fields.set_item(name, value.to_python(py)?)?;
        }
        make(py, code, message, &fields)
    })();
    match made {
        Ok(made) => PyErr::from_value(made),
        Err(broken) => broken,
    }
}

pub(crate) mod erased {
    use super::*;

    /// What can be a field of an exception.
    pub(crate) trait ToPython {
        fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>>;
    }

    impl<T: Serialize> ToPython for T {
        fn to_python(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
            to_python(py, self)
        }
    }
}
