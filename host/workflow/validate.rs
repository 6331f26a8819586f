//! Whether the names in a workflow lead anywhere.

use std::collections::HashMap;

use super::model::{END, Model, START, Spanned, Way};
use super::problem::{Code, Place, Problems};

/// Reports names that are taken twice or reserved, and edges from or to nothing.
pub(super) fn validate(model: &Model, problems: &mut Problems) {
    let mut names = Names::default();
    for node in &model.nodes {
        names.add(&node.name.value, node.name.place, problems);
    }
    for edge in &model.edges {
        if edge.from.value != START {
            names.check(&edge.from, Code::EdgeFromUndefined, "from", problems);
        }
        match &edge.way {
            Way::To(to) if to.value == END => {}
            Way::To(to) => names.check(to, Code::EdgeToUndefined, "to", problems),
            Way::Parallel { branches, fan_in } => {
                for branch in branches {
                    names.check(branch, Code::EdgeToUndefined, "to", problems);
                }
                if let Some(fan_in) = fan_in {
                    names.check(fan_in, Code::FanInUndefined, "with fan-in", problems);
                }
            }
        }
    }
}

/// The names of all nodes, and where each was given first.
#[derive(Default)]
struct Names<'m> {
    places: HashMap<&'m str, Place>,
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

    fn check(&self, name: &Spanned<String>, code: Code, end: &str, problems: &mut Problems) {
        if self.places.contains_key(name.value.as_str()) {
            return;
        }
        let message = match name.value.as_str() {
            special @ (START | END) => format!("no edge can lead {end} `{special}` here"),
            missing => format!("an edge {end} `{missing}`, but there is no such node"),
        };
        let problem = problems.error(code, name.place, message);
        if let Some(nearest) = self.nearest(&name.value) {
            problem.with_hint(format!("did you mean `{nearest}`?"));
        }
    }

    fn nearest(&self, name: &str) -> Option<&'m str> {
        super::keys::nearest(name, self.places.keys().copied())
    }
}
