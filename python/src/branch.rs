//! `Branch` and `Main`: one instance for several calls.

use std::sync::{Mutex, PoisonError};

use moonfork::{Cancel, Report, StoreId};
use pyo3::exceptions::PyRuntimeError;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use smallvec::SmallVec;

use crate::calls::{Ended, framed, framed_on, is_used_here};
use crate::cancel::PyCancel;
use crate::errors::{exception, make_with};
use crate::fork::{Birthplace, forked};
use crate::pool::{PyPool, cancel_of, chunk};
use crate::settings::run_options;
use crate::snapshot::{Snapshot, branch_of};
use crate::value::{Arguments, FromLua, PlainFromLua, ToLua, to_python};

/// What is asked of an instance.
enum Request<'a> {
    Run {
        code: &'a str,
        name: Option<&'a str>,
        state: Option<ToLua>,
    },
    RunPlain {
        code: &'a str,
        state: ToLua,
    },
    Call {
        path: &'a str,
        arguments: &'a [ToLua],
    },
    CallPlain {
        path: &'a str,
        arguments: &'a [ToLua],
    },
    Get(&'a str),
    Set(&'a str, ToLua),
}

impl Request<'_> {
    /// What the value that is passed in is called in messages.
    fn root(&self) -> &'static str {
        match self {
            Request::Call { .. } | Request::CallPlain { .. } => "args",
            Request::Set(..) => "value",
            _ => "state",
        }
    }
}

/// Arguments up to which a call asks for no memory for them.
const FEW: usize = 4;

/// The arguments of a call, as far as they can be taken now.
fn passed(arguments: &Bound<'_, PyTuple>) -> SmallVec<[ToLua; FEW]> {
    arguments.iter().map(|it| ToLua::new(&it)).collect()
}

/// Asks a handle; a macro, since branches and main have the same methods and no type in common.
macro_rules! answer {
    ($handle:expr, $request:expr) => {
        match $request {
            Request::Run {
                code,
                name,
                state: Some(state),
            } => $handle.eval_with(chunk(code, *name), state),
            Request::Run {
                code,
                name,
                state: None,
            } => $handle.eval(chunk(code, *name)),
            Request::RunPlain { code, state } => $handle
                .eval_with::<_, PlainFromLua>(*code, state)
                .map(|value| value.0),
            Request::Call { path, arguments } => $handle.call(path, &Arguments(arguments)),
            Request::CallPlain { path, arguments } => $handle
                .call::<_, PlainFromLua>(path, &Arguments(arguments))
                .map(|value| value.0),
            Request::Get(name) => $handle.global(name),
            Request::Set(name, value) => $handle.set_global(name, value).map(|()| FromLua::Nothing),
        }
    };
}

/// An instance of its own, for several calls, until it is closed.
#[pyclass(module = "moonfork", frozen)]
pub(crate) struct Branch {
    cell: Mutex<Cell>,
    cancel: Cancel,
    id: StoreId,
    pool: Py<PyPool>,
    made: Birthplace,
}

struct Cell {
    branch: Option<moonfork::Branch>,
    /// What its calls have cost, as far as they were asked about.
    report: Option<Report>,
}

impl Branch {
    pub(crate) fn new(branch: moonfork::Branch, cancel: Cancel, pool: Py<PyPool>) -> Branch {
        Branch {
            id: branch.store_id(),
            cell: Mutex::new(Cell {
                branch: Some(branch),
                report: None,
            }),
            cancel,
            pool,
            made: Birthplace::here(),
        }
    }

    /// Does `f` with the instance, away from the interpreter; waits for another thread that uses it.
    fn with<T: Send>(&self, py: Python<'_>, f: impl FnOnce(&mut Cell) -> T + Send) -> PyResult<T> {
        if !self.made.is_here() {
            return Err(forked("Branch"));
        }
        if is_used_here(self.id) {
            return Err(make_with(
                py,
                "reentrant",
                "a host function can't use the instance that called it",
                &[],
            ));
        }
        Ok(py.detach(|| f(&mut self.cell.lock().unwrap_or_else(PoisonError::into_inner))))
    }

    fn ask(&self, py: Python<'_>, request: &Request<'_>) -> PyResult<Py<PyAny>> {
        let answered = self.with(py, |cell| {
            let branch = cell.branch.as_mut()?;
            let ((result, report), ended) = framed_on(
                Some(self.id),
                request.root(),
                Some(self.cancel.clone()),
                None,
                || {
                    let result: moonfork::Result<FromLua> = answer!(branch, request);
                    let report = result.is_err().then(|| Box::new(branch.take_report()));
                    (result, report)
                },
            );
            if let Some(report) = &report {
                cell.add(Some(Report::clone(report)));
            }
            Some((result, report, ended))
        })?;
        match answered {
            Some((Ok(value), ..)) => Ok(value.into_object(py)),
            Some((Err(error), report, ended)) => {
                Err(exception(py, &error, report.as_deref(), ended))
            }
            None => Err(closed()),
        }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        if !self.made.is_here() {
            let cell = self.cell.get_mut().unwrap_or_else(PoisonError::into_inner);
            // Its pool's threads aren't here to give it back to.
            std::mem::forget(cell.branch.take());
        }
    }
}

impl Cell {
    /// Adds a report to what is known already.
    fn add(&mut self, newer: Option<Report>) {
        let Some(newer) = newer else { return };
        match &mut self.report {
            Some(report) => add(report, newer),
            None => self.report = Some(newer),
        }
    }
}

/// Adds to `report` what has come since.
fn add(report: &mut Report, newer: Report) {
    if newer.calls > 0 {
        report.outcome = newer.outcome;
    }
    report.calls += newer.calls;
    report.wall += newer.wall;
    report.fuel = report.fuel.zip(newer.fuel).map(|(one, other)| one + other);
    report.peak_memory = report.peak_memory.max(newer.peak_memory);
    report.output.push_str(&newer.output);
    report.output_bytes += newer.output_bytes;
    report.output_truncated |= newer.output_truncated;
    for (name, count) in newer.host_calls {
        *report.host_calls.entry(name).or_default() += count;
    }
}

#[pymethods]
impl Branch {
    /// Runs `code`, and returns what it returns.
    #[pyo3(signature = (code, state = None, *, name = None))]
    fn run(
        &self,
        py: Python<'_>,
        code: &str,
        state: Option<&Bound<'_, PyAny>>,
        name: Option<&str>,
    ) -> PyResult<Py<PyAny>> {
        let state = state.map(ToLua::new);
        self.ask(py, &Request::Run { code, name, state })
    }

    /// Calls the global function, or the one that a dotted path leads to.
    #[pyo3(signature = (path, *arguments))]
    fn call(
        &self,
        py: Python<'_>,
        path: &str,
        arguments: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        let arguments = &passed(arguments);
        self.ask(py, &Request::Call { path, arguments })
    }

    /// As `run`, with values by the rules of The Edge Agent.
    fn _run_plain(
        &self,
        py: Python<'_>,
        code: &str,
        state: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        let state = ToLua::new(state);
        self.ask(py, &Request::RunPlain { code, state })
    }

    /// As `call`, with values by the rules of The Edge Agent.
    #[pyo3(signature = (path, *arguments))]
    fn _call_plain(
        &self,
        py: Python<'_>,
        path: &str,
        arguments: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        let arguments = &passed(arguments);
        self.ask(py, &Request::CallPlain { path, arguments })
    }

    /// The value of a global; None where there is none.
    fn get(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        self.ask(py, &Request::Get(name))
    }

    /// Sets a global; None removes it.
    fn set(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.ask(py, &Request::Set(name, ToLua::new(value)))
            .map(|_| ())
    }

    /// A fresh instance that begins with all that this one has; options as of `Pool.branch`.
    #[pyo3(signature = (*, cancel = None, **options))]
    fn fork(
        &self,
        py: Python<'_>,
        cancel: Option<&Bound<'_, PyCancel>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Branch> {
        let options = run_options(&self.pool.get().open()?, options)?;
        let cancel = cancel_of(cancel);
        let options = options.cancel_handle(&cancel);
        let made = self.with(py, |cell| {
            let branch = cell.branch.as_mut()?;
            Some(framed("options", Some(cancel.clone()), None, || {
                branch.fork_with(&options)
            }))
        })?;
        match made {
            Some((Ok(fork), _)) => Ok(Branch::new(fork, cancel, self.pool.clone_ref(py))),
            Some((Err(error), ended)) => Err(exception(py, &error, None, ended)),
            None => Err(closed()),
        }
    }

    /// What this one has at the moment, frozen, for any number of branches to begin with.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Snapshot> {
        let made = self.with(py, |cell| Some(cell.branch.as_mut()?.snapshot()))?;
        match made {
            Some(Ok(snapshot)) => Ok(Snapshot::new(snapshot, self.pool.clone_ref(py))),
            Some(Err(error)) => Err(exception(py, &error, None, Ended::with_nothing("branch"))),
            None => Err(closed()),
        }
    }

    /// What its calls have cost so far.
    #[getter]
    fn report(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let report = self.with(py, |cell| {
            let newer = cell.branch.as_mut().map(|branch| branch.take_report());
            cell.add(newer);
            cell.report.clone()
        })?;
        match report {
            Some(report) => {
                let make = py.import("moonfork._result")?.getattr("Report")?;
                Ok(make.call1((to_python(py, &report)?,))?.unbind())
            }
            None => Ok(py.None()),
        }
    }

    /// The identity of the instance: unique in this process, and never used again.
    #[getter]
    fn store_id(&self) -> u64 {
        self.id.get()
    }

    /// Whether it can still run anything.
    #[getter]
    fn is_live(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |cell| {
            cell.branch.as_ref().is_some_and(|branch| branch.is_live())
        })
    }

    /// Stops what it is doing, for good.
    fn cancel(&self, py: Python<'_>) {
        if self.made.is_here() {
            py.detach(|| self.cancel.cancel());
        }
    }

    /// Ends the instance, and gives back its place in the pool.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        if !self.made.is_here() {
            return Ok(());
        }
        self.with(py, |cell| {
            let last = cell.branch.take().map(|mut branch| branch.take_report());
            cell.add(last);
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "a Branch can't be pickled, since its sandbox lives in this process",
        ))
    }

    fn __repr__(&self) -> String {
        format!("<moonfork.Branch, store {}>", self.id)
    }
}

/// The long-lived instance of a pool, for the thread that made the pool.
#[pyclass(module = "moonfork", frozen)]
pub(crate) struct Main {
    pool: Py<PyPool>,
    id: StoreId,
}

impl Main {
    pub(crate) fn new(pool: Py<PyPool>, id: StoreId) -> Main {
        Main { pool, id }
    }

    fn ask(
        &self,
        py: Python<'_>,
        request: &Request<'_>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let pool = self.pool.get().open()?;
        let cancel = cancel_of(None);
        let options = run_options(&pool, options)?.cancel_handle(&cancel);
        let ((result, report), ended) = py.detach(|| {
            framed(request.root(), Some(cancel), None, || {
                // A handle to main is bound to its thread, so that each call asks for one.
                let mut main = match pool.main() {
                    Ok(main) if main.store_id() == self.id => main,
                    Ok(_) => return (Err(None), None),
                    Err(error) => return (Err(Some(error)), None),
                };
                let result: moonfork::Result<FromLua> = answer!(main.with(&options), request);
                let report = result.is_err().then(|| Box::new(main.take_report()));
                (result.map_err(Some), report)
            })
        });
        match result {
            Ok(value) => Ok(value.into_object(py)),
            Err(Some(error)) => Err(exception(py, &error, report.as_deref(), ended)),
            Err(None) => Err(gone(py)),
        }
    }
}

impl Main {
    /// The handle to the instance that this is.
    fn there(&self, py: Python<'_>, pool: &moonfork::Pool) -> PyResult<moonfork::Main> {
        match pool.main() {
            Ok(main) if main.store_id() == self.id => Ok(main),
            Ok(_) => Err(gone(py)),
            Err(error) => Err(exception(py, &error, None, Ended::with_nothing("main"))),
        }
    }
}

fn closed() -> PyErr {
    PyRuntimeError::new_err("the branch is closed")
}

fn gone(py: Python<'_>) -> PyErr {
    make_with(
        py,
        "poisoned",
        "the main instance was stopped by an earlier call and is gone with its globals; \
         pool.main() gives the new one",
        &[],
    )
}

#[pymethods]
impl Main {
    /// Runs `code`, and returns what it returns. Globals last.
    #[pyo3(signature = (code, state = None, *, name = None, **options))]
    fn run(
        &self,
        py: Python<'_>,
        code: &str,
        state: Option<&Bound<'_, PyAny>>,
        name: Option<&str>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let state = state.map(ToLua::new);
        self.ask(py, &Request::Run { code, name, state }, options)
    }

    /// Calls the global function, or the one that a dotted path leads to.
    #[pyo3(signature = (path, *arguments))]
    fn call(
        &self,
        py: Python<'_>,
        path: &str,
        arguments: &Bound<'_, PyTuple>,
    ) -> PyResult<Py<PyAny>> {
        let arguments = &passed(arguments);
        self.ask(py, &Request::Call { path, arguments }, None)
    }

    /// The value of a global; None where there is none.
    fn get(&self, py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
        self.ask(py, &Request::Get(name), None)
    }

    /// Sets a global; None removes it.
    fn set(&self, py: Python<'_>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.ask(py, &Request::Set(name, ToLua::new(value)), None)
            .map(|_| ())
    }

    /// A fresh instance that begins with all that main has; options as of `Pool.branch`.
    #[pyo3(signature = (*, cancel = None, **options))]
    fn fork(
        &self,
        py: Python<'_>,
        cancel: Option<&Bound<'_, PyCancel>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Branch> {
        let pool = self.pool.get().open()?;
        self.there(py, &pool)?;
        branch_of(py, &self.pool, cancel, options, |options| {
            pool.main()?.fork_with(options)
        })
    }

    /// What main has at the moment, frozen, for any number of branches to begin with.
    fn snapshot(&self, py: Python<'_>) -> PyResult<Snapshot> {
        let pool = self.pool.get().open()?;
        self.there(py, &pool)?;
        match py.detach(|| pool.main()?.snapshot()) {
            Ok(snapshot) => Ok(Snapshot::new(snapshot, self.pool.clone_ref(py))),
            Err(error) => Err(exception(py, &error, None, Ended::with_nothing("main"))),
        }
    }

    /// What its calls have cost since this was last asked.
    fn take_report(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let pool = self.pool.get().open()?;
        let report = self.there(py, &pool)?.take_report();
        let make = py.import("moonfork._result")?.getattr("Report")?;
        Ok(make.call1((to_python(py, &report)?,))?.unbind())
    }

    /// The identity of the instance: unique in this process, and never used again.
    #[getter]
    fn store_id(&self) -> u64 {
        self.id.get()
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "Main can't be pickled, since its sandbox lives in this process",
        ))
    }

    fn __repr__(&self) -> String {
        format!("<moonfork.Main, store {}>", self.id)
    }
}
