//! Where branches run that don't run on threads of this process.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::workflow::worker::process::Processes;
#[cfg(feature = "nats")]
use crate::workflow::worker::queue::access::{Nats, Queue};

/// Other processes that branches run in, in place of threads of this one: see
/// [`RunSettings::workers`](crate::workflow::RunSettings::workers). Clones are the same workers.
#[derive(Clone)]
pub struct Workers(pub(crate) Kind);

/// Which they are.
#[derive(Clone)]
pub(crate) enum Kind {
    Processes(Arc<Processes>),
    #[cfg(feature = "nats")]
    Queue(Arc<Queue>),
}

impl Workers {
    /// At most `count` processes of this machine at a time, each of them `program` with these arguments.
    ///
    /// It is a program that calls [`serve`](crate::workflow::serve) on its standard input and output, such as
    /// `moonfork worker --stdio`. They are started when they are needed, serve one branch at a time, and are ended when
    /// the last clone of this is dropped; a program whose input ends is to end as well, so that none
    /// is left when this process is killed. What they write to standard error goes to that of this process.
    ///
    /// ```no_run
    /// use std::num::NonZeroUsize;
    /// use moonfork::Pool;
    /// use moonfork::workflow::{RunSettings, Workers, Workflow};
    ///
    /// let four = NonZeroUsize::new(4).expect("it is not zero");
    /// let workers = Workers::processes(four, "moonfork", ["worker", "--stdio"]);
    /// let workflow = Workflow::load("flow.yaml")?;
    /// let pool = Pool::builder().build()?;
    /// workflow.run(&pool, (), &RunSettings::new().workers(&workers))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn processes<A: Into<OsString>>(
        count: NonZeroUsize,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Workers {
        let arguments = arguments.into_iter().map(Into::into).collect();
        let processes = Processes::new(count, program.as_ref(), arguments);
        Workers(Kind::Processes(Arc::new(processes)))
    }

    /// Those that serve a server of NATS, on any machine: programs that call
    /// [`Worker::serve`](crate::workflow::nats::Worker::serve), such as `moonfork worker --nats URL`. It is connected to when a run
    /// first needs it.
    ///
    /// ```no_run
    /// use moonfork::Pool;
    /// use moonfork::workflow::nats::Nats;
    /// use moonfork::workflow::{RunSettings, Workers, Workflow};
    ///
    /// let workers = Workers::nats(Nats::new("nats://127.0.0.1:4222"));
    /// let workflow = Workflow::load("flow.yaml")?;
    /// let pool = Pool::builder().build()?;
    /// workflow.run(&pool, (), &RunSettings::new().workers(&workers))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "nats")]
    pub fn nats(nats: Nats) -> Workers {
        Workers(Kind::Queue(Arc::new(Queue::new(nats))))
    }

    /// How many processes there may be at a time, where that is known here.
    pub fn count(&self) -> Option<NonZeroUsize> {
        match &self.0 {
            Kind::Processes(processes) => Some(processes.count),
            #[cfg(feature = "nats")]
            Kind::Queue(_) => None,
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Processes(processes) => processes.fmt(f),
            #[cfg(feature = "nats")]
            Kind::Queue(queue) => queue.fmt(f),
        }
    }
}
