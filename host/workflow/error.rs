//! Why a run failed.

use std::fmt;

use super::Workflow;
use super::plan::NodeId;
use super::problem::Place;
use super::report::{Failure, Report};

/// A run that didn't come to its end: why, and what it had done until then.
///
/// Displayed with the place of the node that failed, as `file:line:column: message`.
pub struct RunError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    node: Option<FailedNode>,
    failure: Failure,
    cause: Cause,
    report: Report,
}

/// The node that a run ended with.
#[derive(Debug)]
struct FailedNode {
    name: String,
    file: String,
    place: Place,
}

/// Why a run can't go on.
pub(super) enum Stopped {
    /// A node on the main instance failed.
    Node(NodeId, crate::Error),
    /// No thread could be started for the branches.
    Threads(std::io::Error),
}

#[derive(Debug)]
enum Cause {
    Runtime(crate::Error),
    Threads(std::io::Error),
}

impl RunError {
    /// There was no main instance to run anything on.
    pub(super) fn without_instance(error: crate::Error, report: Report) -> Self {
        RunError(Box::new(Inner {
            node: None,
            failure: Failure::new(&error),
            cause: Cause::Runtime(error),
            report,
        }))
    }

    /// The run had to stop on its way.
    pub(super) fn stopped(workflow: &Workflow, stopped: Stopped, report: Report) -> Self {
        let inner = match stopped {
            Stopped::Node(id, error) => {
                let node = &workflow.model.nodes[id.0];
                let place = node
                    .code
                    .as_ref()
                    .map_or(node.name.place, |code| code.place);
                Inner {
                    node: Some(FailedNode {
                        name: node.name.value.to_string(),
                        file: workflow.file.to_string(),
                        place,
                    }),
                    failure: Failure::of_node(&node.name.value, &error),
                    cause: Cause::Runtime(error),
                    report,
                }
            }
            Stopped::Threads(error) => Inner {
                node: None,
                failure: Failure::of_host(&error),
                cause: Cause::Threads(error),
                report,
            },
        };
        RunError(Box::new(inner))
    }

    /// The node that failed, if it was one.
    pub fn node(&self) -> Option<&str> {
        self.0.node.as_ref().map(|node| &*node.name)
    }

    /// Where the code of that node is written.
    pub fn place(&self) -> Option<Place> {
        self.0.node.as_ref().map(|node| node.place)
    }

    /// What happened: kind, message, traceback.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// The error of the runtime, if it is one.
    pub fn runtime(&self) -> Option<&crate::Error> {
        match &self.0.cause {
            Cause::Runtime(error) => Some(error),
            Cause::Threads(_) => None,
        }
    }

    /// What the run did, up to and including what failed.
    pub fn report(&self) -> &Report {
        &self.0.report
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = &self.0.node {
            write!(f, "{}:{}: ", node.file, node.place)?;
        }
        f.write_str(&self.0.failure.message)
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
        match &self.0.cause {
            Cause::Runtime(error) => std::error::Error::source(error),
            Cause::Threads(error) => std::error::Error::source(error),
        }
    }
}
