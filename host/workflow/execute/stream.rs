//! A run on a thread of its own, and its events.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use crate::workflow::definition::Workflow;
use crate::workflow::execute::run::{self, From, RunResult};
use crate::workflow::{Event, RunError, RunSettings};
use crate::{Cancel, Pool};

/// Events that may wait to be taken. A run that is further ahead of who listens to it waits.
const AHEAD: usize = 1024;

/// A run that is under way: an iterator over its events, which ends with it.
///
/// Dropping it cancels the run, and waits for it to end.
///
/// ```
/// use std::sync::Arc;
/// use moonfork::Pool;
/// use moonfork::workflow::{EventKind, RunSettings, Workflow};
///
/// let workflow = Arc::new(Workflow::parse("nodes: [{name: a, run: 'return {n = 1}'}]", "a.yaml")?);
/// let pool = Pool::builder().build()?;
/// let mut run = workflow.stream(&pool, (), &RunSettings::new())?;
/// let nodes = run.by_ref().filter(|event| matches!(event.kind, EventKind::NodeEnd { .. }));
/// assert_eq!(nodes.count(), 1);
/// assert_eq!(run.finish()?.state["n"], 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stream {
    events: Option<Receiver<Event>>,
    run: Option<JoinHandle<Result<RunResult, RunError>>>,
    cancel: Cancel,
}

impl Stream {
    pub(crate) fn start(
        workflow: &Arc<Workflow>,
        pool: &Pool,
        from: From,
        options: &RunSettings,
    ) -> io::Result<Stream> {
        let (sender, events) = mpsc::sync_channel(AHEAD);
        let cancel = match &options.cancel {
            Some(cancel) => cancel.child(),
            None => Cancel::new(),
        };
        let mut options = options.clone();
        options.cancel = Some(cancel.clone());
        let before = options.listener.take();
        let options = options.on_event(move |event| {
            if let Some(before) = &before {
                before.tell(event);
            }
            // Nobody listens any more: the run was cancelled, and ends.
            let _ = sender.send(event.clone());
        });
        let (workflow, pool) = (Arc::clone(workflow), pool.clone());
        let run = thread::Builder::new()
            .name("moonfork-run".to_owned())
            .spawn(move || run::run(&workflow, &pool, from, &options))?;
        Ok(Stream {
            events: Some(events),
            run: Some(run),
            cancel,
        })
    }

    /// Stops the run; its last events still come.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits for the run to end, and gives what it gave. Events that nobody took are lost.
    ///
    /// # Errors
    /// As [`Workflow::run`].
    ///
    /// # Panics
    /// If a listener of [`RunSettings::on_event`] panicked.
    pub fn finish(mut self) -> Result<RunResult, RunError> {
        // The run must not wait for anybody to take its events.
        self.events = None;
        let Some(run) = self.run.take() else {
            unreachable!("only `finish` takes it, and that ends the stream");
        };
        match run.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Iterator for Stream {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.events.as_ref()?.recv().ok()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.events = None;
        if let Some(run) = self.run.take() {
            self.cancel.cancel();
            let _ = run.join();
        }
    }
}
