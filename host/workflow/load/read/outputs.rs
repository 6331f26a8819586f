//! `outputs`: what of the final state is the result.

use std::collections::HashSet;

use super::shape::{some, string};
use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::load::yaml::{Data, Entry, Yaml};
use crate::workflow::selection::{Output, Selection};

/// Reads `outputs`: `None` if there is no such key, or nothing in it.
pub(crate) fn read(top: &[Entry], problems: &mut Problems) -> Option<Vec<Output>> {
    let yaml = some(top, "outputs")?;
    let mut outputs = Vec::new();
    match &yaml.data {
        Data::Mapping(entries) => {
            let read = entries.iter().filter_map(|entry| named(entry, problems));
            outputs.extend(read.map(|output| (output, yaml.place)));
        }
        Data::List(items) => {
            for item in items {
                outputs.extend(listed(item, problems).map(|output| (output, item.place)));
            }
        }
        Data::Text(_) => outputs.extend(listed(yaml, problems).map(|it| (it, yaml.place))),
        _ => {
            let message = format!(
                "`outputs` must be a list of names, or a mapping of names to expressions, not {}",
                yaml.kind()
            );
            problems.error(Code::InvalidValue, yaml.place, message);
        }
    }
    Some(once_each(outputs, problems))
}

/// An entry of a list: a name, or a name and an expression.
fn listed(item: &Yaml, problems: &mut Problems) -> Option<Output> {
    match &item.data {
        Data::Mapping(entries) => match entries.as_slice() {
            [entry] => named(entry, problems),
            _ => {
                let message = "an entry of `outputs` has one name and one expression";
                problems.error(Code::InvalidValue, item.place, message);
                None
            }
        },
        _ => {
            let name = string(item, "an entry of `outputs`", Code::InvalidValue, problems)?;
            Some(Output::key(name.value))
        }
    }
}

/// A name with its expression; without one, it is a key of the state.
fn named(entry: &Entry, problems: &mut Problems) -> Option<Output> {
    let name = entry.key.clone();
    let text = match &entry.value.data {
        Data::Null => return Some(Output::key(name)),
        Data::Text(text) => text,
        _ => {
            let message = format!(
                "the output `{name}` must be an expression, not {}",
                entry.value.kind()
            );
            problems.error(Code::InvalidValue, entry.value.place, message);
            return None;
        }
    };
    match Selection::parse(text) {
        Ok(selection) => Some(Output::selected(name, selection)),
        Err(why) => {
            let message = format!("the expression of the output `{name}` doesn't parse: {why}");
            problems.error(Code::InvalidTemplate, entry.value.place, message);
            None
        }
    }
}

/// Each name once.
fn once_each(outputs: Vec<(Output, Place)>, problems: &mut Problems) -> Vec<Output> {
    let mut names = HashSet::new();
    let mut all = Vec::with_capacity(outputs.len());
    for (output, place) in outputs {
        if names.insert(output.name().to_owned()) {
            all.push(output);
        } else {
            let message = format!("the output `{}` is there twice", output.name());
            problems.error(Code::InvalidValue, place, message);
        }
    }
    all
}
