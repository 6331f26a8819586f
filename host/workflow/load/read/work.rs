//! What a node does: Lua, a host function, steps.

use super::policy;
use super::shape::{self, find, get, missing, only_lua, some, string, template, word};
use crate::diagnostics::{Code, Problems};
use crate::workflow::expression::Template;
use crate::workflow::load::keys;
use crate::workflow::load::yaml::{Data, Entry, QUOTE_CODE, Yaml};
use crate::workflow::model::{Argument, Expression, HostCall, LuaText, Spanned, Work};
use crate::workflow::state::RESULT;

/// The ways to say what a node does, by their keys.
pub(super) const WAYS: [&str; 6] = ["run", "script", "uses", "action", "steps", "subgraph"];

/// What a node does by the one of these keys that it has. The outer `None` says that it is
/// malformed.
pub(crate) fn read(node: &[Entry], problems: &mut Problems) -> Option<Work> {
    let mut ways = WAYS.iter().filter_map(|key| find(node, key));
    let way = ways.next();
    if let (Some(first), Some(second)) = (way, ways.next()) {
        let message = match (first.key.as_str(), second.key.as_str()) {
            ("run", "script") => {
                "`script` is another word for `run`: a node has one of them".to_owned()
            }
            ("uses", "action") => {
                "`action` is another word for `uses`: a node has one of them".to_owned()
            }
            (first, second) => format!("a node has `{first}` or `{second}`, not both"),
        };
        problems.error(Code::InvalidNode, second.key_place, message);
        return None;
    }
    let work = match way.map(|entry| entry.key.as_str()) {
        None => Some(Work::Nothing),
        Some("run" | "script") => code(way?, problems),
        Some("steps") => super::nodes::read_steps(&way?.value, "steps", problems).map(Work::Steps),
        Some("subgraph") => super::dynamic::subgraph(node, &way?.value, problems),
        Some(_) => call(node, way?, problems),
    };
    if !matches!(way.map(|entry| entry.key.as_str()), Some("uses" | "action")) {
        // `with` means something to a host function alone.
        if let Some(with) = find(node, "with") {
            let message = "`with` is what a host function is given: it needs `uses`";
            problems.error(Code::InvalidNode, with.key_place, message);
        }
    }
    work
}

/// The Lua source of a node: `run`, or its alias `script`.
fn code(entry: &Entry, problems: &mut Problems) -> Option<Work> {
    let what = format!("`{}`", entry.key);
    let Data::Mapping(run) = &entry.value.data else {
        return lua(&entry.value, &what, problems).map(Work::Lua);
    };
    if let Some(first) = run.first()
        && run.iter().all(|entry| entry.value.data == Data::Null)
        && !run.iter().any(|entry| keys::RUN.accept(&entry.key))
    {
        let message = format!("{what} is a mapping here: YAML takes `{{...}}` for one");
        let problem = problems.error(Code::InvalidNode, entry.value.place, message);
        problem.with_hint(QUOTE_CODE);
        problems.note_misspelt(first.key_place, "code");
        return None;
    }
    let kind = get(run, "type");
    if kind.is_some_and(|kind| kind.data == Data::Text("expression".into())) {
        return expression(&entry.value, run, problems).map(Work::Expression);
    }
    keys::RUN.check(run, problems);
    if let Some(kind) = kind {
        only_lua(kind, problems);
    }
    match (find(run, "code"), find(run, "file")) {
        (Some(code), None) => lua(&code.value, "`code`", problems).map(Work::Lua),
        (None, Some(_)) => {
            let file = word(run, "file", Code::InvalidNode, problems)?;
            Some(Work::Lua(LuaText::of_file(file)))
        }
        (Some(_), Some(file)) => {
            let message = format!("{what} has `code` or `file`, not both");
            problems.error(Code::InvalidNode, file.key_place, message);
            None
        }
        (None, None) => {
            let message = format!("{what} needs `code`, or `file`");
            let keys = &["code", "file"];
            let place = entry.value.place;
            missing(run, keys, Code::MissingField, place, &message, problems);
            None
        }
    }
}

/// Lua that isn't a node's, as a node may have it: written out, or in a file.
pub(crate) fn source(entry: &Entry, problems: &mut Problems) -> Option<LuaText> {
    match code(entry, problems)? {
        Work::Lua(source) => Some(source),
        _ => {
            let message = format!("`{}` is Lua, and no expression", entry.key);
            problems.error(Code::InvalidValue, entry.value.place, message);
            None
        }
    }
}

/// Lua that is written out.
fn lua(yaml: &Yaml, what: &str, problems: &mut Problems) -> Option<LuaText> {
    let code = string(yaml, what, Code::InvalidNode, problems)?;
    Some(LuaText {
        text: code.value.into_bytes().into(),
        place: code.place,
        first_line: yaml.first_line,
        comment: yaml.comment.clone(),
        file: None,
    })
}

/// `run: {type: expression, value, output_key}`.
fn expression(yaml: &Yaml, run: &[Entry], problems: &mut Problems) -> Option<Expression> {
    keys::EXPRESSION.check(run, problems);
    let Some(value) = get(run, "value") else {
        let message = "`run` of `type: expression` needs `value`";
        missing(
            run,
            &["value"],
            Code::MissingField,
            yaml.place,
            message,
            problems,
        );
        return None;
    };
    let output = word(run, "output_key", Code::InvalidNode, problems);
    Some(Expression {
        value: Spanned {
            value: shape::expression(value, problems)?,
            place: value.place,
        },
        output: output.map_or_else(|| RESULT.to_owned(), |key| key.value),
    })
}

/// A host function: `uses: name`, or `action: {uses: name}`, each with `with` and `output`.
fn call(node: &[Entry], entry: &Entry, problems: &mut Problems) -> Option<Work> {
    let is_mapping = matches!(entry.value.data, Data::Mapping(_));
    let (function, inside) = if entry.key == "action" && is_mapping {
        let inside = policy::action(node, problems)?;
        let Some(function) = get(inside, "uses") else {
            let message = "`action` needs `uses`, the name of a host function";
            let place = entry.value.place;
            missing(
                inside,
                &["uses"],
                Code::MissingField,
                place,
                message,
                problems,
            );
            return None;
        };
        (function, inside)
    } else {
        (&entry.value, node)
    };
    let function = function_name(function, problems);
    let yaml = some(inside, "with").or_else(|| some(node, "with"));
    let with = match yaml {
        Some(yaml) => Some(arguments(yaml, problems)?),
        None => None,
    };
    let arguments = match yaml.map(|yaml| &yaml.data) {
        Some(Data::Mapping(entries)) => entries.iter().map(argument).collect(),
        _ => Vec::new(),
    };
    let output = word(inside, "output", Code::InvalidNode, problems);
    Some(Work::Call(HostCall {
        function: function?,
        with,
        arguments,
        output: output.map(|output| output.value),
    }))
}

fn argument(entry: &Entry) -> Argument {
    let text = match &entry.value.data {
        Data::Text(text) => Some(LuaText {
            text: text.as_bytes().into(),
            place: entry.value.place,
            first_line: entry.value.first_line,
            comment: entry.value.comment.clone(),
            file: None,
        }),
        _ => None,
    };
    Argument {
        key: entry.key.clone(),
        key_place: entry.key_place,
        text,
    }
}

fn function_name(yaml: &Yaml, problems: &mut Problems) -> Option<Spanned<String>> {
    let name = string(yaml, "`uses`", Code::InvalidNode, problems)?;
    if name.value.is_empty() {
        let message = "`uses` needs the name of a host function";
        problems.error(Code::InvalidNode, name.place, message);
        return None;
    }
    Some(name)
}

fn arguments(yaml: &Yaml, problems: &mut Problems) -> Option<Spanned<Template>> {
    if !matches!(yaml.data, Data::Mapping(_) | Data::List(_)) {
        let message = format!(
            "`with` must be a mapping, or a list of arguments, not {}",
            yaml.kind()
        );
        problems.error(Code::InvalidNode, yaml.place, message);
        return None;
    }
    let value = template(yaml, problems)?;
    let place = yaml.place;
    Some(Spanned { value, place })
}
