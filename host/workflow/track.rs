//! One instance of a run, and the nodes it runs one after the other.

use std::time::Instant;

use serde_json::Value;

use super::model::Node;
use super::report::{Failure, InstanceReport, NodeReport, RunOutcome, chunk_name, ms};
use super::state::State;
use crate::{Chunk, Error, Handle};

/// Runs nodes on one instance, and keeps the books.
pub(super) struct Track<H> {
    handle: H,
    run_started: Instant,
    started: Instant,
    report: InstanceReport,
}

impl<H: Handle> Track<H> {
    /// A track on `handle`: of the branch with this name, or the main one.
    pub(super) fn new(handle: H, branch: Option<&str>, run_started: Instant) -> Self {
        let report = InstanceReport {
            store_id: handle.store_id(),
            role: handle.role(),
            branch: branch.map(str::to_owned),
            wall_ms: 0.0,
            nodes: Vec::new(),
        };
        Track {
            handle,
            run_started,
            started: Instant::now(),
            report,
        }
    }

    /// Runs a node on `state` and applies what it returns.
    ///
    /// # Errors
    /// Whatever the node fails with; the state is unchanged then.
    pub(super) fn run(&mut self, node: &Node, state: &mut State) -> Result<(), Error> {
        let name = &*node.name.value;
        let started = Instant::now();
        let result = match &node.code {
            Some(code) => {
                let chunk = Chunk::body(code.value.as_str()).named(chunk_name(name));
                self.handle.eval_with::<_, Value>(chunk, state)
            }
            None => Ok(Value::Null),
        };
        let wall_ms = ms(started.elapsed());
        let output = self.handle.take_output();
        let result = result.map(|returned| state.update(returned));
        self.report.nodes.push(NodeReport {
            node: name.to_owned(),
            outcome: match result {
                Ok(()) => RunOutcome::Done,
                Err(_) => RunOutcome::Failed,
            },
            error: result
                .as_ref()
                .err()
                .map(|error| Failure::of_node(name, error)),
            started_ms: ms(started - self.run_started),
            wall_ms,
            output: output.text(),
            output_truncated: output.is_truncated(),
        });
        result
    }

    /// Drops the instance; what remains is the report of it.
    pub(super) fn finish(mut self) -> InstanceReport {
        self.report.wall_ms = ms(self.started.elapsed());
        self.report
    }
}
