//! Shapes that recur: reading them reports what is wrong with them.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::diagnostics::{Code, Place, Problems};
use crate::quantity;
use crate::workflow::expression::{Condition, Template};
use crate::workflow::load::keys::Keys;
use crate::workflow::load::yaml::{Data, Entry, Yaml, to_object};
use crate::workflow::model::Spanned;

pub(crate) fn find<'y>(mapping: &'y [Entry], key: &str) -> Option<&'y Entry> {
    mapping.iter().find(|entry| entry.key == key)
}

pub(crate) fn get<'y>(mapping: &'y [Entry], key: &str) -> Option<&'y Yaml> {
    find(mapping, key).map(|entry| &entry.value)
}

pub(crate) fn mapping<'y>(
    yaml: &'y Yaml,
    keys: &Keys,
    code: Code,
    problems: &mut Problems,
) -> Option<&'y [Entry]> {
    let Data::Mapping(entries) = &yaml.data else {
        let message = format!("{} must be a mapping, not {}", keys.of, yaml.kind());
        problems.error(code, yaml.place, message);
        return None;
    };
    Some(entries)
}

/// Reports that a mapping has none of these keys, unless one is there and misspelt: that was
/// said already.
pub(crate) fn missing(
    mapping: &[Entry],
    keys: &[&'static str],
    code: Code,
    place: Place,
    message: &str,
    problems: &mut Problems,
) {
    let first = mapping.first().map(|entry| entry.key_place);
    let is_misspelt =
        |key: &&'static str| first.is_some_and(|first| problems.is_misspelt(first, key));
    if !keys.iter().any(is_misspelt) {
        problems.error(code, place, message);
    }
}

/// The entry under a key that decides what the others mean, though it may be misspelt.
pub(crate) fn decisive<'y>(
    mapping: &'y [Entry],
    keys: &Keys,
    key: &'static str,
    problems: &mut Problems,
) -> Option<&'y Entry> {
    let misspelt = |entry: &&Entry| {
        !keys.accept(&entry.key) && problems.suggestions().nearest(&entry.key, [key]).is_some()
    };
    find(mapping, key).or_else(|| mapping.iter().find(misspelt))
}

/// A mapping under a key, checked for its keys; nothing after the key is as good as no key.
pub(crate) fn section<'y>(
    parent: &'y [Entry],
    keys: &Keys,
    key: &str,
    problems: &mut Problems,
) -> Option<&'y [Entry]> {
    let yaml = get(parent, key).filter(|yaml| yaml.data != Data::Null)?;
    let entries = mapping(yaml, keys, Code::InvalidValue, problems)?;
    keys.check(entries, problems);
    Some(entries)
}

pub(crate) fn string(
    yaml: &Yaml,
    what: &str,
    code: Code,
    problems: &mut Problems,
) -> Option<Spanned<String>> {
    let Data::Text(text) = &yaml.data else {
        let message = format!("{what} must be a string, not {}", yaml.kind());
        problems.error(code, yaml.place, message);
        return None;
    };
    Some(Spanned {
        value: text.clone(),
        place: yaml.place,
    })
}

/// A string under a key; nothing after the key is as good as no key.
pub(crate) fn text(top: &[Entry], key: &str, problems: &mut Problems) -> Option<String> {
    let yaml = get(top, key).filter(|yaml| yaml.data != Data::Null)?;
    let what = format!("`{key}`");
    string(yaml, &what, Code::InvalidValue, problems).map(|text| text.value)
}

/// A mapping of free values under a key at the top level.
pub(crate) fn object(top: &[Entry], key: &str, problems: &mut Problems) -> Map<String, Value> {
    match get(top, key).map(|yaml| (yaml, &yaml.data)) {
        None | Some((_, Data::Null)) => Map::new(),
        Some((_, Data::Mapping(entries))) => to_object(entries),
        Some((yaml, _)) => {
            let message = format!("`{key}` must be a mapping, not {}", yaml.kind());
            problems.error(Code::InvalidValue, yaml.place, message);
            Map::new()
        }
    }
}

/// Reports a language that is not Lua.
pub(crate) fn only_lua(language: &Yaml, problems: &mut Problems) {
    let message = match &language.data {
        Data::Text(language) if language == "lua" => return,
        Data::Text(language) => format!("`{language}` does not run here; `lua` does"),
        _ => format!("a language is a string, not {}", language.kind()),
    };
    problems.error(Code::UnsupportedLanguage, language.place, message);
}

/// A value that is there and isn't empty: nothing after the key is as good as no key.
pub(crate) fn some<'y>(mapping: &'y [Entry], key: &str) -> Option<&'y Yaml> {
    get(mapping, key).filter(|yaml| yaml.data != Data::Null)
}

/// A boolean under a key.
pub(crate) fn boolean(mapping: &[Entry], key: &str, problems: &mut Problems) -> Option<bool> {
    let yaml = some(mapping, key)?;
    if let Data::Bool(value) = yaml.data {
        return Some(value);
    }
    refuse(key, "true or false", yaml, problems)
}

/// A whole number under a key that is in `range`.
pub(crate) fn whole(
    mapping: &[Entry],
    key: &str,
    range: std::ops::RangeInclusive<u64>,
    problems: &mut Problems,
) -> Option<u64> {
    let yaml = some(mapping, key)?;
    if let Data::Number(number) = &yaml.data
        && let Some(number) = number.as_u64()
        && range.contains(&number)
    {
        return Some(number);
    }
    let (least, most) = (range.start(), range.end());
    let expected = match *most {
        u64::MAX => format!("a whole number of at least {least}"),
        most => format!("a whole number between {least} and {most}"),
    };
    refuse(key, &expected, yaml, problems)
}

/// A number under a key that is at least `least`.
pub(crate) fn number(
    mapping: &[Entry],
    key: &str,
    least: f64,
    problems: &mut Problems,
) -> Option<f64> {
    let yaml = some(mapping, key)?;
    if let Data::Number(number) = &yaml.data
        && let Some(number) = number.as_f64()
        && number >= least
    {
        return Some(number);
    }
    refuse(
        key,
        &format!("a number of at least {least}"),
        yaml,
        problems,
    )
}

/// A duration under a key: seconds as a number, or text such as `300ms`. Never none at all.
pub(crate) fn duration(mapping: &[Entry], key: &str, problems: &mut Problems) -> Option<Duration> {
    let yaml = some(mapping, key)?;
    let duration = match &yaml.data {
        Data::Number(number) => number
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        Data::Text(text) => quantity::parse_duration(text).ok(),
        _ => None,
    };
    match duration.filter(|duration| !duration.is_zero()) {
        Some(duration) => Some(duration),
        None => {
            let expected = "a duration: a number of seconds, or text such as `300ms`";
            refuse(key, expected, yaml, problems)
        }
    }
}

/// A number of bytes under a key: a number, or text such as `64MiB`.
pub(crate) fn size(mapping: &[Entry], key: &str, problems: &mut Problems) -> Option<usize> {
    let yaml = some(mapping, key)?;
    let bytes = match &yaml.data {
        Data::Number(number) => number.as_u64(),
        Data::Text(text) => quantity::parse_size(text).ok(),
        _ => None,
    };
    match bytes.and_then(|bytes| usize::try_from(bytes).ok()) {
        Some(bytes) => Some(bytes),
        None => {
            let expected = "a size: a number of bytes, or text such as `64MiB`";
            refuse(key, expected, yaml, problems)
        }
    }
}

/// A list of strings under a key; a single one is as good.
pub(crate) fn strings(
    mapping: &[Entry],
    key: &str,
    problems: &mut Problems,
) -> Vec<Spanned<String>> {
    let what = format!("an entry of `{key}`");
    match some(mapping, key).map(|yaml| (yaml, &yaml.data)) {
        None => Vec::new(),
        Some((_, Data::List(items))) => items
            .iter()
            .filter_map(|item| string(item, &what, Code::InvalidValue, problems))
            .collect(),
        Some((yaml, Data::Text(_))) => {
            let one = string(yaml, &what, Code::InvalidValue, problems);
            one.into_iter().collect()
        }
        Some((yaml, _)) => {
            refuse::<()>(key, "a list of strings", yaml, problems);
            Vec::new()
        }
    }
}

/// A string under a key that isn't empty.
pub(crate) fn word(
    mapping: &[Entry],
    key: &str,
    code: Code,
    problems: &mut Problems,
) -> Option<Spanned<String>> {
    let word = string(some(mapping, key)?, &format!("`{key}`"), code, problems)?;
    if word.value.is_empty() {
        problems.error(code, word.place, format!("`{key}` can't be empty"));
        return None;
    }
    Some(word)
}

/// A condition.
pub(crate) fn condition(
    yaml: &Yaml,
    what: &str,
    problems: &mut Problems,
) -> Option<Spanned<Condition>> {
    let text = match &yaml.data {
        Data::Text(text) => text.clone(),
        Data::Bool(value) => value.to_string(),
        _ => {
            let message = format!("{what} must be an expression, not {}", yaml.kind());
            problems.error(Code::InvalidCondition, yaml.place, message);
            return None;
        }
    };
    match Condition::parse(&text) {
        Ok(value) => Some(Spanned {
            value,
            place: yaml.place,
        }),
        Err(why) => {
            let message = format!("{what} doesn't parse: {why}");
            let problem = problems.error(Code::InvalidCondition, yaml.place, message);
            if ["~=", "..", "nil"].iter().any(|lua| text.contains(lua)) {
                problem.with_hint(
                    "conditions are Jinja2, not Lua: write `!=`, `~`, `none` and `a if b else c`",
                );
            }
            None
        }
    }
}

/// An expression, with or without `{{ }}`; what is no text is itself.
pub(crate) fn expression(yaml: &Yaml, problems: &mut Problems) -> Option<Template> {
    let Data::Text(text) = &yaml.data else {
        return template(yaml, problems);
    };
    match Template::expression(text) {
        Ok(template) => Some(template),
        Err(why) => {
            let message = format!("the expression doesn't parse: {why}");
            problems.error(Code::InvalidTemplate, yaml.place, message);
            None
        }
    }
}

/// A value with `{{ }}` in it, at any depth.
pub(crate) fn template(yaml: &Yaml, problems: &mut Problems) -> Option<Template> {
    match &yaml.data {
        Data::Text(text) => match Template::parse(text) {
            Ok(template) => Some(template),
            Err(why) => {
                let message = format!("the template doesn't parse: {why}");
                problems.error(Code::InvalidTemplate, yaml.place, message);
                None
            }
        },
        Data::List(items) => {
            let items: Vec<_> = items.iter().map(|item| template(item, problems)).collect();
            items.into_iter().collect::<Option<_>>().map(Template::List)
        }
        Data::Mapping(entries) => {
            let mut filled = Vec::with_capacity(entries.len());
            for entry in entries {
                filled
                    .push(template(&entry.value, problems).map(|value| (entry.key.clone(), value)));
            }
            filled
                .into_iter()
                .collect::<Option<_>>()
                .map(Template::Mapping)
        }
        _ => Some(Template::Fixed(yaml.to_json())),
    }
}

fn refuse<T>(key: &str, expected: &str, yaml: &Yaml, problems: &mut Problems) -> Option<T> {
    let message = format!("`{key}` must be {expected}");
    problems.error(Code::InvalidValue, yaml.place, message);
    None
}
