//! A workflow that can be run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::chunk::Chunk;
use crate::diagnostics::{Place, Problem};
use crate::workflow::fingerprint;
use crate::workflow::load::files::Sources;
use crate::workflow::model::Model;
use crate::workflow::outside::Used;
use crate::workflow::plan::Plan;

/// A workflow that has been read, found sound, and planned.
#[derive(Debug)]
pub struct Workflow {
    /// The files it was read from, in the order of their places' numbers.
    pub(crate) files: Vec<Arc<str>>,
    /// All that was read, for processes that are to have the same workflow.
    pub(crate) sources: Sources,
    pub(crate) model: Model,
    pub(crate) plan: Plan,
    pub(crate) warnings: Vec<Problem>,
    /// The file that it was read from, and its overlays, if they are files.
    pub(crate) origin: Vec<PathBuf>,
    /// A hash of what it does, once it is asked for.
    pub(crate) fingerprint: OnceLock<String>,
    /// The Lua that its nodes may `require`, by name: its own, and that of its subgraphs.
    pub(crate) modules: BTreeMap<String, Chunk<'static>>,
    /// Where it uses secrets and environment variables.
    pub(crate) outside: Vec<Used>,
    /// What is wrong with its Lua, once it was parsed.
    pub(crate) parsed: OnceLock<Vec<Problem>>,
}

impl Workflow {
    /// The name that the file gives itself.
    pub fn name(&self) -> Option<&str> {
        self.model.name.as_deref()
    }

    /// What the file says about itself.
    pub fn description(&self) -> Option<&str> {
        self.model.description.as_deref()
    }

    /// The version that the file gives itself.
    pub fn version(&self) -> Option<&str> {
        self.model.version.as_deref()
    }

    /// How many nodes it has.
    pub fn node_count(&self) -> usize {
        self.model.nodes.len()
    }

    /// How many edges it has.
    pub fn edge_count(&self) -> usize {
        self.model.edges.len()
    }

    /// The folder that the file says checkpoints go to, as it is written there.
    pub fn checkpoint_dir(&self) -> Option<&str> {
        self.model.config.checkpoint_dir.as_deref()
    }

    /// What the author of the file should know, though it can be run.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The ways through it.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A hash of what it does.
    pub(crate) fn fingerprint(&self) -> &str {
        self.fingerprint
            .get_or_init(|| fingerprint::of(&self.model))
    }

    /// The file that a place is in.
    pub(crate) fn file_of(&self, place: Place) -> &str {
        let file = self.files.get(usize::from(place.source));
        file.map_or("", |file| &**file)
    }
}
