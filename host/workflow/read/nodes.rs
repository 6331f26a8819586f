//! `nodes`: what runs.

use std::sync::Arc;

use super::shape::{find, get, mapping, only_lua, string};
use crate::workflow::keys;
use crate::workflow::model::{Node, Spanned};
use crate::workflow::problem::{Code, Problems};
use crate::workflow::yaml::{Data, Entry, Yaml};

pub(super) fn read(nodes: &Yaml, problems: &mut Problems) -> Vec<Node> {
    match &nodes.data {
        Data::List(items) if !items.is_empty() => items
            .iter()
            .filter_map(|item| read_node(item, problems))
            .collect(),
        Data::List(_) => {
            let message = "a workflow needs at least one node";
            problems.error(Code::InvalidNodes, nodes.place, message);
            Vec::new()
        }
        _ => {
            let message = format!("`nodes` must be a list, not {}", nodes.kind());
            problems.error(Code::InvalidNodes, nodes.place, message);
            Vec::new()
        }
    }
}

fn read_node(yaml: &Yaml, problems: &mut Problems) -> Option<Node> {
    let node = mapping(yaml, &keys::NODE, Code::InvalidNode, problems)?;
    match find(node, "type") {
        // Nothing else on such a node means what it means on the others.
        Some(kind) => {
            let message = match &kind.value.data {
                Data::Text(kind) => format!("a node of type `{kind}` is not supported yet"),
                _ => "`type` of a node is not supported yet".to_owned(),
            };
            problems.error(Code::NotSupported, kind.key_place, message);
        }
        None => keys::NODE.check(node, problems),
    }
    if let Some(language) = get(node, "language") {
        only_lua(language, problems);
    }
    let name = name(yaml, node, problems);
    let code = code(node, problems);
    let fan_in = is_fan_in(node, problems);
    Some(Node {
        name: name?,
        code,
        fan_in,
    })
}

fn name(yaml: &Yaml, node: &[Entry], problems: &mut Problems) -> Option<Spanned<Arc<str>>> {
    let Some(name) = get(node, "name") else {
        problems.error(Code::MissingNodeName, yaml.place, "a node needs a name");
        return None;
    };
    let name = string(name, "the name of a node", Code::InvalidNode, problems)?;
    if name.value.is_empty() {
        let message = "the name of a node can't be empty";
        problems.error(Code::InvalidNode, name.place, message);
        return None;
    }
    Some(Spanned {
        value: name.value.into(),
        place: name.place,
    })
}

/// The Lua source of a node: `run`, or its alias `script`.
fn code(node: &[Entry], problems: &mut Problems) -> Option<Spanned<String>> {
    let entry = match (find(node, "run"), find(node, "script")) {
        (Some(_), Some(script)) => {
            let message = "`script` is another word for `run`: a node has one of them";
            problems.error(Code::InvalidNode, script.key_place, message);
            return None;
        }
        (run, script) => run.or(script)?,
    };
    let what = format!("`{}`", entry.key);
    let Data::Mapping(run) = &entry.value.data else {
        return string(&entry.value, &what, Code::InvalidNode, problems);
    };
    keys::RUN.check(run, problems);
    if let Some(kind) = get(run, "type") {
        only_lua(kind, problems);
    }
    let Some(code) = get(run, "code") else {
        let message = format!("{what} needs `code`");
        problems.error(Code::MissingField, entry.value.place, message);
        return None;
    };
    string(code, "`code`", Code::InvalidNode, problems)
}

fn is_fan_in(node: &[Entry], problems: &mut Problems) -> bool {
    // On these nodes the key names another node; they are refused as a whole.
    if ["type", "strategy", "parallel_each"]
        .iter()
        .any(|key| find(node, key).is_some())
    {
        return false;
    }
    match get(node, "fan_in").map(|value| (value, &value.data)) {
        None => false,
        Some((_, Data::Bool(fan_in))) => *fan_in,
        Some((value, _)) => {
            let message = format!(
                "`fan_in` of a node must be true or false, not {}",
                value.kind()
            );
            problems.error(Code::InvalidNode, value.place, message);
            false
        }
    }
}
