//! `nodes`: what runs.

use super::super::keys;
use super::super::model::{Node, Spanned};
use super::super::problem::{Code, Problems};
use super::super::yaml::{Data, Entry, Yaml};
use super::shape::{find, get, mapping, only_lua, string};

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
    let Some(name) = get(node, "name") else {
        problems.error(Code::MissingNodeName, yaml.place, "a node needs a name");
        return None;
    };
    let name = string(name, "the name of a node", Code::InvalidNode, problems)?;
    if let Some(language) = get(node, "language") {
        only_lua(language, problems);
    }
    Some(Node {
        code: code(node, problems),
        fan_in: is_fan_in(node, problems),
        name: Spanned {
            value: name.value.into(),
            place: name.place,
        },
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
