//! Which of the ways to run branches elsewhere it is.

#[cfg(feature = "nats")]
use std::sync::OnceLock;

use crate::Pool;
use crate::workflow::execute::job::Place;
use crate::workflow::report::Failure;
use crate::workflow::worker::away::{Away, OfRun};
use crate::workflow::worker::place::{self, ProcessPlace};
#[cfg(feature = "nats")]
use crate::workflow::worker::queue::access;
#[cfg(feature = "nats")]
use crate::workflow::worker::queue::place::{QueuePlace, QueueRun};
use crate::workflow::worker::workers::{Kind, Workers};

/// What a run keeps of its workers from one fan-out to the next.
#[derive(Default)]
pub(crate) struct Opened {
    #[cfg(feature = "nats")]
    queue: OnceLock<QueueRun>,
}

impl Opened {
    /// Makes sure of workers that can serve the run, on instances as those of its pool: so that a run that can't have any doesn't begin. The name
    /// is that of the workers that the workflow asks for.
    ///
    /// # Errors
    /// What they lack, or why there are none.
    #[cfg_attr(
        not(feature = "nats"),
        expect(unused_variables, reason = "processes say it themselves")
    )]
    pub(crate) fn check(
        &self,
        workers: &Workers,
        run: &OfRun<'_>,
        (instances, pool): (&Pool, Option<&str>),
    ) -> Result<(), Failure> {
        match &workers.0 {
            Kind::Processes(_) if pool.is_some() => {
                let message = "`settings.parallel.pool` names workers of a server of NATS, and those that are \
                               given are processes of this machine";
                Err(Failure::own("OptionError", message))
            }
            Kind::Processes(processes) => place::check(processes, run.granted),
            #[cfg(feature = "nats")]
            Kind::Queue(queue) => {
                let opened = QueueRun::open(queue, run.granted, pool, access::version(instances))?;
                // A run is checked once.
                let _ = self.queue.set(opened);
                Ok(())
            }
        }
    }

    /// Where the branches of a fan-out run, after [`check`](Self::check).
    pub(crate) fn place<'a>(
        &'a self,
        workers: &'a Workers,
        away: Away<'a>,
    ) -> Result<Box<dyn Place + 'a>, Failure> {
        match &workers.0 {
            Kind::Processes(processes) => Ok(Box::new(ProcessPlace::new(processes, away))),
            #[cfg(feature = "nats")]
            Kind::Queue(_) => match self.queue.get() {
                Some(queue) => Ok(Box::new(QueuePlace::new(queue, away))),
                None => Err(Failure::own("ExecutionError", "no workers were looked for")),
            },
        }
    }
}
