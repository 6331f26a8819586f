//! Why a run failed.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::diagnostics::{Place, Problem};
use crate::workflow::definition::Workflow;
use crate::workflow::execute::trouble::Trouble;
use crate::workflow::report::{Failure, RunReport, chunk_name};

/// A run that didn't come to its end: why, and what it had done until then.
///
/// Displayed with the line of its Lua that failed, as `file:line: node 'name': message`, or else the place of the
/// node, as `file:line:column: message`; a workflow
/// that didn't begin as its problems, one a line.
pub struct RunError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    node: Option<FailedNode>,
    failure: Failure,
    cause: Option<crate::Error>,
    checkpoint: Option<PathBuf>,
    report: RunReport,
    problems: Vec<Problem>,
}

/// The node that a run ended with.
#[derive(Debug)]
struct FailedNode {
    name: String,
    file: String,
    place: Place,
    /// What the message begins with, where Lua says the line in it.
    said: Option<String>,
}

impl RunError {
    pub(crate) fn new(
        workflow: &Workflow,
        trouble: Trouble,
        checkpoint: Option<PathBuf>,
        report: RunReport,
    ) -> Self {
        let node = trouble.node.map(|(name, place)| {
            let at = trouble.cause.as_ref().and_then(crate::Error::position);
            // Where its code has a file of its own, the line is that file's, and the message says it.
            let at = at.filter(|at| at.chunk == chunk_name(&name));
            let line = at.and_then(|at| usize::try_from(at.line).ok());
            FailedNode {
                file: workflow.file_of(place).to_owned(),
                place: match line {
                    Some(line) => Place {
                        line,
                        column: None,
                        ..place
                    },
                    None => place,
                },
                said: at.map(|at| format!("{at}: ")),
                name: name.to_string(),
            }
        });
        RunError(Box::new(Inner {
            node,
            failure: *trouble.failure,
            cause: trouble.cause,
            checkpoint,
            report,
            problems: trouble.problems,
        }))
    }

    /// The node that failed, if it was one.
    pub fn node(&self) -> Option<&str> {
        self.0.node.as_ref().map(|node| &*node.name)
    }

    /// The line of its Lua that failed, or where that node, or its code, is written.
    pub fn place(&self) -> Option<Place> {
        self.0.node.as_ref().map(|node| node.place)
    }

    /// What happened: kind, message, traceback.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// What is wrong with the workflow, if it didn't begin for that: see
    /// [`Workflow::check`](crate::workflow::Workflow::check).
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Whether the run was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.failure.is_cancelled()
    }

    /// Whether a time limit ended it.
    pub fn is_timeout(&self) -> bool {
        self.0.failure.is_timeout()
    }

    /// The error of the runtime, if it is one.
    pub fn runtime(&self) -> Option<&crate::Error> {
        self.0.cause.as_ref()
    }

    /// The file of the checkpoint that the run can [go on](Workflow::resume) from, if there is one.
    pub fn checkpoint(&self) -> Option<&Path> {
        self.0.checkpoint.as_deref()
    }

    /// What the run did, up to and including what failed.
    pub fn report(&self) -> &RunReport {
        &self.0.report
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &*self.0.failure.message;
        let Some(node) = &self.0.node else {
            return f.write_str(message);
        };
        write!(f, "{}:{}: ", node.file, node.place)?;
        let said = node.said.as_ref();
        match said.and_then(|said| message.strip_prefix(said.as_str())) {
            // The place has the line.
            Some(bare) => write!(f, "{}: {bare}", chunk_name(&node.name)),
            None => f.write_str(message),
        }
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The message is part of this error's own already; what is left is what lies behind it.
        self.0.cause.as_ref().and_then(std::error::Error::source)
    }
}
