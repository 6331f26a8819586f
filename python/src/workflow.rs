//! `Workflow`: YAML files whose nodes are Lua.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use moonfork::Cancel;
use moonfork::diagnostics::{LoadError, Problem};
use moonfork::workflow::{
    Checkpoint, CheckpointError, RunError, RunResult, RunSettings, Source, Stream, Workflow,
};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use serde_json::{Map, Value, json};

use crate::calls;
use crate::cancel::PyCancel;
use crate::errors::make_with;
use crate::fork::Own;
use crate::pool::PyPool;
use crate::settings::{SomeGrants, count, names_of, unexpected_beside};
use crate::value::{ToLua, take_fault, to_python};
use crate::workers::workers;

/// How long who waits for a run sleeps before it looks whether a signal has come.
const SIGNALS: Duration = Duration::from_millis(20);

/// A workflow that was loaded and found sound.
#[pyclass(module = "moonfork", name = "Workflow", frozen)]
pub(crate) struct PyWorkflow(Arc<Workflow>);

#[pymethods]
impl PyWorkflow {
    #[new]
    #[pyo3(signature = (path = None, *, text = None, name = "workflow.yaml", overlays = Vec::new()))]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        text: Option<String>,
        name: &str,
        overlays: Vec<PathBuf>,
    ) -> PyResult<PyWorkflow> {
        let source = source(path, text, name, overlays)?;
        match py.detach(|| source.load()) {
            Ok(workflow) => Ok(PyWorkflow(Arc::new(workflow))),
            Err(error) => Err(load_error(py, &error)),
        }
    }

    /// What is wrong with a file: a list of problems, empty if nothing is. Nothing is run.
    #[staticmethod]
    #[pyo3(signature = (path = None, *, text = None, name = "workflow.yaml", overlays = Vec::new()))]
    fn validate<'py>(
        py: Python<'py>,
        path: Option<PathBuf>,
        text: Option<String>,
        name: &str,
        overlays: Vec<PathBuf>,
    ) -> PyResult<Bound<'py, PyList>> {
        let source = source(path, text, name, overlays)?;
        let found = py.detach(|| match source.load() {
            Ok(workflow) => plain(workflow.warnings()),
            Err(error) => plain(error.problems()),
        });
        problems(py, &found)
    }

    /// The name that the file gives itself.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.0.name()
    }

    /// What its author should know, though it can be run.
    #[getter]
    fn warnings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        problems(py, &plain(self.0.warnings()))
    }

    /// What a run on this pool with these settings couldn't begin with: its Lua is parsed, and functions,
    /// folders and limits are looked up. Nothing is run.
    #[pyo3(signature = (pool, **settings))]
    fn check<'py>(
        &self,
        py: Python<'py>,
        pool: &Bound<'py, PyPool>,
        settings: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let pool = pool.get().open()?;
        let (settings, _) = run_settings(&pool, settings)?;
        let found = py.detach(|| plain(&self.0.check(&pool, &settings)));
        problems(py, &found)
    }

    /// Runs it to its end, or to where it is interrupted.
    #[pyo3(signature = (pool, input = None, **settings))]
    fn run(
        &self,
        py: Python<'_>,
        pool: &Bound<'_, PyPool>,
        input: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let pool = pool.get().open()?;
        let input = object(py, input)?;
        let (settings, cancel) = run_settings(&pool, settings)?;
        let workflow = &self.0;
        let result = attended(py, cancels(&cancel), || {
            workflow.run(&pool, input, &settings)
        })?;
        outcome(py, result)
    }

    /// Goes on with a run that was interrupted, or ended by force.
    #[pyo3(signature = (pool, checkpoint, input = None, **settings))]
    fn resume(
        &self,
        py: Python<'_>,
        pool: &Bound<'_, PyPool>,
        checkpoint: PathBuf,
        input: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let pool = pool.get().open()?;
        let input = object(py, input)?;
        let (settings, cancel) = run_settings(&pool, settings)?;
        let checkpoint = load_checkpoint(py, checkpoint)?;
        let workflow = &self.0;
        let result = attended(py, cancels(&cancel), || {
            workflow.resume(&pool, checkpoint, input, &settings)
        })?;
        outcome(py, result)
    }

    /// Runs it on a thread of its own, and gives its events while it goes on.
    #[pyo3(signature = (pool, input = None, **settings))]
    fn stream(
        &self,
        py: Python<'_>,
        pool: &Bound<'_, PyPool>,
        input: Option<&Bound<'_, PyAny>>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyStream> {
        let pool = pool.get().open()?;
        let input = object(py, input)?;
        let (settings, cancel) = run_settings(&pool, settings)?;
        let stream = self.0.stream(&pool, input, &settings)?;
        Ok(PyStream {
            stream: Own::new(Mutex::new(Some(stream))),
            cancel,
        })
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "a Workflow can't be pickled; send the path of its file, and load it there",
        ))
    }

    fn __repr__(&self) -> String {
        match self.0.name() {
            Some(name) => format!("<moonfork.Workflow {name:?}>"),
            None => "<moonfork.Workflow>".to_owned(),
        }
    }
}

/// A run that is under way: an iterator over its events.
#[pyclass(module = "moonfork", name = "Stream", frozen)]
pub(crate) struct PyStream {
    stream: Own<Mutex<Option<Stream>>>,
    cancel: Cancel,
}

#[pymethods]
impl PyStream {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let stream = self.stream.get("Stream")?;
        let event = attended(py, cancels(&self.cancel), || {
            lock(stream).as_mut().and_then(Iterator::next)
        })?;
        event.map(|event| to_python(py, &event)).transpose()
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let helpers = slf.py().import("moonfork._awaiting")?;
        helpers.call_method1("next_event", (slf,))
    }

    /// Waits for the end of the run, and gives what it gave.
    fn finish(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let stream = self.stream.get("Stream")?;
        let result = attended(py, cancels(&self.cancel), || {
            lock(stream).take().map(Stream::finish)
        })?;
        match result {
            Some(result) => outcome(py, result),
            None => Err(PyRuntimeError::new_err("the stream is closed")),
        }
    }

    /// Stops the run, if it is still under way.
    fn close(&self, py: Python<'_>) {
        if let Some(stream) = self.stream.here() {
            py.detach(|| {
                self.cancel.cancel();
                drop(lock(stream).take());
            });
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
        self.close(py);
    }
}

fn lock(stream: &Mutex<Option<Stream>>) -> MutexGuard<'_, Option<Stream>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for PyStream {
    fn drop(&mut self) {
        let Some(stream) = self.stream.here_mut() else {
            return;
        };
        self.cancel.cancel();
        let stream = stream
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // It waits for its run, whose host functions may want the interpreter.
        Python::attach(|py| py.detach(|| drop(stream)));
    }
}

/// What stops a run.
pub(crate) fn cancels(cancel: &Cancel) -> impl Fn(usize) + Send + Sync + use<> {
    let cancel = cancel.clone();
    move |_| cancel.cancel()
}

/// Does `work`, on a thread of its own where this one has to look for signals meanwhile; whenever a handler
/// raises, `stop` is told for which time, and is to end the work.
pub(crate) fn attended<T: Send>(
    py: Python<'_>,
    stop: impl Fn(usize) + Send + Sync,
    work: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    if !calls::on_main_thread() {
        return Ok(py.detach(work));
    }
    py.detach(|| {
        thread::scope(|scope| {
            let (done, result) = mpsc::sync_channel(1);
            let worker = scope.spawn(move || {
                // Who waits for it is there until the scope ends.
                let _ = done.send(work());
            });
            let mut raised = None;
            let mut times = 0;
            loop {
                match result.recv_timeout(SIGNALS) {
                    Ok(_) if raised.is_some() => break,
                    Ok(result) => return Ok(result),
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(exception) = Python::attach(|py| py.check_signals()) {
                            times += 1;
                            stop(times);
                            raised.get_or_insert(exception);
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            match (raised, worker.join()) {
                (Some(exception), _) => Err(exception),
                (None, Err(panic)) => std::panic::resume_unwind(panic),
                (None, Ok(())) => Err(PyRuntimeError::new_err("the run gave no result")),
            }
        })
    })
}

fn source(
    path: Option<PathBuf>,
    text: Option<String>,
    name: &str,
    overlays: Vec<PathBuf>,
) -> PyResult<Source> {
    let source = match (path, text) {
        (Some(path), None) => Source::file(path),
        (None, Some(text)) => Source::text(text, name),
        _ => {
            return Err(PyTypeError::new_err(
                "a workflow comes from a path, or from `text`: give one of them",
            ));
        }
    };
    Ok(overlays.into_iter().fold(source, Source::overlay))
}

fn object(py: Python<'_>, input: Option<&Bound<'_, PyAny>>) -> PyResult<Map<String, Value>> {
    let Some(input) = input else {
        return Ok(Map::new());
    };
    match serde_json::to_value(ToLua::new(input)) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(PyTypeError::new_err(
            "the input of a workflow must be a dict",
        )),
        Err(error) => Err(take_fault("input")
            .unwrap_or_else(|| make_with(py, "value", &format!("input: {error}"), &[]))),
    }
}

fn run_settings(
    pool: &moonfork::Pool,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<(RunSettings, Cancel)> {
    let mut grants = SomeGrants::default();
    let mut cancel = Cancel::new();
    let mut settings = RunSettings::new();
    for (name, value) in keywords.into_iter().flatten() {
        let name: String = name.extract()?;
        if value.is_none() {
            continue;
        }
        settings = match &*name {
            "max_workers" => settings.max_workers(count(&name, &value)?),
            "max_iterations" => settings.max_iterations(count(&name, &value)?),
            "interrupt_before" => {
                settings.interrupt_before(names_of(&name, &value, "of nodes", "")?)
            }
            "interrupt_after" => settings.interrupt_after(names_of(&name, &value, "of nodes", "")?),
            "checkpoint_dir" => settings.checkpoint_dir(value.extract::<PathBuf>()?),
            "workers" => settings.workers(&workers(&value)?),
            "cancel" => {
                cancel = value.cast::<PyCancel>()?.get().handle().child();
                settings
            }
            _ if grants.take(&name, &value)? => settings,
            _ => {
                return Err(unexpected_beside(
                    &name,
                    "settings of a workflow's run are workers, max_workers, max_iterations, \
                     interrupt_before, interrupt_after, checkpoint_dir, cancel; limits are those of \
                     the pool",
                ));
            }
        };
    }
    if grants.is_some() {
        settings = settings.grants(grants.or(pool));
    }
    Ok((settings.cancel_handle(&cancel), cancel))
}

fn load_checkpoint(py: Python<'_>, path: PathBuf) -> PyResult<Checkpoint> {
    Checkpoint::load(path)
        .map_err(|error: CheckpointError| make_with(py, "checkpoint", &error.to_string(), &[]))
}

fn outcome(py: Python<'_>, result: Result<RunResult, RunError>) -> PyResult<Py<PyAny>> {
    match result {
        Ok(outcome) => {
            let interrupt = outcome.interrupt.as_ref().map(|interrupt| {
                json!({
                    "node": interrupt.node,
                    "when": interrupt.when,
                    "checkpoint": interrupt.checkpoint.path(),
                })
            });
            let make = py.import("moonfork._result")?.getattr("make_outcome")?;
            let fields = (
                to_python(py, &outcome.state)?,
                to_python(py, &outcome.report)?,
                to_python(py, &interrupt)?,
            );
            Ok(make.call1(fields)?.unbind())
        }
        Err(error) => {
            let failure = error.failure();
            Err(make_with(
                py,
                "run",
                &error.to_string(),
                &[
                    ("node", &error.node()),
                    ("failure", failure),
                    ("lua_traceback", &failure.traceback),
                    ("report", error.report()),
                    ("problems", &plain(error.problems())),
                ],
            ))
        }
    }
}

/// Problems as plain data, one object each.
fn plain(problems: &[Problem]) -> Vec<Value> {
    problems
        .iter()
        .map(|problem| {
            json!({
                "severity": problem.severity().to_string(),
                "code": problem.code().as_str(),
                "file": problem.file(),
                "line": problem.place().map(|place| place.line),
                "column": problem.place().map(|place| place.column),
                "message": problem.message(),
                "hint": problem.hint(),
            })
        })
        .collect()
}

/// Problems as the package has them.
fn problems<'py>(py: Python<'py>, found: &[Value]) -> PyResult<Bound<'py, PyList>> {
    let make = py.import("moonfork._result")?.getattr("make_problem")?;
    let made = found
        .iter()
        .map(|problem| make.call1((to_python(py, problem)?,)));
    PyList::new(py, made.collect::<PyResult<Vec<_>>>()?)
}

pub(crate) fn load_error(py: Python<'_>, error: &LoadError) -> PyErr {
    make_with(
        py,
        "load",
        &error.to_string(),
        &[("problems", &plain(error.problems()))],
    )
}
