//! A tree of YAML values to the typed model.
//!
//! Everything that is wrong with the shape of a file is reported here, and reading goes on
//! with what is left. Whether names lead anywhere is for [`validate`](crate::workflow::load::validate).

mod dynamic;
mod edges;
mod nodes;
mod outputs;
mod policy;
mod settings;
mod shape;
mod together;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostics::{Code, Problems};
use crate::workflow::load::keys;
use crate::workflow::load::yaml::{Data, Entry, Yaml};
use crate::workflow::model::{LuaText, Model};
use shape::{find, get, missing, object, only_lua, some, string, text};

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
        version: version(top, problems),
        initial_state: object(top, "initial_state", problems),
        variables: Arc::new(object(top, "variables", problems)),
        schema: settings::read_schema(top, problems),
        prelude: find(top, "prelude").and_then(|entry| work::source(entry, problems)),
        modules: modules(top, problems),
        outputs: outputs::read(top, problems),
        settings: settings::read_settings(top, problems),
        config: settings::read_config(top, problems),
        ..Model::default()
    };

    let before = problems.errors();
    match get(top, "nodes") {
        Some(nodes) => (model.nodes, model.unread) = nodes::read(nodes, problems),
        None => {
            model.unread.nameless = true;
            let message = "a workflow needs `nodes`";
            let code = Code::MissingField;
            missing(top, &["nodes"], code, root.place, message, problems);
        }
    }
    if let Some(edges) = get(top, "edges") {
        model.edges = edges::read(edges, problems);
    }
    let complete = problems.errors() == before;
    Some(Draft { model, complete })
}

/// `version`: a string, or a number that looks like one.
fn version(top: &[Entry], problems: &mut Problems) -> Option<String> {
    match &some(top, "version")?.data {
        Data::Number(number) => Some(number.to_string()),
        _ => text(top, "version", problems),
    }
}

/// `modules`: names that nodes may `require`, and the Lua files of them.
fn modules(top: &[Entry], problems: &mut Problems) -> BTreeMap<String, LuaText> {
    let Some(yaml) = some(top, "modules") else {
        return BTreeMap::new();
    };
    let Data::Mapping(entries) = &yaml.data else {
        let message = format!(
            "`modules` must be a mapping of names to Lua files, not {}",
            yaml.kind()
        );
        problems.error(Code::InvalidValue, yaml.place, message);
        return BTreeMap::new();
    };
    let mut modules = BTreeMap::new();
    for entry in entries {
        if entry.key.is_empty() {
            let message = "the name of a module can't be empty";
            problems.error(Code::InvalidValue, entry.key_place, message);
        }
        let what = format!("the module `{}`", entry.key);
        if let Some(file) = string(&entry.value, &what, Code::InvalidValue, problems) {
            modules.insert(entry.key.clone(), LuaText::of_file(file));
        }
    }
    modules
}
