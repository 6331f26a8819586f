//! Shapes that recur: reading them reports what is wrong with them.

use serde_json::{Map, Value};

use crate::workflow::keys::Keys;
use crate::workflow::model::Spanned;
use crate::workflow::problem::{Code, Problems};
use crate::workflow::yaml::{Data, Entry, Yaml, to_object};

pub(super) fn find<'y>(mapping: &'y [Entry], key: &str) -> Option<&'y Entry> {
    mapping.iter().find(|entry| entry.key == key)
}

pub(super) fn get<'y>(mapping: &'y [Entry], key: &str) -> Option<&'y Yaml> {
    find(mapping, key).map(|entry| &entry.value)
}

pub(super) fn mapping<'y>(
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

/// A mapping under a key, checked for its keys; nothing after the key is as good as no key.
pub(super) fn section<'y>(
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

pub(super) fn string(
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

/// A string under a key at the top level; nothing after the key is as good as no key.
pub(super) fn text(top: &[Entry], key: &str, problems: &mut Problems) -> Option<String> {
    let yaml = get(top, key).filter(|yaml| yaml.data != Data::Null)?;
    let what = format!("`{key}`");
    string(yaml, &what, Code::InvalidValue, problems).map(|text| text.value)
}

/// A mapping of free values under a key at the top level.
pub(super) fn object(top: &[Entry], key: &str, problems: &mut Problems) -> Map<String, Value> {
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
pub(super) fn only_lua(language: &Yaml, problems: &mut Problems) {
    let message = match &language.data {
        Data::Text(language) if language == "lua" => return,
        Data::Text(language) => format!("`{language}` does not run here; `lua` does"),
        _ => format!("a language is a string, not {}", language.kind()),
    };
    problems.error(Code::UnsupportedLanguage, language.place, message);
}
