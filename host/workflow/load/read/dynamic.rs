//! Nodes that fan out at run time: `dynamic_parallel`, `strategy: {matrix}`, `parallel_each`.

use std::sync::Arc;
use std::time::Duration;

use super::shape::{boolean, duration, find, get, missing, section, some, string, template, word};
use super::together::{check, collect, merge, reduce, until};
use super::work;
use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::expression::Template;
use crate::workflow::load::keys;
use crate::workflow::load::yaml::{Data, Entry, Yaml};
use crate::workflow::model::{
    Each, Items, Matrix, Model, Reducers, Spanned, Subgraph, Together, Work,
};

/// `type: dynamic_parallel`.
pub(crate) fn dynamic(yaml: &Yaml, node: &[Entry], problems: &mut Problems) -> Option<Work> {
    let body = body(yaml.place, node, problems);
    let items = match some(node, "items") {
        Some(items) => spanned(items, problems),
        None => {
            let message = "a dynamic_parallel needs `items`, a list or a template that gives one";
            let code = Code::DynamicMissingItems;
            missing(node, &["items"], code, yaml.place, message, problems);
            None
        }
    };
    let name = |key: &str, default: &str, problems: &mut Problems| {
        word(node, key, Code::InvalidNode, problems)
            .map_or_else(|| default.to_owned(), |word| word.value)
    };
    let item_var = name("item_var", "item", problems);
    let index_var = name("index_var", "index", problems);
    let names = [item_var.as_str(), index_var.as_str()];
    let mut pace = Pace::read(node, node, "max_concurrency", &names, problems);
    pace.together.merge = merge(node, problems);
    check(node, &pace.together, problems);
    Some(each(
        node,
        Items::Dynamic {
            items: items?,
            item_var,
            index_var,
        },
        body?,
        pace,
        problems,
    ))
}

/// `strategy: {matrix: {...}}`.
pub(crate) fn matrix(yaml: &Yaml, node: &[Entry], problems: &mut Problems) -> Option<Work> {
    let body = body(yaml.place, node, problems);
    let strategy = section(node, &keys::STRATEGY, "strategy", problems)?;
    let matrix = match get(strategy, "matrix").map(|yaml| (yaml, &yaml.data)) {
        Some((_, Data::Mapping(entries))) if !entries.is_empty() => combinations(entries, problems),
        Some((yaml, _)) => {
            let message = "`matrix` must be a mapping with a list of values under each key";
            problems.error(Code::InvalidNode, yaml.place, message);
            None
        }
        None => {
            let message = "`strategy` needs `matrix`";
            let place = get(node, "strategy").map_or(yaml.place, |yaml| yaml.place);
            missing(
                strategy,
                &["matrix"],
                Code::MissingField,
                place,
                message,
                problems,
            );
            None
        }
    };
    let pace = Pace::read(node, strategy, "max_parallel", &["matrix"], problems);
    let items = Items::Matrix(matrix?);
    Some(each(node, items, body?, pace, problems))
}

/// What is in `matrix`: lists of values by their keys, and what is taken out and added.
fn combinations(entries: &[Entry], problems: &mut Problems) -> Option<Matrix> {
    let mut matrix = Matrix::default();
    let mut sound = true;
    for entry in entries {
        let Some(values) = spanned(&entry.value, problems) else {
            sound = false;
            continue;
        };
        match entry.key.as_str() {
            "include" => matrix.include = Some(values),
            "exclude" => matrix.exclude = Some(values),
            _ => matrix.axes.push((entry.key.clone(), values)),
        }
    }
    for key in keys::COMBINATIONS.known() {
        // What is a template is looked at when it runs.
        if let Some(Data::List(items)) = get(entries, key).map(|yaml| &yaml.data) {
            for item in items {
                sound &= changes(key, item, &matrix, problems);
            }
        }
    }
    sound.then_some(matrix)
}

/// Whether an item of `include` or `exclude` is one.
fn changes(key: &str, item: &Yaml, matrix: &Matrix, problems: &mut Problems) -> bool {
    let Data::Mapping(pairs) = &item.data else {
        if matches!(&item.data, Data::Text(text) if text.contains("{{")) {
            return true;
        }
        let message = format!(
            "an item of `{key}` must be a mapping of keys to values, not {}",
            item.kind()
        );
        problems.error(Code::InvalidNode, item.place, message);
        return false;
    };
    if key == "include" {
        return true;
    }
    let known = |pair: &&Entry| !matrix.axes.iter().any(|(axis, _)| *axis == pair.key);
    let mut sound = true;
    for pair in pairs.iter().filter(known) {
        let axes = matrix.axes.iter().map(|(axis, _)| axis.as_str());
        let hint = problems.suggestions().hint(&pair.key, axes);
        let message = format!(
            "`exclude` names `{}`, which the matrix doesn't have",
            pair.key
        );
        let problem = problems.error(Code::InvalidNode, pair.key_place, message);
        if let Some(hint) = hint {
            problem.with_hint(hint);
        }
        sound = false;
    }
    sound
}

/// `parallel_each`.
pub(crate) fn parallel_each(yaml: &Yaml, node: &[Entry], problems: &mut Problems) -> Option<Work> {
    let body = body(yaml.place, node, problems);
    let items = spanned(get(node, "parallel_each")?, problems);
    let names = ["item", "item_index"];
    let pace = Pace::read(node, node, "max_workers", &names, problems);
    let items = Items::List(items?);
    Some(each(node, items, body?, pace, problems))
}

/// How many branches run at a time, for how long, and what a failure does to the others.
struct Pace {
    most: Option<Spanned<Template>>,
    fail_fast: Option<bool>,
    timeout: Option<Duration>,
    together: Together,
}

impl Pace {
    /// What `section` says, with the most that run at a time under `key`, and where it says
    /// nothing, what `parallel_config` of the node says. The value of a branch goes by `names`.
    fn read(
        node: &[Entry],
        section: &[Entry],
        key: &str,
        names: &[&str],
        problems: &mut Problems,
    ) -> Pace {
        let mut pace = Pace {
            most: at_most(section, key, problems),
            fail_fast: boolean(section, "fail_fast", problems),
            timeout: None,
            together: Together {
                merge: Reducers::new(),
                reduce: reduce(section, names, problems),
                until: until(section, problems),
                collect: collect(section, problems),
            },
        };
        let config =
            super::shape::section(node, &keys::PARALLEL_CONFIG, "parallel_config", problems);
        if let Some(config) = config {
            let most = ["max_concurrency", "max_workers"];
            let most = most.map(|key| at_most(config, key, problems));
            pace.most = pace.most.or(most.into_iter().flatten().next());
            let fail_fast = boolean(config, "fail_fast", problems);
            pace.fail_fast = pace.fail_fast.or(fail_fast);
            let timeouts = ["timeout", "timeout_seconds"];
            let timeouts = timeouts.map(|key| duration(config, key, problems));
            pace.timeout = timeouts.into_iter().flatten().next();
        }
        pace
    }
}

fn each(node: &[Entry], items: Items, body: Work, pace: Pace, problems: &mut Problems) -> Work {
    let fan_in = word(node, "fan_in", Code::InvalidNode, problems);
    for key in ["retry", "on_error"] {
        if let Some(yaml) = some(node, key) {
            let message = format!(
                "`{key}` is about this node as a whole: an item that fails is an entry of the \
                 results, and isn't tried again"
            );
            problems.warning(Code::IgnoredKey, yaml.place, message);
        }
    }
    // The `output` of a host function is its own.
    let output = match body {
        Work::Call(_) if find(node, "action").is_none() => None,
        _ => word(node, "output", Code::InvalidNode, problems).map(|output| output.value),
    };
    Work::Each(Box::new(Each {
        items,
        body,
        max_concurrency: pace.most,
        fail_fast: pace.fail_fast,
        timeout: pace.timeout,
        together: pace.together,
        fan_in,
        output,
    }))
}

/// What runs for each value: there has to be something.
fn body(place: Place, node: &[Entry], problems: &mut Problems) -> Option<Work> {
    match work::read(node, problems)? {
        Work::Nothing => {
            let message = "there is nothing to run: say it with one of `run`, `steps`, `action` \
                           or `subgraph`";
            let ways = work::WAYS.as_slice();
            missing(node, ways, Code::DynamicMode, place, message, problems);
            None
        }
        work => Some(work),
    }
}

fn at_most(node: &[Entry], key: &str, problems: &mut Problems) -> Option<Spanned<Template>> {
    let yaml = some(node, key)?;
    let is_positive = |yaml: &Yaml| match &yaml.data {
        Data::Number(number) => number.as_u64().is_some_and(|number| number > 0),
        Data::Text(text) => text.contains("{{"),
        _ => false,
    };
    if !is_positive(yaml) {
        let message = format!("`{key}` must be a whole number of at least 1, or a template");
        problems.error(Code::InvalidValue, yaml.place, message);
        return None;
    }
    spanned(yaml, problems)
}

fn spanned(yaml: &Yaml, problems: &mut Problems) -> Option<Spanned<Template>> {
    // Text that is no template would be no list either.
    if let Data::Text(text) = &yaml.data
        && !text.contains("{{")
        && !text.contains("{%")
    {
        let message = format!("`{text}` is no list; a template is written with `{{{{ }}}}`");
        problems.error(Code::InvalidTemplate, yaml.place, message);
        return None;
    }
    let value = template(yaml, problems)?;
    Some(Spanned {
        value,
        place: yaml.place,
    })
}

/// A workflow inside of a node: written out, or the name of a file.
pub(crate) fn subgraph(node: &[Entry], yaml: &Yaml, problems: &mut Problems) -> Option<Work> {
    let input = match some(node, "input") {
        Some(yaml) if !matches!(yaml.data, Data::Mapping(_)) => {
            let message = format!("`input` must be a mapping, not {}", yaml.kind());
            problems.error(Code::InvalidNode, yaml.place, message);
            None
        }
        Some(yaml) => template(yaml, problems).map(|value| Spanned {
            value,
            place: yaml.place,
        }),
        None => None,
    };
    let (file, model) = match &yaml.data {
        Data::Mapping(_) => (None, super::read(yaml, problems)?.model),
        _ => {
            let file = string(yaml, "`subgraph`", Code::InvalidSubgraph, problems)?;
            (Some(file), Model::default())
        }
    };
    let model = Arc::new(model);
    Some(Work::Subgraph(Box::new(Subgraph { file, model, input })))
}
