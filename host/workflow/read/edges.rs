//! `edges`: where a run goes next.

use super::shape::{find, get, mapping, string};
use crate::workflow::keys;
use crate::workflow::model::{Edge, Spanned, Way};
use crate::workflow::problem::{Code, Problems};
use crate::workflow::yaml::{Data, Entry, Yaml};

pub(super) fn read(edges: &Yaml, problems: &mut Problems) -> Vec<Edge> {
    match &edges.data {
        Data::List(items) => items
            .iter()
            .filter_map(|item| read_edge(item, problems))
            .collect(),
        Data::Null => Vec::new(),
        _ => {
            let message = format!("`edges` must be a list, not {}", edges.kind());
            problems.error(Code::InvalidEdges, edges.place, message);
            Vec::new()
        }
    }
}

fn read_edge(yaml: &Yaml, problems: &mut Problems) -> Option<Edge> {
    let edge = mapping(yaml, &keys::EDGE, Code::InvalidEdge, problems)?;
    keys::EDGE.check(edge, problems);
    let from = match get(edge, "from") {
        Some(from) => string(from, "`from`", Code::InvalidEdge, problems),
        None => {
            problems.error(Code::EdgeMissingFrom, yaml.place, "an edge needs `from`");
            None
        }
    };
    let way = way(yaml, edge, problems);
    Some(Edge {
        place: yaml.place,
        from: from?,
        way: way?,
    })
}

fn way(yaml: &Yaml, edge: &[Entry], problems: &mut Problems) -> Option<Way> {
    let is_parallel = match get(edge, "type").map(|kind| (kind.place, &kind.data)) {
        None => false,
        Some((_, Data::Text(kind))) if kind == "parallel" => true,
        Some((place, _)) => {
            let message = "`type` of an edge can only be `parallel`";
            problems.error(Code::InvalidEdge, place, message);
            return None;
        }
    };
    let to = match (find(edge, "to"), find(edge, "parallel")) {
        (None, None) => {
            // With `targets`, which is refused, there is no `to`.
            if find(edge, "targets").is_none() {
                let message = "an edge needs `to` or `parallel`";
                problems.error(Code::EdgeMissingTo, yaml.place, message);
            }
            return None;
        }
        (_, Some(parallel)) if matches!(parallel.value.data, Data::Bool(_)) => {
            let message = "`parallel: true` is not supported yet";
            problems
                .error(Code::NotSupported, parallel.key_place, message)
                .with_hint("list the branches: `parallel: [a, b]`");
            return None;
        }
        (Some(_), Some(parallel)) => {
            let message = "an edge has `to` or `parallel`, not both";
            problems.error(Code::InvalidEdge, parallel.key_place, message);
            return None;
        }
        (None, Some(parallel)) => {
            return Some(Way::Parallel {
                branches: branches(&parallel.value, problems)?,
                fan_in: fan_in(edge, problems)?,
            });
        }
        (Some(to), None) => &to.value,
    };
    if matches!(to.data, Data::List(_)) {
        problems
            .error(
                Code::NotSupported,
                to.place,
                "a list in `to` is not supported yet",
            )
            .with_hint("write it as `parallel: [a, b]`");
        return None;
    }
    let to = string(to, "`to`", Code::InvalidEdge, problems)?;
    if is_parallel {
        return Some(Way::Parallel {
            branches: vec![to],
            fan_in: fan_in(edge, problems)?,
        });
    }
    if let Some(fan_in) = find(edge, "fan_in") {
        let message = "`fan_in` means nothing on an edge that is not parallel";
        problems
            .error(Code::InvalidEdge, fan_in.key_place, message)
            .with_hint("add `type: parallel`");
        return None;
    }
    Some(Way::To(to))
}

fn branches(list: &Yaml, problems: &mut Problems) -> Option<Vec<Spanned<String>>> {
    let Data::List(items) = &list.data else {
        let message = format!("`parallel` must be a list of nodes, not {}", list.kind());
        problems.error(Code::InvalidEdge, list.place, message);
        return None;
    };
    if items.is_empty() {
        let message = "`parallel` needs at least one branch";
        problems.error(Code::InvalidEdge, list.place, message);
        return None;
    }
    let read = |item| string(item, "a branch", Code::InvalidEdge, problems);
    // All of them are looked at, even if the first one is no string.
    let branches: Vec<_> = items.iter().map(read).collect();
    branches.into_iter().collect()
}

/// The fan-in an edge names, if any; the outer `None` says that it is malformed.
#[expect(clippy::option_option, reason = "absent and malformed are different")]
fn fan_in(edge: &[Entry], problems: &mut Problems) -> Option<Option<Spanned<String>>> {
    match get(edge, "fan_in") {
        None => Some(None),
        Some(name) => string(name, "`fan_in`", Code::InvalidEdge, problems).map(Some),
    }
}
