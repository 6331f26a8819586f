//! Names in conditions and templates that stand for nothing.
//!
//! What a workflow's nodes write isn't known before they run. What can be known is which names
//! occur anywhere that could write them: in `initial_state` and `state_schema`, under `output`,
//! in the Lua. A name that is nowhere there is probably a slip; keys that come with the input
//! and are used by their bare names belong into `state_schema`. Where something may write keys that
//! are written out nowhere, such as the result of a host function, nothing is said, unless
//! `settings.strict` asks for all names to be known.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diagnostics::{Code, Place, Problem, Problems};
use crate::workflow::expression::{Names, root};
use crate::workflow::load::words::Words;
use crate::workflow::model::{Each, Items, LuaText, Model, Node, Work};
use crate::workflow::outside::{Origin, Used};
use crate::workflow::parts;

/// Keys that any run may find in its state.
const ALWAYS: [&str; 6] = [
    "__error__",
    "item",
    "item_index",
    "matrix",
    "parallel_results",
    "result",
];

/// Names that aren't keys of the state.
const ROOTS: [&str; 4] = ["state", "variables", "secrets", "env"];

/// Python's methods of mappings: `state.get('k')` names no key.
const METHODS: [&str; 5] = ["get", "items", "keys", "values", "update"];

/// Reports names of a workflow, and of the subgraphs in it, that nothing writes: warnings, and
/// errors where `settings.strict` says so. Returns where secrets and environment variables are
/// used; whether they are granted is for a run to find out.
pub(crate) fn check(model: &Model, problems: &mut Problems) -> Vec<Used> {
    let models = parts::of(model).into_iter().map(|part| part.model);
    let models: Vec<&Model> = models.collect();
    // What one of them writes, another may see.
    let mut known = Known::default();
    models.iter().for_each(|model| known.add(model));
    known.is_open |= known.lua.are_open();
    known.keys.append(&mut known.lua.all);
    let mut used = Vec::new();
    for model in models {
        let mut check = Check {
            model,
            known: &known,
            used: &mut used,
            problems,
        };
        check.all();
    }
    used
}

/// What may be written.
#[derive(Default)]
struct Known {
    keys: BTreeSet<String>,
    /// Whether anything may write keys that can't be known: a host function, Lua that returns
    /// what was JSON text.
    is_open: bool,
    lua: Words,
}

impl Known {
    fn add(&mut self, model: &Model) {
        self.keys.extend(ALWAYS.map(str::to_owned));
        self.keys.extend(model.initial_state.keys().cloned());
        self.keys.extend(model.schema.names().map(str::to_owned));
        for source in model.prelude.iter().chain(model.modules.values()) {
            self.add_lua(source);
        }
        model
            .nodes
            .iter()
            .for_each(|node| self.add_work(&node.work));
    }

    fn add_work(&mut self, work: &Work) {
        match work {
            Work::Nothing => {}
            Work::Lua(source) => self.add_lua(source),
            Work::Expression(expression) => {
                self.keys.insert(expression.output.clone());
            }
            Work::Call(call) => match &call.output {
                Some(output) => {
                    self.keys.insert(output.clone());
                }
                None => self.is_open = true,
            },
            Work::Steps(steps) => steps.iter().for_each(|step| self.add_work(&step.work)),
            Work::Loop(repeated) => {
                let body = repeated.body.iter();
                body.for_each(|node| self.add_work(&node.work));
            }
            Work::Each(each) => self.add_each(each),
            Work::Subgraph(_) => {}
        }
    }

    fn add_each(&mut self, each: &Each) {
        if let Items::Dynamic {
            item_var,
            index_var,
            ..
        } = &each.items
        {
            self.keys.extend([item_var.clone(), index_var.clone()]);
        }
        self.keys.extend(each.output.clone());
        self.add_work(&each.body);
    }

    /// Every word of some Lua: whatever it writes is among them, as a rule.
    fn add_lua(&mut self, source: &LuaText) {
        self.lua.add(&String::from_utf8_lossy(&source.text));
    }
}

struct Check<'c> {
    model: &'c Model,
    known: &'c Known,
    used: &'c mut Vec<Used>,
    problems: &'c mut Problems,
}

/// What becomes of the value of a template.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It decides something, or is given to a host function.
    Used,
    /// It may get into the state.
    Kept,
}

impl Check<'_> {
    fn all(&mut self) {
        let model = self.model;
        for node in &model.nodes {
            self.node(node);
        }
        for edge in &model.edges {
            if let Some(condition) = &edge.condition {
                self.names(&condition.names(), edge.place, Fate::Used);
            }
        }
    }

    fn node(&mut self, node: &Node) {
        for rule in &node.goto {
            if let Some(condition) = &rule.condition {
                self.names(&condition.names(), rule.place, Fate::Used);
            }
        }
        self.work(&node.work);
    }

    fn work(&mut self, work: &Work) {
        match work {
            Work::Nothing | Work::Lua(_) => {}
            Work::Expression(expression) => {
                let value = &expression.value;
                self.names(&value.value.names(), value.place, Fate::Kept);
            }
            Work::Call(call) => {
                if let Some(with) = &call.with {
                    self.names(&with.value.names(), with.place, Fate::Used);
                }
            }
            Work::Steps(steps) => steps.iter().for_each(|step| self.work(&step.work)),
            Work::Loop(repeated) => {
                let condition = &repeated.condition;
                self.names(&condition.value.names(), condition.place, Fate::Used);
                repeated.body.iter().for_each(|node| self.work(&node.work));
            }
            Work::Each(each) => {
                let items = match &each.items {
                    Items::Dynamic { items, .. } | Items::List(items) => vec![items],
                    Items::Matrix(matrix) => {
                        let axes = matrix.axes.iter().map(|(_, values)| values);
                        axes.chain(&matrix.include).chain(&matrix.exclude).collect()
                    }
                };
                for template in items.into_iter().chain(&each.max_concurrency) {
                    self.names(&template.value.names(), template.place, Fate::Kept);
                }
                self.work(&each.body);
            }
            Work::Subgraph(subgraph) => {
                if let Some(input) = &subgraph.input {
                    self.names(&input.value.names(), input.place, Fate::Kept);
                }
            }
        }
    }

    fn names(&mut self, names: &Names, place: Place, fate: Fate) {
        for name in names {
            let (root, key) = (root(name), name.split('.').nth(1));
            if let Some(origin) = Origin::named(root) {
                self.outside(origin, key, place, fate);
                continue;
            }
            match (root, key) {
                ("state", Some(key)) => self.key_of_state(key, place),
                ("variables", Some(key)) => self.variable(key, place),
                _ if ROOTS.contains(&root) => {}
                _ => self.root(root, place),
            }
        }
    }

    fn outside(&mut self, origin: Origin, name: Option<&str>, place: Place, fate: Fate) {
        if fate == Fate::Kept {
            let message = format!(
                "`{origin}` can't be used here, where it would get into the state: give it to a \
                 host function, by `with`"
            );
            self.problems.error(Code::InvalidTemplate, place, message);
            return;
        }
        let name = name.filter(|name| !METHODS.contains(name));
        self.used.push(Used {
            origin,
            name: name.map(str::to_owned),
            place,
        });
    }

    /// A key that is named as `state.key`: it may come with the input, unless a schema says what
    /// the state has.
    fn key_of_state(&mut self, key: &str, place: Place) {
        let declares = self.model.schema.names().next().is_some();
        if !declares
            || METHODS.contains(&key)
            || self.known.keys.contains(key)
            || self.may_be_written()
        {
            return;
        }
        let candidates = self.known.keys.iter().map(String::as_str);
        let hint = match self.problems.suggestions().nearest(key, candidates) {
            Some(nearest) => format!("did you mean `state.{nearest}`?"),
            None => self.declare(key),
        };
        let message =
            format!("nothing here writes `state.{key}`, and `state_schema` doesn't have it");
        self.report(place, message).with_hint(hint);
    }

    fn variable(&mut self, name: &str, place: Place) {
        let variables = Arc::clone(&self.model.variables);
        if METHODS.contains(&name) || variables.contains_key(name) {
            return;
        }
        let known = variables.keys().map(String::as_str);
        let hint = self.problems.suggestions().hint_or_list(name, known);
        let problem = self.report(place, format!("there is no variable `{name}`"));
        if let Some(hint) = hint {
            problem.with_hint(hint);
        }
    }

    /// A bare name, which is one of [`ROOTS`] or a key of the state.
    fn root(&mut self, name: &str, place: Place) {
        if self.known.keys.contains(name) || self.may_be_written() {
            return;
        }
        let keys = self.known.keys.iter().map(String::as_str);
        let nearest = self
            .problems
            .suggestions()
            .nearest(name, ROOTS.into_iter().chain(keys));
        let hint = match nearest {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => self.declare(name),
        };
        let message =
            format!("`{name}` is no variable, and no key of the state that anything here writes");
        self.report(place, message).with_hint(hint);
    }

    /// Whether a name that nothing is known to write may be a key all the same, as far as this
    /// workflow cares.
    fn may_be_written(&self) -> bool {
        self.known.is_open && !self.model.settings.strict
    }

    /// What to do about a name that is like none.
    fn declare(&self, name: &str) -> String {
        let comes = match self.known.is_open {
            true => "if it comes with the input, or from a host function",
            false => "if it comes with the input",
        };
        format!("{comes}, declare `{name}` in `state_schema`")
    }

    fn report(&mut self, place: Place, message: String) -> &mut Problem {
        match self.model.settings.strict {
            true => self.problems.error(Code::UnknownName, place, message),
            false => self.problems.warning(Code::UnknownName, place, message),
        }
    }
}
