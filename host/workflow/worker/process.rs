//! Processes that branches run in: started when they are needed, and ended with the last handle.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader, Write};
use std::num::NonZeroUsize;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::workflow::worker::frame;
use crate::workflow::worker::message::{FromWorker, Hello, SCHEMA_VERSION};

/// How long a worker may take to begin to serve.
const START: Duration = Duration::from_secs(60);

/// Processes of one program, with the same arguments.
#[derive(Debug)]
pub(crate) struct Processes {
    program: OsString,
    arguments: Vec<OsString>,
    pub(crate) count: NonZeroUsize,
    idle: Mutex<Vec<Process>>,
}

impl Processes {
    pub(crate) fn new(count: NonZeroUsize, program: &OsStr, arguments: Vec<OsString>) -> Processes {
        Processes {
            program: program.to_owned(),
            arguments,
            count,
            idle: Mutex::default(),
        }
    }

    /// One that does nothing, or a new one.
    ///
    /// # Errors
    /// Why there can't be one.
    pub(crate) fn take(&self) -> Result<Process, String> {
        loop {
            let idle = self.idle().pop();
            let Some(mut process) = idle else {
                return Process::start(&self.program, &self.arguments);
            };
            // One that ended while it did nothing is no branch's fault.
            if !process.has_ended() {
                return Ok(process);
            }
        }
    }

    /// Gives back one that is to serve again.
    pub(crate) fn give_back(&self, process: Process) {
        self.idle().push(process);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that serves. It is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Owned,
    input: ChildStdin,
    said: Receiver<Said>,
    sender: Sender<Said>,
    pub(crate) hello: Hello,
    /// The hash of the workflow, and that of what its prelude has left, that it was told last; and the number of the
    /// fan-out.
    pub(crate) workflow: Option<(String, Option<[u8; 32]>)>,
    pub(crate) fan_out: Option<u64>,
    /// How many branches it was given.
    pub(crate) branches: u64,
}

/// What comes to whoever waits for a process.
#[derive(Debug)]
pub(crate) enum Said {
    Message(FromWorker),
    /// Its output is over, or no message.
    Gone,
    /// From this side: look whether the wait is to be over.
    Look,
}

impl Process {
    fn start(program: &OsStr, arguments: &[OsString]) -> Result<Process, String> {
        let name = program.to_string_lossy();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // Ctrl-C is for the run, which stops its branches: not for each of its workers.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .spawn()
            .map_err(|error| format!("no worker can be started: `{name}`: {error}"))?;
        let pipes = (child.stdin.take(), child.stdout.take());
        // From here on, it is ended where this doesn't come to its end.
        let mut child = Owned(child);
        let (Some(input), Some(output)) = pipes else {
            return Err(format!("the worker `{name}` has no pipes"));
        };
        let (sender, said) = mpsc::channel();
        let listener = sender.clone();
        let listening = thread::Builder::new()
            .name("moonfork-worker".to_owned())
            .spawn(move || listen(output, &listener));
        listening.map_err(|error| format!("no thread can be started for a worker: {error}"))?;
        let hello = match said.recv_timeout(START) {
            Ok(Said::Message(FromWorker::Hello(hello))) => hello,
            Ok(Said::Message(FromWorker::Refused(why))) => {
                return Err(format!("the worker `{name}` can't serve: {why}"));
            }
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("the worker `{name}` didn't begin to serve in time"));
            }
            _ => {
                let status = child.end();
                return Err(format!(
                    "the worker `{name}` ended, or isn't one: it didn't begin to serve ({status})"
                ));
            }
        };
        let ours = (SCHEMA_VERSION, env!("CARGO_PKG_VERSION"));
        if (hello.schema_version, hello.version.as_str()) != ours {
            return Err(format!(
                "the worker `{name}` is of version {} (messages of version {}), and this is {} ({})",
                hello.version, hello.schema_version, ours.1, ours.0
            ));
        }
        Ok(Process {
            child,
            input,
            said,
            sender,
            hello: *hello,
            workflow: None,
            fan_out: None,
            branches: 0,
        })
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.0.try_wait(), Ok(None))
    }

    /// Writes messages that were encoded.
    ///
    /// # Errors
    /// If it takes none any more.
    pub(crate) fn tell(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.input.write_all(bytes)?;
        self.input.flush()
    }

    /// What comes next, for as long as that.
    pub(crate) fn wait(&self, time: Option<Duration>) -> Option<Said> {
        match time {
            None => Some(self.said.recv().unwrap_or(Said::Gone)),
            Some(time) => match self.said.recv_timeout(time) {
                Ok(said) => Some(said),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Said::Gone),
            },
        }
    }

    /// What wakes whoever waits.
    pub(crate) fn waker(&self) -> impl FnOnce() + Send + 'static {
        let sender = self.sender.clone();
        move || {
            let _ = sender.send(Said::Look);
        }
    }

    /// Ends it, and says how it ended.
    pub(crate) fn end(mut self) -> String {
        self.child.end()
    }
}

/// A process that doesn't outlive this.
#[derive(Debug)]
struct Owned(Child);

impl Owned {
    /// Ends it, unless it has ended, and says how it did.
    fn end(&mut self) -> String {
        let _ = self.0.kill();
        match self.0.wait() {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.end();
    }
}

/// Passes on what a worker says, for as long as anybody wants to know.
fn listen(output: ChildStdout, to: &Sender<Said>) {
    let mut output = BufReader::new(output);
    if matches!(frame::skip_to_mark(&mut output), Ok(true)) {
        while let Ok(Some(message)) = frame::read(&mut output) {
            if to.send(Said::Message(message)).is_err() {
                return;
            }
        }
    }
    let _ = to.send(Said::Gone);
}
