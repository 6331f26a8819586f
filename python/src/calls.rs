//! What Python code does in the middle of a run: host functions, and signals.
//!
//! A host function runs on the thread that runs the script, so what it leaves behind for the end of
//! the run is kept by thread: one frame a run, since a host function may run something else.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::thread::{self, ThreadId};

use moonfork::{Cancel, HostCall, HostError, StoreId};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use serde::{Serialize, Serializer, ser};

use crate::value::{AllArguments, ToLua, take_fault};

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// A run that is under way on this thread.
struct Frame {
    /// The instance that it is on, where others may have that at hand.
    instance: Option<StoreId>,
    /// Stops it.
    cancel: Option<Cancel>,
    /// The event loop that awaits it, if one does.
    event_loop: Option<Py<PyAny>>,
    ended: Ended,
}

/// What Python code has left behind by the end of a run: mostly nothing, so that it is small.
pub(crate) struct Ended {
    /// What was passed in, for messages about it.
    pub(crate) root: &'static str,
    pub(crate) left: Option<Box<Left>>,
}

/// Exceptions that came up in a run.
#[derive(Default)]
pub(crate) struct Left {
    /// What no script may catch: `KeyboardInterrupt`, `SystemExit`.
    pub(crate) stopped_by: Option<PyErr>,
    /// The last exception of a host function.
    pub(crate) raised: Option<Raised>,
}

/// An exception of a host function, and what the script was told of it.
pub(crate) struct Raised {
    pub(crate) message: String,
    pub(crate) exception: PyErr,
}

impl Ended {
    /// Nothing.
    pub(crate) fn with_nothing(root: &'static str) -> Ended {
        Ended { root, left: None }
    }
}

/// Does `run` with a frame of its own, and says what Python code left behind.
pub(crate) fn framed<T>(
    root: &'static str,
    cancel: Option<Cancel>,
    event_loop: Option<Py<PyAny>>,
    run: impl FnOnce() -> T,
) -> (T, Ended) {
    framed_on(None, root, cancel, event_loop, run)
}

/// As [`framed`], on an instance that [`is_used_here`] knows then.
pub(crate) fn framed_on<T>(
    instance: Option<StoreId>,
    root: &'static str,
    cancel: Option<Cancel>,
    event_loop: Option<Py<PyAny>>,
    run: impl FnOnce() -> T,
) -> (T, Ended) {
    /// Takes the frame away though `run` panics.
    struct Pop;

    impl Drop for Pop {
        fn drop(&mut self) {
            FRAMES.with_borrow_mut(|frames| frames.pop());
        }
    }

    FRAMES.with_borrow_mut(|frames| {
        frames.push(Frame {
            instance,
            cancel,
            event_loop,
            ended: Ended::with_nothing(root),
        });
    });
    let pop = Pop;
    let result = run();
    let ended = with_frame(|frame| std::mem::replace(&mut frame.ended, Ended::with_nothing(root)));
    drop(pop);
    (result, ended.unwrap_or_else(|| Ended::with_nothing(root)))
}

/// Whether this thread is in the middle of a call of the instance: its host functions may run Python code
/// that wants to use it.
pub(crate) fn is_used_here(instance: StoreId) -> bool {
    FRAMES.with_borrow(|frames| frames.iter().any(|it| it.instance == Some(instance)))
}

fn with_frame<T>(f: impl FnOnce(&mut Frame) -> T) -> Option<T> {
    FRAMES.with_borrow_mut(|frames| frames.last_mut().map(f))
}

/// Stops the run that is under way on this thread, which then raises `exception`.
fn stop(exception: PyErr) {
    with_frame(|frame| {
        let left = frame.ended.left.get_or_insert_default();
        left.stopped_by.get_or_insert(exception);
        if let Some(cancel) = &frame.cancel {
            cancel.cancel();
        }
    });
}

/// The thread whose business signals are.
static MAIN: OnceLock<ThreadId> = OnceLock::new();

/// Notes whether the thread that imports the module is Python's main thread.
pub(crate) fn note_main_thread(py: Python<'_>) -> PyResult<()> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?;
    if threading.call_method0("current_thread")?.is(&main) {
        MAIN.get_or_init(|| thread::current().id());
    }
    Ok(())
}

/// Whether this thread is the one that Python runs signal handlers on.
pub(crate) fn on_main_thread() -> bool {
    MAIN.get() == Some(&thread::current().id())
}

/// Runs the handlers of signals that have come; one that raises stops the run.
pub(crate) fn run_signal_handlers() -> bool {
    Python::attach(|py| match py.check_signals() {
        Ok(()) => true,
        Err(exception) => {
            stop(exception);
            false
        }
    })
}

/// A value that a host function gave.
pub(crate) struct Given(ToLua);

impl Serialize for Given {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Said here, with its path: the fault is the function's, and must not be taken for the caller's.
        self.0
            .serialize(serializer)
            .map_err(|error| match take_fault("its result") {
                Some(fault) => ser::Error::custom(fault),
                None => error,
            })
    }
}

/// What a host function may know of the call: what `with_call` has it given.
#[pyclass(module = "moonfork", name = "HostCall", frozen)]
pub(crate) struct PyHostCall(HostCall);

#[pymethods]
impl PyHostCall {
    /// What the call goes by, the same when it is made again; `None` outside of workflows.
    #[getter]
    fn idempotency_key(&self) -> Option<String> {
        self.0.idempotency_key()
    }

    /// The instance whose script makes the call; `None` where a workflow makes it by `uses`.
    #[getter]
    fn store_id(&self) -> Option<u64> {
        self.0.store_id().map(StoreId::get)
    }

    /// Seconds that the run has left; `None` where it may take for ever.
    #[getter]
    fn remaining(&self) -> Option<f64> {
        self.0.remaining().map(|left| left.as_secs_f64())
    }

    /// Whether the run was cancelled.
    #[getter]
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// What `with_call` leaves on a function.
const WITH_CALL: &str = "__moonfork_with_call__";

/// Whether a function wants to be told of the call.
pub(crate) fn wants_call(function: &Bound<'_, PyAny>) -> PyResult<bool> {
    match function.getattr_opt(WITH_CALL)? {
        Some(wants) => wants.is_truthy(),
        None => Ok(false),
    }
}

/// Calls `function` for a script.
pub(crate) fn call_back(
    function: &Py<PyAny>,
    wants_call: bool,
    call: &HostCall,
    arguments: AllArguments,
) -> Result<Given, HostError> {
    Python::attach(|py| {
        let arguments = arguments.0.into_iter().map(|it| it.into_object(py));
        let arguments = match wants_call {
            false => PyTuple::new(py, arguments),
            true => Py::new(py, PyHostCall(call.clone())).and_then(|call| {
                let all = std::iter::once(call.into_any()).chain(arguments);
                PyTuple::new(py, all.collect::<Vec<_>>())
            }),
        };
        let called = arguments
            .and_then(|arguments| function.bind(py).call1(arguments))
            .and_then(|result| awaited(py, result, call));
        match called {
            Ok(result) => Ok(Given(ToLua::new(&result))),
            Err(exception) => Err(told(py, exception).into()),
        }
    })
}

/// What the script is told of `exception`; it is kept for the end of the run.
fn told(py: Python<'_>, exception: PyErr) -> String {
    let name = exception.get_type(py).name();
    let name = name.map_or_else(|_| "Exception".to_owned(), |name| name.to_string());
    let text = exception.value(py).str();
    let text = text.map_or_else(
        |_| String::new(),
        |text| text.to_string_lossy().into_owned(),
    );
    let message = if text.is_empty() {
        name
    } else {
        format!("{name}: {text}")
    };
    if exception.is_instance_of::<PyException>(py) {
        with_frame(|frame| {
            frame.ended.left.get_or_insert_default().raised = Some(Raised {
                message: message.clone(),
                exception,
            });
        });
    } else {
        stop(exception);
    }
    message
}

/// The result of a coroutine function is awaited: by the event loop that awaits the run, or by one
/// of its own.
fn awaited<'py>(
    py: Python<'py>,
    result: Bound<'py, PyAny>,
    call: &HostCall,
) -> PyResult<Bound<'py, PyAny>> {
    if !result.hasattr("__await__")? {
        return Ok(result);
    }
    let event_loop = with_frame(|frame| frame.event_loop.as_ref().map(|it| it.clone_ref(py)));
    let left = call.remaining().map(|left| left.as_secs_f64());
    let helpers = py.import("moonfork._awaiting")?;
    let Some(event_loop) = event_loop.flatten() else {
        return helpers.call_method1("await_alone", (result, left));
    };
    let future = helpers.call_method1("begin", (result, event_loop))?;
    let stopped = future.clone().unbind();
    let _watch = call.cancel_handle().on_cancel(move || {
        Python::attach(|py| {
            // It may have ended meanwhile, and there is nobody to tell.
            let _ = stopped.call_method0(py, "cancel");
        });
    });
    helpers.call_method1("finish", (future, left))
}
