//! `Pool`: where instances come from.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use moonfork::{Cancel, Chunk, Grants, HostCall, Limits, Report, RunOptions};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::branch::{Branch, Main};
use crate::calls::{self, call_back, framed, wants_call};
use crate::cancel::PyCancel;
use crate::errors::exception;
use crate::fork::{Birthplace, forked, no_fork};
use crate::settings::{SomeGrants, SomeLimits, count, duration, run_options, unexpected, whole};
use crate::snapshot::{Snapshot, branch_of};
use crate::value::{AllArguments, FromLua, ToLua, to_python};

/// How long who waits for threads sleeps before it looks whether a signal has come.
const SIGNALS: Duration = Duration::from_millis(20);

#[pyclass(module = "moonfork", name = "Pool", subclass, frozen)]
pub(crate) struct PyPool {
    pool: RwLock<Option<moonfork::Pool>>,
    made: Birthplace,
}

/// Lua that runs when a pool is made.
#[derive(FromPyObject)]
enum Prelude {
    One(String),
    Several(Vec<String>),
}

#[pymethods]
impl PyPool {
    #[new]
    #[pyo3(signature = (
        *, functions = None, modules = None, metered = false, max_branches = None, max_runs = None,
        slot_timeout = None, cache_dir = None, precompiled = None, prelude = None, **settings
    ))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, all of them")]
    fn new(
        py: Python<'_>,
        functions: Option<&Bound<'_, PyDict>>,
        modules: Option<&Bound<'_, PyDict>>,
        metered: bool,
        max_branches: Option<&Bound<'_, PyAny>>,
        max_runs: Option<&Bound<'_, PyAny>>,
        slot_timeout: Option<&Bound<'_, PyAny>>,
        cache_dir: Option<PathBuf>,
        precompiled: Option<PathBuf>,
        prelude: Option<Prelude>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyPool> {
        let mut builder = moonfork::Pool::builder();
        let (mut limits, mut grants) = (SomeLimits::default(), SomeGrants::default());
        for (name, value) in settings.into_iter().flatten() {
            let name: String = name.extract()?;
            if value.is_none() {
                continue;
            }
            if !limits.take(&name, &value)? && !grants.take_values(&name, &value)? {
                return Err(unexpected(&name));
            }
        }
        for (name, function) in functions.into_iter().flatten() {
            let name: String = name.extract()?;
            if !function.is_callable() {
                return Err(PyTypeError::new_err(format!(
                    "functions[{name:?}] must be callable, not {function}"
                )));
            }
            let wants_call = wants_call(&function)?;
            let function = function.unbind();
            builder =
                builder.function_with(name, move |call: &HostCall, arguments: AllArguments| {
                    call_back(&function, wants_call, call, arguments)
                });
        }
        for (name, source) in modules.into_iter().flatten() {
            builder = builder.module(name.extract::<String>()?, source.extract::<String>()?);
        }
        // What a pool is given, its scripts may use, unless a run says otherwise.
        let given = Grants::none().all_functions().all_modules();
        builder = builder
            .limits(limits.or(Limits::default()))
            .grants(grants.rest_or(given, &Grants::none()));
        if metered || limits.has_fuel() {
            builder = builder.metered();
        }
        if let Some(branches) = max_branches {
            builder = builder.max_branches(whole("max_branches", branches)?);
        }
        if let Some(runs) = max_runs {
            builder = builder.max_runs(whole("max_runs", runs)?);
        }
        if let Some(timeout) = slot_timeout {
            builder = builder.slot_timeout(duration("slot_timeout", timeout)?);
        }
        if let Some(folder) = cache_dir {
            builder = builder.cache_dir(folder);
        }
        if let Some(file) = precompiled {
            builder = builder.precompiled(file);
        }
        let texts = match prelude {
            None => Vec::new(),
            Some(Prelude::One(text)) => vec![text],
            Some(Prelude::Several(texts)) => texts,
        };
        for text in texts {
            builder = builder.prelude(text);
        }
        // A prelude may call functions.
        let (pool, ended) = py.detach(|| {
            framed("prelude", None, None, || {
                let _no_fork = no_fork();
                builder.build()
            })
        });
        let pool = pool.map_err(|error| exception(py, &error, None, ended))?;
        Ok(PyPool {
            pool: RwLock::new(Some(pool)),
            made: Birthplace::here(),
        })
    }

    /// A fresh instance, one call, its value.
    #[pyo3(signature = (code, state = None, *, name = None, cancel = None, **options))]
    fn run(
        &self,
        py: Python<'_>,
        code: &str,
        state: Option<&Bound<'_, PyAny>>,
        name: Option<&str>,
        cancel: Option<&Bound<'_, PyCancel>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let pool = self.open()?;
        let options = run_options(&pool, options)?;
        self.run_one(py, &pool, code, name, state, options, cancel, None)
    }

    /// As `run`, for who awaits it on an event loop.
    #[pyo3(signature = (event_loop, cancel, code, state = None, *, name = None, **options))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, all of them")]
    fn _run_for(
        &self,
        py: Python<'_>,
        event_loop: Py<PyAny>,
        cancel: &Bound<'_, PyCancel>,
        code: &str,
        state: Option<&Bound<'_, PyAny>>,
        name: Option<&str>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let pool = self.open()?;
        let options = run_options(&pool, options)?;
        let event_loop = Some(event_loop);
        self.run_one(
            py,
            &pool,
            code,
            name,
            state,
            options,
            Some(cancel),
            event_loop,
        )
    }

    /// A fresh instance for each of `states`, on all cores; what each gave, in their order.
    #[pyo3(signature = (code, states, *, name = None, max_workers = None, cancel = None, **options))]
    #[expect(clippy::too_many_arguments, reason = "keyword arguments, all of them")]
    fn map<'py>(
        &self,
        py: Python<'py>,
        code: &str,
        states: &Bound<'py, PyAny>,
        name: Option<&str>,
        max_workers: Option<&Bound<'py, PyAny>>,
        cancel: Option<&Bound<'py, PyCancel>>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let pool = self.open()?;
        let max_workers = max_workers
            .map(|workers| count("max_workers", workers))
            .transpose()?;
        let states: Vec<ToLua> = states
            .try_iter()?
            .map(|state| Ok(ToLua::new(&state?)))
            .collect::<PyResult<_>>()?;
        let cancel = cancel.map_or_else(Cancel::new, |cancel| cancel.get().handle().child());
        let options = run_options(&pool, options)?.cancel_handle(&cancel);
        let code = chunk(code, name);
        let results = run_all(py, &pool, &code, &states, max_workers, &options, &cancel)?;
        let make = py.import("moonfork._result")?.getattr("Result")?;
        let made = results.into_iter().map(|result| {
            let (value, error) = match result.value {
                Ok(value) => (value, py.None()),
                Err(error) => (py.None(), error.into_value(py).into_any()),
            };
            make.call1((value, error, result.report))
        });
        PyList::new(py, made.collect::<PyResult<Vec<_>>>()?)
    }

    /// A fresh instance for several calls.
    #[pyo3(signature = (*, cancel = None, **options))]
    fn branch(
        slf: &Bound<'_, Self>,
        cancel: Option<&Bound<'_, PyCancel>>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Branch> {
        let pool = slf.get().open()?;
        let owner = slf.clone().unbind();
        branch_of(slf.py(), &owner, cancel, options, |options| {
            pool.branch_with(options)
        })
    }

    /// A snapshot that `Snapshot.write` has written.
    fn load_snapshot(slf: &Bound<'_, Self>, file: PathBuf) -> PyResult<Snapshot> {
        let (py, pool) = (slf.py(), slf.get().open()?);
        match py.detach(|| pool.load_snapshot(file)) {
            Ok(snapshot) => Ok(Snapshot::new(snapshot, slf.clone().unbind())),
            Err(error) => Err(exception(
                py,
                &error,
                None,
                calls::Ended::with_nothing("file"),
            )),
        }
    }

    /// The main instance, for the thread that made the pool.
    fn main(slf: &Bound<'_, Self>) -> PyResult<Main> {
        let py = slf.py();
        let pool = slf.get().open()?;
        let id = py.detach(|| pool.main().map(|main| main.store_id()));
        match id {
            Ok(id) => Ok(Main::new(slf.clone().unbind(), id)),
            Err(error) => Err(exception(
                py,
                &error,
                None,
                calls::Ended::with_nothing("main"),
            )),
        }
    }

    /// How many instances are alive at the moment.
    #[getter]
    fn live_count(&self) -> PyResult<usize> {
        Ok(self.open()?.live_count())
    }

    /// How many branches may be alive at once.
    #[getter]
    fn max_branches(&self) -> PyResult<usize> {
        Ok(self.open()?.max_branches())
    }

    /// Whether the pool counts fuel.
    #[getter]
    fn is_metered(&self) -> PyResult<bool> {
        Ok(self.open()?.is_metered())
    }

    /// Gives the pool up. Instances that are alive stay so until they are closed.
    fn close(&self, py: Python<'_>) {
        if !self.made.is_here() {
            return;
        }
        let pool = self
            .pool
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        py.detach(|| {
            let _no_fork = no_fork();
            drop(pool);
        });
    }

    fn __enter__(slf: Py<Self>) -> PyResult<Py<Self>> {
        slf.get().open()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, pyo3::types::PyTuple>) {
        self.close(py);
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "a Pool can't be pickled, since its sandboxes live in this process; make one in each \
             process, for example in an initializer",
        ))
    }

    fn __repr__(&self) -> String {
        match self.open() {
            Ok(pool) => format!("<moonfork.Pool, {} instances alive>", pool.live_count()),
            Err(_) => "<moonfork.Pool, closed>".to_owned(),
        }
    }
}

impl PyPool {
    /// The pool, if it can be used.
    pub(crate) fn open(&self) -> PyResult<moonfork::Pool> {
        if !self.made.is_here() {
            return Err(forked("Pool"));
        }
        let pool = self.pool.read().unwrap_or_else(PoisonError::into_inner);
        pool.clone()
            .ok_or_else(|| PyRuntimeError::new_err("the pool is closed"))
    }

    #[expect(clippy::too_many_arguments, reason = "what a run takes")]
    fn run_one(
        &self,
        py: Python<'_>,
        pool: &moonfork::Pool,
        code: &str,
        name: Option<&str>,
        state: Option<&Bound<'_, PyAny>>,
        options: RunOptions,
        cancel: Option<&Bound<'_, PyCancel>>,
        event_loop: Option<Py<PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let cancel = cancel_of(cancel);
        let options = options.cancel_handle(&cancel);
        let code = chunk(code, name);
        let state = state.map(ToLua::new);
        let ((result, report), ended) = py.detach(|| {
            framed("state", Some(cancel), event_loop, || {
                run_fresh(pool, &code, state.as_ref(), &options)
            })
        });
        match result {
            Ok(value) => Ok(value.into_object(py)),
            Err(error) => Err(exception(py, &error, report.as_deref(), ended)),
        }
    }
}

impl Drop for PyPool {
    fn drop(&mut self) {
        if !self.made.is_here() {
            let pool = self.pool.get_mut().unwrap_or_else(PoisonError::into_inner);
            // Its threads aren't here to be waited for.
            std::mem::forget(pool.take());
        }
    }
}

/// What stops a run that this thread does: `given`, and where it is the main thread, a signal whose
/// handler raises.
pub(crate) fn cancel_of(given: Option<&Bound<'_, PyCancel>>) -> Cancel {
    let given = given.map_or_else(Cancel::new, |given| given.get().handle().clone());
    if calls::on_main_thread() {
        given.child_when(|| !calls::run_signal_handlers())
    } else {
        given.child()
    }
}

pub(crate) fn chunk<'a>(code: &'a str, name: Option<&'a str>) -> Chunk<'a> {
    let chunk = Chunk::new(code);
    match name {
        Some(name) => chunk.named(name),
        None => chunk,
    }
}

/// Runs `code` on a fresh instance. There is a report where that failed.
fn run_fresh(
    pool: &moonfork::Pool,
    code: &Chunk<'_>,
    state: Option<&ToLua>,
    options: &RunOptions,
) -> (moonfork::Result<FromLua>, Option<Box<Report>>) {
    let mut branch = match pool.branch_with(options) {
        Ok(branch) => branch,
        Err(error) => return (Err(error), None),
    };
    let result = match state {
        Some(state) => branch.eval_with(code.clone(), state),
        None => branch.eval(code.clone()),
    };
    let report = result.is_err().then(|| Box::new(branch.take_report()));
    (result, report)
}

/// What one of many runs gave.
struct One {
    value: PyResult<Py<PyAny>>,
    report: Option<Py<PyAny>>,
}

/// Runs `code` once for each state.
fn run_all(
    py: Python<'_>,
    pool: &moonfork::Pool,
    code: &Chunk<'_>,
    states: &[ToLua],
    max_workers: Option<NonZeroUsize>,
    options: &RunOptions,
    cancel: &Cancel,
) -> PyResult<Vec<One>> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = max_workers
        .map_or(cores, NonZeroUsize::get)
        .min(pool.max_branches())
        .min(states.len());
    let next = Mutex::new(states.iter().enumerate());
    let results: Mutex<Vec<Option<One>>> = Mutex::new(states.iter().map(|_| None).collect());
    let work = || loop {
        let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
        let Some((index, state)) = taken else { return };
        let one = run_one_of_many(pool, code, state, options, cancel);
        results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(one);
    };
    let interrupted = py.detach(|| {
        let (done, all_done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            for _ in 0..workers {
                let done = done.clone();
                let work = &work;
                scope.spawn(move || {
                    // Dropped when the work is done, or has panicked.
                    let _done = done;
                    work();
                });
            }
            drop(done);
            let mut interrupted = None;
            // Who has all the work given away sees to signals. Nothing is ever sent.
            while let Err(RecvTimeoutError::Timeout) = all_done.recv_timeout(SIGNALS) {
                if calls::on_main_thread()
                    && interrupted.is_none()
                    && let Err(exception) = Python::attach(|py| py.check_signals())
                {
                    cancel.cancel();
                    interrupted = Some(exception);
                }
            }
            interrupted
        })
    });
    if let Some(exception) = interrupted {
        return Err(exception);
    }
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(results.into_iter().flatten().collect())
}

fn run_one_of_many(
    pool: &moonfork::Pool,
    code: &Chunk<'_>,
    state: &ToLua,
    options: &RunOptions,
    cancel: &Cancel,
) -> One {
    let ((result, report), ended) = framed("state", Some(cancel.clone()), None, || {
        let mut branch = match pool.branch_with(options) {
            Ok(branch) => branch,
            Err(error) => return (Err(error), None),
        };
        let result = branch.eval_with::<_, FromLua>(code.clone(), state);
        (result, Some(branch.take_report()))
    });
    Python::attach(|py| One {
        value: match result {
            Ok(value) => Ok(value.into_object(py)),
            Err(error) => Err(exception(py, &error, report.as_ref(), ended)),
        },
        report: report.and_then(|report| to_python(py, &report).ok()),
    })
}
