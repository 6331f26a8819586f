//! A tree of YAML values to the typed model.
//!
//! Everything that is wrong with the shape of a file is reported here, and reading goes on
//! with what is left. Whether names lead anywhere is for [`validate`](crate::workflow::load::validate).

mod dynamic;
mod edges;
mod nodes;
mod policy;
mod settings;
mod shape;
mod work;

use std::sync::Arc;

use crate::diagnostics::{Code, Problems};
use crate::workflow::load::keys;
use crate::workflow::load::yaml::{Data, Yaml};
use crate::workflow::model::Model;
use shape::{get, object, only_lua, text};

/// What could be read of a file.
pub(crate) struct Draft {
    pub(crate) model: Model,
    /// Whether all nodes and edges were read, so that it makes sense to ask where they lead.
    pub(crate) complete: bool,
}

/// Reads a whole file. `None` if it isn't even a mapping.
pub(crate) fn read(root: &Yaml, problems: &mut Problems) -> Option<Draft> {
    let Data::Mapping(top) = &root.data else {
        let message = format!("a workflow is a mapping with `nodes`, not {}", root.kind());
        problems.error(Code::InvalidRoot, root.place, message);
        return None;
    };
    keys::TOP.check(top, problems);
    if let Some(language) = get(top, "language") {
        only_lua(language, problems);
    }
    let mut model = Model {
        name: text(top, "name", problems),
        description: text(top, "description", problems),
        initial_state: object(top, "initial_state", problems),
        variables: Arc::new(object(top, "variables", problems)),
        schema: settings::read_schema(top, problems),
        settings: settings::read_settings(top, problems),
        config: settings::read_config(top, problems),
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
