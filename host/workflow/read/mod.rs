//! A tree of YAML values to the typed model.
//!
//! Everything that is wrong with the shape of a file is reported here, and reading goes on
//! with what is left. Whether names lead anywhere is for [`validate`](super::validate).

mod edges;
mod nodes;
mod shape;

use std::num::NonZeroUsize;

use super::keys;
use super::model::Model;
use super::problem::{Code, Problems};
use super::yaml::{Data, Entry, Yaml};
use shape::{get, object, only_lua, section, text};

/// What could be read of a file.
pub(super) struct Draft {
    pub(super) model: Model,
    /// Whether all nodes and edges were read, so that it makes sense to ask where they lead.
    pub(super) complete: bool,
}

/// Reads a whole file. `None` if it isn't even a mapping.
pub(super) fn read(root: &Yaml, problems: &mut Problems) -> Option<Draft> {
    let Data::Mapping(top) = &root.data else {
        let message = format!("a workflow is a mapping with `nodes`, not {}", root.kind());
        problems.error(Code::InvalidRoot, root.place, message);
        return None;
    };
    keys::TOP.check(top, problems);
    if let Some(language) = get(top, "language") {
        only_lua(language, problems);
    }
    // Read for its shape alone: what could use a variable is not supported yet, and refused.
    object(top, "variables", problems);
    let mut model = Model {
        name: text(top, "name", problems),
        description: text(top, "description", problems),
        initial_state: object(top, "initial_state", problems),
        max_workers: max_workers(top, problems),
        ..Model::default()
    };

    let before = problems.errors();
    match get(top, "nodes") {
        Some(nodes) => model.nodes = nodes::read(nodes, problems),
        None => {
            problems.error(Code::MissingField, root.place, "a workflow needs `nodes`");
        }
    }
    if let Some(edges) = get(top, "edges") {
        model.edges = edges::read(edges, problems);
    }
    let complete = problems.errors() == before;
    Some(Draft { model, complete })
}

fn max_workers(top: &[Entry], problems: &mut Problems) -> Option<NonZeroUsize> {
    let settings = section(top, &keys::SETTINGS, "settings", problems)?;
    let parallel = section(settings, &keys::PARALLEL, "parallel", problems)?;
    let value = get(parallel, "max_workers")?;
    let workers = match &value.data {
        Data::Number(number) => number.as_u64(),
        _ => None,
    };
    let workers = workers
        .and_then(|workers| usize::try_from(workers).ok())
        .and_then(NonZeroUsize::new);
    if workers.is_none() {
        let message = "`max_workers` must be a whole number of at least 1";
        problems.error(Code::InvalidValue, value.place, message);
    }
    workers
}
