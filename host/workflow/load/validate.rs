//! Whether the names in a workflow lead anywhere.

use std::collections::HashMap;

use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::model::{END, Model, Node, START, Spanned, Way, Work};

/// Reports names that are taken twice or reserved, and ways from or to nothing.
pub(crate) fn validate(model: &Model, problems: &mut Problems) {
    let mut names = Names::default();
    for node in &model.nodes {
        names.add(&node.name.value, node.name.place, problems);
    }
    for name in &model.unread.names {
        names.add(&name.value, name.place, problems);
    }
    // A node whose name isn't known may be the one that is meant.
    names.all_known = !model.unread.nameless;
    for node in &model.nodes {
        names.check_node(node, problems);
    }
    for edge in &model.edges {
        if edge.from.value != START {
            let what = "an edge from";
            names.check(&edge.from, Code::EdgeFromUndefined, what, problems);
        }
        match &edge.way {
            Way::To(to) => names.check_way(to, Code::EdgeToUndefined, "an edge to", problems),
            Way::Targets(targets) => {
                for (_, to) in targets {
                    names.check_way(to, Code::EdgeToUndefined, "a target", problems);
                }
            }
            Way::Parallel {
                branches, fan_in, ..
            } => {
                for branch in branches {
                    names.check(branch, Code::EdgeToUndefined, "an edge to", problems);
                }
                if let Some(fan_in) = fan_in {
                    let what = "an edge with fan-in";
                    names.check(fan_in, Code::FanInUndefined, what, problems);
                }
            }
        }
    }
    let config = &model.config;
    for name in config
        .interrupt_before
        .iter()
        .chain(&config.interrupt_after)
    {
        names.check(name, Code::InterruptUndefined, "an interrupt at", problems);
    }
}

/// The names of all nodes, and where each was given first.
#[derive(Default)]
struct Names<'m> {
    places: HashMap<&'m str, Place>,
    all_known: bool,
}

impl<'m> Names<'m> {
    fn add(&mut self, name: &'m str, place: Place, problems: &mut Problems) {
        if name == START || name == END {
            let message = format!("`{name}` can't be the name of a node");
            problems.error(Code::InvalidNode, place, message);
        } else if let Some(first) = self.places.get(name) {
            let message = format!("there is a node `{name}` already, at {first}");
            problems.error(Code::DuplicateNode, place, message);
        } else {
            self.places.insert(name, place);
        }
    }

    fn check_node(&self, node: &Node, problems: &mut Problems) {
        for rule in &node.goto {
            self.check_way(&rule.to, Code::GotoUndefined, "`goto` leads to", problems);
        }
        if let Some(fallback) = node.fallback() {
            self.check_way(
                fallback,
                Code::GotoUndefined,
                "`fallback` leads to",
                problems,
            );
        }
        if let Work::Each(each) = &node.work
            && let Some(fan_in) = &each.fan_in
        {
            self.check(
                fan_in,
                Code::DynamicFanInUndefined,
                "the fan-in is",
                problems,
            );
        }
    }

    /// Checks a name that may also be the end.
    fn check_way(&self, to: &Spanned<String>, code: Code, what: &str, problems: &mut Problems) {
        if to.value != END {
            self.check(to, code, what, problems);
        }
    }

    fn check(&self, name: &Spanned<String>, code: Code, what: &str, problems: &mut Problems) {
        let is_special = [START, END].contains(&name.value.as_str());
        if self.places.contains_key(name.value.as_str()) || !self.all_known && !is_special {
            return;
        }
        let message = match name.value.as_str() {
            special @ (START | END) => format!("{what} `{special}`, which is no node"),
            missing => format!("{what} `{missing}`, but there is no such node"),
        };
        let known = self.places.keys().copied();
        let hint = problems.suggestions().hint(&name.value, known);
        let problem = problems.error(code, name.place, message);
        if let Some(hint) = hint {
            problem.with_hint(hint);
        }
    }
}
