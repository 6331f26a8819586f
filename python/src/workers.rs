//! `Workers` and `Worker`: branches in other processes, and the processes that they run in.

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::{io, thread};

use moonfork::Cancel;
use moonfork::workflow::nats::{Nats, Stopper, Worker};
use moonfork::workflow::{RunSettings, Workers, serve};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::fork::Own;
use crate::pool::PyPool;
use crate::settings::{SomeGrants, count, duration, unexpected_beside};
use crate::workflow::attended;

/// Where branches run that don't run on threads of this process.
#[pyclass(module = "moonfork", name = "Workers", frozen)]
pub(crate) struct PyWorkers(Own<Workers>);

#[pymethods]
impl PyWorkers {
    /// Processes of this machine: of this Python, which serve by the pool of that name; or of another program.
    #[staticmethod]
    #[pyo3(signature = (count, *, pool = None, command = None))]
    fn processes(
        py: Python<'_>,
        count: &Bound<'_, PyAny>,
        pool: Option<&Bound<'_, PyAny>>,
        command: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyWorkers> {
        let count = self::count("count", count)?;
        let helpers = py.import("moonfork._workers")?;
        let command: Vec<PathBuf> = helpers
            .call_method1("command", (pool, command))?
            .extract()?;
        let mut command = command.into_iter();
        let program = command
            .next()
            .ok_or_else(|| PyValueError::new_err("command must begin with a program"))?;
        let workers = Workers::processes(count, program, command);
        Ok(PyWorkers(Own::new(workers)))
    }

    /// Those that serve a server of NATS.
    #[staticmethod]
    #[pyo3(signature = (url, **access))]
    fn nats(url: &str, access: Option<&Bound<'_, PyDict>>) -> PyResult<PyWorkers> {
        let mut nats = Nats::new(self::url(url)?);
        for (name, value) in access.into_iter().flatten() {
            let name: String = name.extract()?;
            if value.is_none() {
                continue;
            }
            nats = match &*name {
                "lease" => nats.lease(duration(&name, &value)?),
                _ => with_access(nats, &name, &value)?,
            };
        }
        Ok(PyWorkers(Own::new(Workers::nats(nats))))
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "Workers can't be pickled; make them where they are used",
        ))
    }

    fn __repr__(&self) -> String {
        match self.0.here().map(Workers::count) {
            Some(Some(count)) => format!("<moonfork.Workers, {count} processes>"),
            Some(None) => "<moonfork.Workers of a server of NATS>".to_owned(),
            None => "<moonfork.Workers of another process>".to_owned(),
        }
    }
}

/// What a run was given as `workers`: those, or the address of a server.
pub(crate) fn workers(value: &Bound<'_, PyAny>) -> PyResult<Workers> {
    if let Ok(workers) = value.cast::<PyWorkers>() {
        return Ok(workers.get().0.get("Workers")?.clone());
    }
    match value.cast::<PyString>() {
        Ok(text) => Ok(Workers::nats(Nats::new(url(text.to_str()?)?))),
        Err(_) => Err(PyTypeError::new_err(format!(
            "workers must be Workers.processes(...), Workers.nats(...), or the address of a server of NATS, not {value:?}"
        ))),
    }
}

/// The address of a server.
fn url(text: &str) -> PyResult<&str> {
    let schemes = ["nats://", "tls://"];
    match schemes.iter().any(|scheme| text.starts_with(scheme)) {
        true => Ok(text),
        false => Err(PyValueError::new_err(
            "the address of a server of NATS is nats://HOST:PORT, or tls://HOST:PORT",
        )),
    }
}

/// Takes one of the settings that both sides have.
fn with_access(nats: Nats, name: &str, value: &Bound<'_, PyAny>) -> PyResult<Nats> {
    Ok(match name {
        "worker_pool" => nats.pool(value.extract::<String>()?),
        "credentials" => nats.credentials(value.extract::<PathBuf>()?),
        "trust" => nats.trust(value.extract::<PathBuf>()?),
        "certificate" => {
            let (certificate, key): (PathBuf, PathBuf) = value.extract().map_err(|_| {
                PyTypeError::new_err("certificate must be the paths of a certificate and its key")
            })?;
            nats.certificate(certificate, key)
        }
        _ => {
            return Err(unexpected_beside(
                name,
                "a server is reached by worker_pool, credentials, trust, certificate; workers of a run have a lease as \
                 well, and a worker slots, grace, on_note",
            ));
        }
    })
}

/// A process that runs branches for runs anywhere, by way of a server of NATS.
#[pyclass(module = "moonfork", name = "Worker", frozen)]
pub(crate) struct PyWorker {
    /// There until it serves.
    worker: Own<Mutex<Option<Worker>>>,
    pool: moonfork::Pool,
    settings: RunSettings,
    cancel: Cancel,
    stopper: Stopper,
    id: String,
}

#[pymethods]
impl PyWorker {
    #[new]
    #[pyo3(signature = (pool, url, **settings))]
    fn new(
        pool: &Bound<'_, PyPool>,
        url: &str,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyWorker> {
        let pool = pool.get().open()?.clone();
        let mut nats = Nats::new(self::url(url)?);
        let mut grants = SomeGrants::default();
        let mut slots = None;
        let mut grace = None;
        let mut on_note = None;
        for (name, value) in settings.into_iter().flatten() {
            let name: String = name.extract()?;
            if value.is_none() {
                continue;
            }
            match &*name {
                "slots" => slots = Some(count(&name, &value)?),
                "grace" => grace = Some(duration(&name, &value)?),
                "on_note" => on_note = Some(value.unbind()),
                _ if grants.take(&name, &value)? => {}
                _ => nats = with_access(nats, &name, &value)?,
            }
        }
        let worker = Worker::new(&nats, &pool);
        let mut worker = worker.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let most = NonZeroUsize::new(pool.max_branches()).unwrap_or(NonZeroUsize::MIN);
        let processors = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        worker = worker.slots(slots.unwrap_or(processors.min(most)));
        if let Some(grace) = grace {
            worker = worker.grace(grace);
        }
        if let Some(on_note) = on_note {
            worker = worker.on_note(move |note| {
                Python::attach(|py| {
                    if let Err(error) = on_note.call1(py, (note,)) {
                        // Nobody waits for it here.
                        error.write_unraisable(py, Some(on_note.bind(py)));
                    }
                });
            });
        }
        let cancel = Cancel::new();
        Ok(PyWorker {
            stopper: worker.stopper(),
            id: worker.id().to_owned(),
            worker: Own::new(Mutex::new(Some(worker))),
            settings: self::settings(&pool, &grants, &cancel),
            pool,
            cancel,
        })
    }

    /// Serves until it is stopped.
    fn serve(&self, py: Python<'_>) -> PyResult<()> {
        let worker = self.worker.get("Worker")?;
        let worker = worker.lock().ok().and_then(|mut worker| worker.take());
        let worker = worker.ok_or_else(|| {
            PyRuntimeError::new_err("a Worker serves once; make another to serve again")
        })?;
        // The first signal whose handler raises lets branches come to their ends; the next one doesn't.
        let stopper = self.stopper.clone();
        let cancel = self.cancel.clone();
        let stop = move |times| match times {
            1 => stopper.stop(),
            _ => cancel.cancel(),
        };
        let served = attended(py, stop, || worker.serve(&self.pool, &self.settings))?;
        served.map_err(|error| PyOSError::new_err(error.to_string()))
    }

    /// Has it take no more branches, and `serve` return once those that run have ended.
    fn stop(&self) {
        self.stopper.stop();
    }

    /// What reports have as `worker`.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    fn __reduce__(&self) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(
            "a Worker can't be pickled; make one in the process that is to serve",
        ))
    }

    fn __repr__(&self) -> String {
        format!("<moonfork.Worker {}>", self.id)
    }
}

/// What branches may do here.
fn settings(pool: &moonfork::Pool, grants: &SomeGrants, cancel: &Cancel) -> RunSettings {
    let settings = RunSettings::new().cancel_handle(cancel);
    match grants.is_some() {
        true => settings.grants(grants.or(pool)),
        false => settings,
    }
}

/// Serves the run that started this process, by its standard input and output. What is printed there from then on
/// goes to standard error.
#[pyfunction]
#[pyo3(signature = (pool, **grants))]
pub(crate) fn serve_stdio(
    py: Python<'_>,
    pool: &Bound<'_, PyPool>,
    grants: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let pool = pool.get().open()?.clone();
    let mut some = SomeGrants::default();
    for (name, value) in grants.into_iter().flatten() {
        let name: String = name.extract()?;
        if !value.is_none() && !some.take(&name, &value)? {
            return Err(unexpected_beside(&name, "limits are those of the pool"));
        }
    }
    let settings = settings(&pool, &some, &Cancel::new());
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Nothing but messages may get there.
    py.import("moonfork._workers")?
        .call_method0("leave_stdio")?;
    py.detach(|| serve(&pool, &settings, input, output))?;
    Ok(())
}
