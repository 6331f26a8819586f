//! The other side: a process that runs branches of the run that started it.

use std::io::{self, BufReader, Read, Write};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::workflow::event::{Event, Heard, Listener};
use crate::workflow::options::RunSettings;
use crate::workflow::worker::frame;
use crate::workflow::worker::hosted::{self, FanOut, Host, Loaded};
use crate::workflow::worker::message::{
    BranchSent, EndSent, FromWorker, Hello, SCHEMA_VERSION, ToWorker,
};
use crate::{Cancel, Pool};

/// Runs branches for the process that started this one by [`Workers`](crate::workflow::Workers), one after the
/// other on instances of `pool`, until `input` ends; a branch that runs then is stopped.
///
/// What branches may do is what `settings` and the pool grant here: what they are sent asks for a part of it. Of
/// the settings, grants, secrets, values of the environment and the cancel handle count.
///
/// Nothing else may write to `output` from here on, which is the standard output as a rule. Messages are
/// those of this version of the library: another one is refused as it begins.
///
/// # Errors
/// If what comes is no message, or none can be written.
pub fn serve(
    pool: &Pool,
    settings: &RunSettings,
    input: impl Read,
    output: impl Write + Send + 'static,
) -> io::Result<()> {
    let out = Out(Arc::new(Mutex::new(output)));
    let mut lock = out.lock();
    lock.write_all(frame::MARK)?;
    drop(lock);
    out.say(&FromWorker::Hello(Box::new(Hello {
        schema_version: SCHEMA_VERSION,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        worker: format!("{:016x}", fastrand::u64(..)),
        grants: settings.granted_names(pool),
    })))?;
    let stops = Stops::default();
    let (sender, jobs) = mpsc::channel();
    thread::scope(|scope| {
        // Branches run on a thread of their own: this one may be asked for the pool's main instance, and
        // has to hear when a branch is to stop.
        let server = Server {
            pool,
            settings,
            out: &out,
            stops: &stops,
        };
        let running = thread::Builder::new()
            .name("moonfork-branch-0".to_owned())
            .spawn_scoped(scope, move || server.run(&jobs))?;
        let mut input = BufReader::new(input);
        let heard = loop {
            match frame::read(&mut input) {
                Ok(Some(ToWorker::Cancel(number))) => stops.stop(number),
                Ok(Some(message)) => {
                    if sender.send(message).is_err() {
                        // It said why.
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        stops.stop_all();
        drop(sender);
        match running.join() {
            Ok(ran) => heard.and(ran),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Where messages go.
struct Out<W>(Arc<Mutex<W>>);

impl<W: Write> Out<W> {
    fn say(&self, message: &FromWorker) -> io::Result<()> {
        frame::write(&mut *self.lock(), message)
    }

    fn lock(&self) -> MutexGuard<'_, W> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which branches are to stop.
#[derive(Default)]
struct Stops(Mutex<Stopping>);

#[derive(Default)]
struct Stopping {
    /// The branch that runs.
    current: Option<(u64, Cancel)>,
    /// One that is to stop, and may not have begun.
    stopped: Option<u64>,
    all: bool,
}

impl Stops {
    fn lock(&self) -> MutexGuard<'_, Stopping> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self, number: u64) {
        let mut stopping = self.lock();
        stopping.stopped = Some(number);
        let current = stopping.current.clone();
        drop(stopping);
        if let Some((running, cancel)) = current
            && running == number
        {
            cancel.cancel();
        }
    }

    fn stop_all(&self) {
        let mut stopping = self.lock();
        stopping.all = true;
        let current = stopping.current.take();
        drop(stopping);
        if let Some((_, cancel)) = current {
            cancel.cancel();
        }
    }

    /// A branch begins, which this handle stops.
    fn begin(&self, number: u64, cancel: &Cancel) {
        let mut stopping = self.lock();
        let is_stopped = stopping.all || stopping.stopped == Some(number);
        stopping.current = Some((number, cancel.clone()));
        drop(stopping);
        if is_stopped {
            cancel.cancel();
        }
    }

    fn end(&self) {
        self.lock().current = None;
    }
}

struct Server<'s, W> {
    pool: &'s Pool,
    settings: &'s RunSettings,
    out: &'s Out<W>,
    stops: &'s Stops,
}

impl<W: Write + Send + 'static> Server<'_, W> {
    fn run(&self, jobs: &Receiver<ToWorker>) -> io::Result<()> {
        let mut workflow: Option<Loaded> = None;
        let mut fan_out: Option<FanOut> = None;
        for message in jobs {
            let done = match message {
                ToWorker::Workflow(sent) => hosted::load(*sent, self.pool).map(|loaded| {
                    workflow = Some(loaded);
                    fan_out = None;
                }),
                ToWorker::FanOut(sent) => {
                    hosted::enter(*sent, workflow.as_ref(), self.pool).map(|entered| {
                        fan_out = Some(entered);
                    })
                }
                ToWorker::Branch(sent) => match (&workflow, &fan_out) {
                    (Some(workflow), Some(fan_out)) => {
                        match self.branch(workflow, fan_out, &sent) {
                            Ok(end) => {
                                self.out.say(&FromWorker::End(Box::new(end)))?;
                                Ok(())
                            }
                            Err(why) => Err(why),
                        }
                    }
                    _ => Err("a branch of nothing".to_owned()),
                },
                // It has come by then.
                ToWorker::Cancel(_) => Ok(()),
            };
            if let Err(why) = done {
                return self.out.say(&FromWorker::Refused(why));
            }
        }
        Ok(())
    }

    fn branch(
        &self,
        loaded: &Loaded,
        fan_out: &FanOut,
        sent: &BranchSent,
    ) -> Result<EndSent, String> {
        let cancel = hosted::cancel(self.settings);
        self.stops.begin(sent.number, &cancel);
        let listener = self.listener(fan_out.sent.events);
        let host = Host {
            pool: self.pool,
            settings: self.settings,
            slots: self.pool.max_branches(),
        };
        let ran = host.branch(loaded, fan_out, sent, cancel, listener);
        self.stops.end();
        Ok(fan_out.end_sent(sent.number, ran?))
    }

    /// Tells of what happens in a branch.
    fn listener(&self, heard: Heard) -> Option<Listener> {
        let out = Out(Arc::clone(&self.out.0));
        let listener = move |event: &Event| {
            // Where nobody listens any more, the input ends as well, and stops the branch.
            let _ = out.say(&FromWorker::Event(Box::new(event.clone())));
        };
        (heard != Heard::Nothing).then(|| Listener::new(heard, listener))
    }
}
