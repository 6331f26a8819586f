//! `edges`: where a run goes next.

use std::sync::Arc;

use super::shape::{condition, decisive, find, get, mapping, missing, some, string};
use super::together::together;
use crate::diagnostics::{Code, Problems};
use crate::workflow::expression::Condition;
use crate::workflow::load::keys;
use crate::workflow::load::yaml::{Data, Entry, Yaml};
use crate::workflow::model::{END, Edge, START, Spanned, Way};

pub(crate) fn read(edges: &Yaml, problems: &mut Problems) -> Vec<Edge> {
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
    let kind = kind(edge, problems)?;
    let from = from(yaml, edge, kind, problems);
    let has_targets = find(edge, "targets").is_some();
    let condition = when(edge, has_targets, problems);
    let way = if has_targets {
        targets(edge, kind, problems)
    } else {
        way(yaml, edge, kind, problems)
    };
    let condition = match condition? {
        // What targets are looked up by, where nothing is said.
        None if has_targets => Condition::parse("state.result").ok().map(Arc::new),
        condition => condition,
    };
    Some(Edge {
        place: yaml.place,
        from: from?,
        condition,
        way: way?,
    })
}

/// `type` of an edge.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Parallel,
    /// From the start of the run.
    Entry,
    /// To its end.
    Finish,
}

fn kind(edge: &[Entry], problems: &mut Problems) -> Option<Kind> {
    const KINDS: [(&str, Kind); 5] = [
        ("normal", Kind::Plain),
        ("conditional", Kind::Plain),
        ("parallel", Kind::Parallel),
        ("entry", Kind::Entry),
        ("finish", Kind::Finish),
    ];
    let kind = decisive(edge, &keys::EDGE, "type", problems).map(|entry| &entry.value);
    let Some(yaml) = kind.filter(|yaml| yaml.data != Data::Null) else {
        return Some(Kind::Plain);
    };
    let word = string(yaml, "`type`", Code::InvalidEdge, problems)?;
    if let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == word.value) {
        return Some(*kind);
    }
    let hint = problems
        .suggestions()
        .hint(&word.value, KINDS.map(|(known, _)| known));
    let message = "`type` of an edge can be `parallel`, `entry`, `finish` or `normal`";
    let problem = problems.error(Code::InvalidEdge, word.place, message);
    if let Some(hint) = hint {
        problem.with_hint(hint);
    }
    None
}

fn from(
    yaml: &Yaml,
    edge: &[Entry],
    kind: Kind,
    problems: &mut Problems,
) -> Option<Spanned<String>> {
    let start = Spanned {
        value: START.to_owned(),
        place: yaml.place,
    };
    let Some(from) = get(edge, "from") else {
        if kind == Kind::Entry {
            return Some(start);
        }
        let message = "an edge needs `from`";
        let code = Code::EdgeMissingFrom;
        missing(edge, &["from"], code, yaml.place, message, problems);
        return None;
    };
    let from = string(from, "`from`", Code::InvalidEdge, problems)?;
    if kind == Kind::Entry && from.value != START {
        let message = format!(
            "an edge of `type: entry` comes from `{START}`, not from `{}`",
            from.value
        );
        problems.error(Code::InvalidEdge, from.place, message);
        return None;
    }
    Some(from)
}

/// The condition of an edge, if it has one; the outer `None` says that it is malformed.
#[expect(clippy::option_option, reason = "absent and malformed are different")]
fn when(
    edge: &[Entry],
    has_targets: bool,
    problems: &mut Problems,
) -> Option<Option<Arc<Condition>>> {
    let (entry, expected) = match (find(edge, "when"), find(edge, "condition")) {
        (None, None) => return Some(None),
        (Some(entry), None) | (None, Some(entry)) => (entry, None),
        // An expression under `condition`, and under `when` the value that it is to have.
        (Some(when), Some(condition)) if matches!(when.value.data, Data::Bool(_)) => {
            (condition, Some(when.value.data == Data::Bool(true)))
        }
        (Some(when), Some(_)) => {
            let message = "`condition` is another word for `when`: an edge has one of them";
            problems.error(Code::InvalidEdge, when.key_place, message);
            return None;
        }
    };
    let what = format!("`{}`", entry.key);
    let yaml = match &entry.value.data {
        Data::Mapping(inside) => {
            keys::CONDITION.check(inside, problems);
            if let Some(kind) = some(inside, "type")
                && kind.data != Data::Text("expression".to_owned())
            {
                let message = "the `type` of a condition can only be `expression`";
                problems.error(Code::InvalidCondition, kind.place, message);
                return None;
            }
            match some(inside, "value") {
                Some(value) => value,
                None => {
                    let message = "a condition needs `value`";
                    let place = entry.value.place;
                    missing(
                        inside,
                        &["value"],
                        Code::MissingField,
                        place,
                        message,
                        problems,
                    );
                    return None;
                }
            }
        }
        _ => &entry.value,
    };
    let condition = condition(yaml, &what, problems)?;
    let condition = match expected {
        Some(false) if !has_targets => {
            let negated = format!("not ({})", condition.value.source());
            Condition::parse(&negated).ok()?
        }
        _ => condition.value,
    };
    Some(Some(Arc::new(condition)))
}

fn targets(edge: &[Entry], kind: Kind, problems: &mut Problems) -> Option<Way> {
    if let (Kind::Parallel | Kind::Finish, Some(entry)) = (kind, find(edge, "type")) {
        let message = "an edge with `targets` leads to one node, and where its result says";
        problems.error(Code::InvalidEdge, entry.key_place, message);
        return None;
    }
    for other in [
        "to", "parallel", "fan_in", "merge", "until", "reduce", "collect",
    ] {
        if let Some(entry) = find(edge, other) {
            let message = format!("an edge with `targets` has no `{other}`");
            problems.error(Code::InvalidEdge, entry.key_place, message);
            return None;
        }
    }
    let yaml = get(edge, "targets")?;
    let Data::Mapping(entries) = &yaml.data else {
        let message = format!(
            "`targets` must be a mapping of results to nodes, not {}",
            yaml.kind()
        );
        problems.error(Code::InvalidEdge, yaml.place, message);
        return None;
    };
    if entries.is_empty() {
        let message = "`targets` needs at least one result and its node";
        problems.error(Code::InvalidEdge, yaml.place, message);
        return None;
    }
    let mut read = |entry: &Entry| {
        let to = string(&entry.value, "a target", Code::InvalidEdge, problems)?;
        Some((entry.key.clone(), to))
    };
    let targets: Vec<_> = entries.iter().map(&mut read).collect();
    targets.into_iter().collect::<Option<_>>().map(Way::Targets)
}

fn way(yaml: &Yaml, edge: &[Entry], kind: Kind, problems: &mut Problems) -> Option<Way> {
    if kind == Kind::Finish && find(edge, "to").is_none() && find(edge, "parallel").is_none() {
        let place = yaml.place;
        let value = END.to_owned();
        return Some(Way::To(Spanned { value, place }));
    }
    let mut is_parallel = kind == Kind::Parallel;
    let parallel = find(edge, "parallel");
    if let Some(entry) = parallel
        && let Data::Bool(parallel) = entry.value.data
    {
        is_parallel |= parallel;
    }
    let list = parallel.filter(|entry| !matches!(entry.value.data, Data::Bool(_)));
    let to = match (find(edge, "to"), list) {
        (None, None) => {
            let message = "an edge needs `to` or `parallel`";
            let code = Code::EdgeMissingTo;
            missing(
                edge,
                &["to", "parallel", "targets"],
                code,
                yaml.place,
                message,
                problems,
            );
            return None;
        }
        (Some(_), Some(parallel)) => {
            let message = "an edge has `to` or `parallel`, not both";
            problems.error(Code::InvalidEdge, parallel.key_place, message);
            return None;
        }
        (None, Some(parallel)) => {
            let branches = branches(&parallel.value, "parallel", problems);
            let fan_in = fan_in(edge, problems);
            return Some(Way::Parallel {
                branches: branches?,
                fan_in: fan_in?,
                together: together(edge, problems),
            });
        }
        (Some(to), None) => &to.value,
    };
    if let Data::List(_) = to.data {
        let branches = branches(to, "to", problems);
        let fan_in = fan_in(edge, problems);
        return Some(Way::Parallel {
            branches: branches?,
            fan_in: fan_in?,
            together: together(edge, problems),
        });
    }
    let to = string(to, "`to`", Code::InvalidEdge, problems);
    if let (Kind::Finish, Some(to)) = (kind, &to)
        && to.value != END
    {
        let message = format!(
            "an edge of `type: finish` leads to `{END}`, not to `{}`",
            to.value
        );
        problems.error(Code::InvalidEdge, to.place, message);
        return None;
    }
    if is_parallel {
        let fan_in = fan_in(edge, problems);
        return Some(Way::Parallel {
            branches: vec![to?],
            fan_in: fan_in?,
            together: together(edge, problems),
        });
    }
    for key in ["fan_in", "merge", "until", "reduce", "collect"] {
        if let Some(entry) = find(edge, key) {
            let message = format!("`{key}` means nothing on an edge that is not parallel");
            problems
                .error(Code::InvalidEdge, entry.key_place, message)
                .with_hint("add `type: parallel`");
            return None;
        }
    }
    to.map(Way::To)
}

fn branches(list: &Yaml, key: &str, problems: &mut Problems) -> Option<Vec<Spanned<String>>> {
    let Data::List(items) = &list.data else {
        let message = format!("`{key}` must be a list of nodes, not {}", list.kind());
        problems.error(Code::InvalidEdge, list.place, message);
        return None;
    };
    if items.is_empty() {
        let message = format!("`{key}` needs at least one branch");
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
