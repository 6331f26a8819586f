//! Workflows: YAML files whose nodes are Lua, and whose branches run in parallel.
//!
//! Loading a file reads it, finds everything that is wrong with it, and makes a [`Plan`];
//! running follows the plan. Nodes outside of branches run on the one main instance of the
//! run; each branch of a fan-out runs on a fresh instance of its own, starting from a copy of
//! the state, and the node they meet in finds what they gave in `parallel_results`.
//!
//! ```
//! use moonfork::Pool;
//! use moonfork::workflow::{RunOptions, Workflow};
//!
//! let workflow = Workflow::parse(
//!     "
//! nodes:
//!   - name: double
//!     run: return {n = state.n * 2}
//!   - name: square
//!     run: return {n = state.n * state.n}
//!   - name: join
//!     run: |
//!       local sum = 0
//!       for _, branch in ipairs(state.parallel_results) do
//!         sum = sum + branch.state.n
//!       end
//!       return {sum = sum}
//! edges:
//!   - {from: __start__, parallel: [double, square], fan_in: join}
//! ",
//!     "sum.yaml",
//! )?;
//! let input = serde_json::json!({"n": 7});
//! let pool = Pool::builder().build()?;
//! let outcome = workflow.run(&pool, input.as_object().cloned().unwrap(), &RunOptions::default())?;
//! assert_eq!(outcome.state["sum"], 14 + 49);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod context;
mod error;
mod fan_out;
mod keys;
mod model;
mod plan;
mod problem;
mod read;
mod report;
mod run;
mod state;
mod track;
mod validate;
mod yaml;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::Pool;
use model::Model;
use problem::Problems;

pub use context::RunOptions;
pub use error::RunError;
pub use plan::Plan;
pub use problem::{Code, LoadError, Place, Problem, Severity};
pub use report::{Failure, InstanceReport, NodeReport, Report, RunOutcome, SCHEMA_VERSION};
pub use run::Outcome;

/// A workflow that has been read, found sound, and planned.
#[derive(Debug)]
pub struct Workflow {
    file: Arc<str>,
    model: Model,
    plan: Plan,
    warnings: Vec<Problem>,
}

impl Workflow {
    /// Loads a workflow from a file. Nothing in it is run.
    ///
    /// # Errors
    /// Everything that is wrong with the file, as far as one look can tell.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let text = std::fs::read(path)
            .map_err(|error| error.to_string())
            .and_then(|bytes| {
                String::from_utf8(bytes).map_err(|error| {
                    let valid = error.utf8_error().valid_up_to();
                    format!("not UTF-8: the byte at offset {valid} doesn't belong there")
                })
            });
        match text {
            Ok(text) => Self::parse(&text, &name),
            Err(why) => Err(LoadError::unreadable(&name, why)),
        }
    }

    /// Loads a workflow from text. Problems are reported under the name `file`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, file: &str) -> Result<Self, LoadError> {
        let file: Arc<str> = file.into();
        let mut problems = Problems::new(file.clone());
        let read = yaml::parse(text, &mut problems)
            .and_then(|root| read::read(&root, &mut problems))
            .and_then(|draft| {
                let before = problems.errors();
                validate::validate(&draft.model, &mut problems);
                // Asking where broken edges lead would only find the same mistakes again.
                if !draft.complete || problems.errors() > before {
                    return None;
                }
                let plan = plan::build(&draft.model, &mut problems)?;
                Some((draft.model, plan))
            });
        let ((model, plan), warnings) = problems.finish(read)?;
        Ok(Workflow {
            file,
            model,
            plan,
            warnings,
        })
    }

    /// Runs the workflow, and waits for it to end. `input` overlays the workflow's
    /// `initial_state`, key by key.
    ///
    /// The run takes one main instance from `pool`, and for each branch one more while that
    /// branch runs. A branch that fails doesn't fail the run: it is an entry of
    /// `parallel_results` that says so.
    ///
    /// # Errors
    /// When a node fails that is in no branch, or when the run can't get its main instance.
    pub fn run(
        &self,
        pool: &Pool,
        input: Map<String, Value>,
        options: &RunOptions,
    ) -> Result<Outcome, RunError> {
        run::run(self, pool, input, options)
    }

    /// How many branches a run with these options has alive at once, at the most: what
    /// [`PoolBuilder::branches`](crate::PoolBuilder::branches) needs to be for none to wait.
    pub fn branches_at_once(&self, options: &RunOptions) -> usize {
        context::max_workers(self, options)
            .get()
            .min(self.plan.widest())
    }

    /// The name that the file gives itself.
    pub fn name(&self) -> Option<&str> {
        self.model.name.as_deref()
    }

    /// What the file says about itself.
    pub fn description(&self) -> Option<&str> {
        self.model.description.as_deref()
    }

    /// How many nodes it has.
    pub fn nodes(&self) -> usize {
        self.model.nodes.len()
    }

    /// How many edges it has.
    pub fn edges(&self) -> usize {
        self.model.edges.len()
    }

    /// What the author of the file should know, though it can be run.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The ways through it.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}
