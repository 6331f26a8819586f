//! `nodes`: what runs.

use std::sync::Arc;

use super::shape::{
    condition, decisive, find, get, mapping, missing, only_lua, some, string, text, whole,
};
use super::{dynamic, policy, work};
use crate::diagnostics::{Code, Problems};
use crate::workflow::load::keys::{self, Keys};
use crate::workflow::load::yaml::{Data, Entry, Yaml};
use crate::workflow::model::{Node, Rule, Spanned, Unread, WhileLoop, Work};

/// Bytes that the name of a node may have: names are repeated in events, reports, entries and
/// messages.
const MAX_NAME: usize = 256;

/// Reads all nodes, and notes what is known of those that something is wrong with.
pub(crate) fn read(nodes: &Yaml, problems: &mut Problems) -> (Vec<Node>, Unread) {
    let mut unread = Unread::default();
    let items = match &nodes.data {
        Data::List(items) if !items.is_empty() => items,
        Data::List(_) => {
            let message = "a workflow needs at least one node";
            problems.error(Code::InvalidNodes, nodes.place, message);
            unread.nameless = true;
            return (Vec::new(), unread);
        }
        _ => {
            let message = format!("`nodes` must be a list, not {}", nodes.kind());
            problems.error(Code::InvalidNodes, nodes.place, message);
            unread.nameless = true;
            return (Vec::new(), unread);
        }
    };
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        match read_node(item, problems) {
            Some(node) => read.push(node),
            None => match written_name(item) {
                Some(name) => unread.names.push(name),
                None => unread.nameless = true,
            },
        }
    }
    (read, unread)
}

/// What an entry of `nodes` goes by, whatever else is wrong with it.
fn written_name(yaml: &Yaml) -> Option<Spanned<Arc<str>>> {
    let name = match &yaml.data {
        Data::Mapping(node) => get(node, "name")?,
        _ => yaml,
    };
    let Data::Text(text) = &name.data else {
        return None;
    };
    Some(Spanned {
        value: text.as_str().into(),
        place: name.place,
    })
}

/// What kind of node it is, by the key that says so.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    While,
    Dynamic,
    Matrix,
    Each,
}

impl Kind {
    fn of(node: &[Entry], problems: &mut Problems) -> Option<Kind> {
        let mut decisive = |key| decisive(node, &keys::NODE, key, problems);
        let (kind, matrix, each) = (
            decisive("type").map(|entry| &entry.value),
            decisive("strategy"),
            decisive("parallel_each"),
        );
        if let Some(kind) = kind.filter(|kind| kind.data != Data::Null) {
            return match &kind.data {
                Data::Text(word) if word == "while_loop" => Some(Kind::While),
                Data::Text(word) if word == "dynamic_parallel" => Some(Kind::Dynamic),
                Data::Text(word) => {
                    let message = format!(
                        "there is no type of node `{word}`; there are `while_loop` and \
                         `dynamic_parallel`"
                    );
                    problems.error(Code::InvalidNode, kind.place, message);
                    None
                }
                _ => {
                    let message = format!("`type` must be a string, not {}", kind.kind());
                    problems.error(Code::InvalidNode, kind.place, message);
                    None
                }
            };
        }
        Some(match (matrix, each) {
            (Some(_), Some(each)) => {
                let message = "a node has `strategy` or `parallel_each`, not both";
                problems.error(Code::InvalidNode, each.key_place, message);
                return None;
            }
            (Some(_), None) => Kind::Matrix,
            (None, Some(_)) => Kind::Each,
            (None, None) => Kind::Plain,
        })
    }

    fn keys(self) -> &'static Keys {
        match self {
            Kind::Plain => &keys::NODE,
            Kind::While => &keys::WHILE,
            Kind::Dynamic => &keys::DYNAMIC,
            Kind::Matrix => &keys::MATRIX,
            Kind::Each => &keys::EACH,
        }
    }
}

fn read_node(yaml: &Yaml, problems: &mut Problems) -> Option<Node> {
    let node = mapping(yaml, &keys::NODE, Code::InvalidNode, problems)?;
    let kind = Kind::of(node, problems);
    if let Some(kind) = kind {
        kind.keys().check(node, problems);
    }
    if let Some(language) = get(node, "language") {
        only_lua(language, problems);
    }
    let name = name(yaml, node, problems);
    let description = text(node, "description", problems);
    let work = match kind {
        None => None,
        Some(Kind::Plain) => {
            refuse_output(node, problems);
            work::read(node, problems)
        }
        Some(Kind::While) => while_loop(yaml, node, problems),
        Some(Kind::Dynamic) => dynamic::dynamic(yaml, node, problems),
        Some(Kind::Matrix) => dynamic::matrix(yaml, node, problems),
        Some(Kind::Each) => dynamic::parallel_each(yaml, node, problems),
    };
    let goto = goto(node, problems);
    let fan_in = kind == Some(Kind::Plain) && is_fan_in(node, problems);
    let (interrupt_before, interrupt_after) = interrupt(node, problems);
    let policy = policy::read(node, problems);
    Some(Node {
        name: name?,
        description,
        work: work?,
        goto,
        fan_in,
        interrupt_before,
        interrupt_after,
        policy,
    })
}

/// The nodes of a loop's body, or steps: they follow each other, and need no names.
pub(crate) fn read_steps(yaml: &Yaml, key: &str, problems: &mut Problems) -> Option<Vec<Node>> {
    let items = match &yaml.data {
        Data::List(items) if !items.is_empty() => items,
        _ => {
            let message = format!("`{key}` must be a list with at least one node");
            problems.error(Code::InvalidNode, yaml.place, message);
            return None;
        }
    };
    let steps: Vec<_> = items
        .iter()
        .enumerate()
        .map(|(index, item)| read_step(item, index, problems))
        .collect();
    steps.into_iter().collect()
}

fn read_step(yaml: &Yaml, index: usize, problems: &mut Problems) -> Option<Node> {
    let node = mapping(yaml, &keys::STEP, Code::InvalidNode, problems)?;
    if let Some(kind) = find(node, "type") {
        let message = match &kind.value.data {
            Data::Text(word) if word == "while_loop" => "a while_loop can't be inside of another \
                                                         node"
                .to_owned(),
            _ => "a step can't be of another type than a plain node".to_owned(),
        };
        problems.error(Code::InvalidNode, kind.key_place, message);
        return None;
    }
    keys::STEP.check(node, problems);
    if let Some(language) = get(node, "language") {
        only_lua(language, problems);
    }
    let name = match some(node, "name") {
        Some(_) => name(yaml, node, problems),
        None => Some(Spanned {
            value: format!("step {}", index + 1).into(),
            place: yaml.place,
        }),
    };
    refuse_output(node, problems);
    let description = text(node, "description", problems);
    let work = work::read(node, problems);
    let policy = policy::read(node, problems);
    Some(Node {
        name: name?,
        description,
        work: work?,
        goto: Vec::new(),
        fan_in: false,
        interrupt_before: false,
        interrupt_after: false,
        policy,
    })
}

fn name(yaml: &Yaml, node: &[Entry], problems: &mut Problems) -> Option<Spanned<Arc<str>>> {
    let Some(name) = get(node, "name") else {
        let message = "a node needs a name";
        let code = Code::MissingNodeName;
        missing(node, &["name"], code, yaml.place, message, problems);
        return None;
    };
    let name = string(name, "the name of a node", Code::InvalidNode, problems)?;
    if name.value.is_empty() {
        let message = "the name of a node can't be empty";
        problems.error(Code::InvalidNode, name.place, message);
        return None;
    }
    if name.value.len() > MAX_NAME {
        let message = format!(
            "the name of a node has {} bytes, and at most {MAX_NAME} are allowed",
            name.value.len()
        );
        problems.error(Code::InvalidNode, name.place, message);
        return None;
    }
    Some(Spanned {
        value: name.value.into(),
        place: name.place,
    })
}

/// What Lua returns names its keys itself: `output` says something for host functions alone.
fn refuse_output(node: &[Entry], problems: &mut Problems) {
    if find(node, "uses").is_some() || find(node, "action").is_some() {
        return;
    }
    if let Some(output) = find(node, "output") {
        let message = "`output` of a node without `uses` has no effect here";
        problems.warning(Code::IgnoredKey, output.key_place, message);
    }
}

fn while_loop(yaml: &Yaml, node: &[Entry], problems: &mut Problems) -> Option<Work> {
    let missing = |key: &'static str, problems: &mut Problems| {
        let message = format!("a while_loop needs `{key}`");
        missing(
            node,
            &[key],
            Code::InvalidLoop,
            yaml.place,
            &message,
            problems,
        );
    };
    let until = match some(node, "condition") {
        Some(yaml) => condition(yaml, "`condition`", problems),
        None => {
            missing("condition", problems);
            None
        }
    };
    let most = match some(node, "max_iterations") {
        Some(_) => whole(node, "max_iterations", 1..=1000, problems),
        None => {
            missing("max_iterations", problems);
            None
        }
    };
    let body = match some(node, "body") {
        Some(yaml) => read_steps(yaml, "body", problems),
        None => {
            missing("body", problems);
            None
        }
    };
    Some(Work::Loop(WhileLoop {
        condition: until?,
        max_iterations: usize::try_from(most?).ok()?,
        body: body?,
    }))
}

fn goto(node: &[Entry], problems: &mut Problems) -> Vec<Rule> {
    match some(node, "goto").map(|yaml| (yaml, &yaml.data)) {
        None => Vec::new(),
        Some((yaml, Data::Text(_))) => string(yaml, "`goto`", Code::InvalidNode, problems)
            .map(|to| Rule {
                place: yaml.place,
                condition: None,
                to,
            })
            .into_iter()
            .collect(),
        Some((_, Data::List(rules))) => {
            let rules: Vec<Rule> = rules
                .iter()
                .filter_map(|yaml| rule(yaml, problems))
                .collect();
            let last = rules.iter().position(|rule| rule.condition.is_none());
            if let Some(last) = last
                && let Some(never) = rules.get(last + 1)
            {
                let message = "no run comes to this rule: the one before it has no `if`";
                problems.error(Code::InvalidNode, never.place, message);
            }
            rules
        }
        Some((yaml, _)) => {
            let message = format!(
                "`goto` must be the name of a node or a list of rules, not {}",
                yaml.kind()
            );
            problems.error(Code::InvalidNode, yaml.place, message);
            Vec::new()
        }
    }
}

fn rule(yaml: &Yaml, problems: &mut Problems) -> Option<Rule> {
    let rule = mapping(yaml, &keys::RULE, Code::InvalidNode, problems)?;
    keys::RULE.check(rule, problems);
    let condition = one_of(rule, ["if", "when"], problems)
        .filter(|entry| entry.value.data != Data::Null)
        .map(|entry| condition(&entry.value, &format!("`{}`", entry.key), problems));
    let to = match one_of(rule, ["to", "then"], problems) {
        Some(to) => string(
            &to.value,
            &format!("`{}`", to.key),
            Code::InvalidNode,
            problems,
        ),
        None => {
            let message = "a rule of `goto` needs `to`";
            missing(
                rule,
                &["to"],
                Code::MissingField,
                yaml.place,
                message,
                problems,
            );
            None
        }
    };
    let condition = match condition {
        Some(condition) => Some(Arc::new(condition?.value)),
        None => None,
    };
    Some(Rule {
        place: yaml.place,
        condition,
        to: to?,
    })
}

/// The entry under a key, or under another word for it.
fn one_of<'y>(
    rule: &'y [Entry],
    [key, other]: [&str; 2],
    problems: &mut Problems,
) -> Option<&'y Entry> {
    let (own, alias) = (find(rule, key), find(rule, other));
    if let (Some(_), Some(alias)) = (own, alias) {
        let message = format!("`{other}` is another word for `{key}`: a rule has one of them");
        problems.error(Code::InvalidNode, alias.key_place, message);
    }
    own.or(alias)
}

fn interrupt(node: &[Entry], problems: &mut Problems) -> (bool, bool) {
    let Some(yaml) = some(node, "interrupt") else {
        return (false, false);
    };
    match &yaml.data {
        Data::Text(word) if word == "before" => (true, false),
        Data::Text(word) if word == "after" => (false, true),
        _ => {
            let message = "`interrupt` of a node is `before` or `after`";
            problems.error(Code::InvalidNode, yaml.place, message);
            (false, false)
        }
    }
}

fn is_fan_in(node: &[Entry], problems: &mut Problems) -> bool {
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
