//! `settings`, `config` and `state_schema`.

use std::num::NonZeroUsize;

use super::policy::{capabilities, limits, on_error};
use super::shape::{
    boolean, duration, find, get, missing, section, some, string, strings, text, whole, word,
};
use super::together::merge;
use crate::diagnostics::{Code, Problems};
use crate::workflow::load::keys;
use crate::workflow::load::yaml::{Data, Entry, Yaml};
use crate::workflow::model::{Config, Merge, MergeStrategy, Parallel, Settings, Start, Where};
use crate::workflow::schema::{Schema, Type};

pub(crate) fn read_settings(top: &[Entry], problems: &mut Problems) -> Settings {
    let mut settings = Settings::default();
    let Some(section) = section(top, &keys::SETTINGS, "settings", problems) else {
        return settings;
    };
    let most = u64::from(u32::MAX);
    if let Some(most) = whole(section, "max_iterations", 1..=most, problems) {
        settings.max_iterations = usize::try_from(most).unwrap_or(usize::MAX);
    }
    if let Some(allow) = boolean(section, "allow_cycles", problems) {
        settings.allow_cycles = allow;
    }
    settings.strict = boolean(section, "strict", problems).unwrap_or(false);
    settings.on_error = on_error(section, "error_handling", problems);
    if let Some(fallback) = settings.on_error.as_mut().and_then(|it| it.fallback.take()) {
        let message = "`fallback` is for a node's own `on_error`";
        problems.error(Code::InvalidValue, fallback.place, message);
    }
    settings.parallel = parallel(section, problems);
    settings.limits = limits(section, problems);
    settings.limits_place = find(section, "limits").map(|entry| entry.key_place);
    settings.capabilities = capabilities(section, problems);
    settings
}

fn parallel(settings: &[Entry], problems: &mut Problems) -> Parallel {
    let Some(section) = section(settings, &keys::PARALLEL, "parallel", problems) else {
        return Parallel::default();
    };
    let workers = whole(section, "max_workers", 1..=u64::MAX, problems);
    Parallel {
        max_workers: workers
            .and_then(|workers| usize::try_from(workers).ok())
            .and_then(NonZeroUsize::new),
        merge: Merge {
            reducers: merge(section, problems),
            strategy: strategy(section, problems).unwrap_or_default(),
        },
        fail_fast: boolean(section, "fail_fast", problems).unwrap_or(false),
        timeout: duration(section, "timeout", problems),
        start: start(section, problems).unwrap_or_default(),
        place: place(section, problems),
        pool: pool(section, problems),
    }
}

/// `where`.
fn place(parallel: &[Entry], problems: &mut Problems) -> Option<Where> {
    let word = word(parallel, "where", Code::InvalidValue, problems)?;
    let mut words = Where::WORDS.iter();
    let place = words.find(|(known, _)| *known == word.value);
    if place.is_none() {
        let message = format!("`where` is `local` or `workers`, not `{}`", word.value);
        problems.error(Code::InvalidValue, word.place, message);
    }
    place.map(|(_, place)| *place)
}

/// `pool`.
fn pool(parallel: &[Entry], problems: &mut Problems) -> Option<String> {
    let word = word(parallel, "pool", Code::InvalidValue, problems)?;
    let is_fine = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    if word.value.len() > 64 || !word.value.chars().all(is_fine) {
        let message = "`pool` is a name of at most 64 letters, digits, `_` and `-`";
        problems.error(Code::InvalidValue, word.place, message);
        return None;
    }
    Some(word.value)
}

/// `start`.
fn start(parallel: &[Entry], problems: &mut Problems) -> Option<Start> {
    let word = word(parallel, "start", Code::InvalidValue, problems)?;
    let mut words = Start::WORDS.iter();
    let start = words.find(|(known, _)| *known == word.value);
    if start.is_none() {
        let message = format!("`start` is `fresh` or `fork`, not `{}`", word.value);
        problems.error(Code::InvalidValue, word.place, message);
    }
    start.map(|(_, start)| *start)
}

/// The strategy by its key, or by the one of The Edge Agent's edition for browsers. The other
/// editions have words of their own under that one, for how branches run.
fn strategy(parallel: &[Entry], problems: &mut Problems) -> Option<MergeStrategy> {
    let known = |word: &str| {
        let mut words = MergeStrategy::WORDS.iter();
        words.find(|(known, _)| *known == word).map(|(_, it)| *it)
    };
    let other = some(parallel, "strategy").and_then(|yaml| {
        let strategy = match &yaml.data {
            Data::Text(word) => known(word),
            _ => None,
        };
        if strategy.is_none() {
            let message = "`strategy` of `settings.parallel` has no effect here";
            problems.warning(Code::IgnoredKey, yaml.place, message);
        }
        strategy
    });
    let Some(yaml) = some(parallel, "merge_strategy") else {
        return other;
    };
    let word = string(yaml, "`merge_strategy`", Code::InvalidValue, problems)?;
    let strategy = known(&word.value);
    if strategy.is_none() {
        let words = MergeStrategy::WORDS.map(|(word, _)| format!("`{word}`"));
        let message = format!(
            "there is no merge strategy `{}`; there are {}",
            word.value,
            words.join(", ")
        );
        problems.error(Code::InvalidValue, word.place, message);
    }
    strategy
}

/// `config`, and what The Edge Agent's edition for browsers has in `settings` of it, which comes
/// first.
pub(crate) fn read_config(top: &[Entry], problems: &mut Problems) -> Config {
    let config = section(top, &keys::CONFIG, "config", problems).unwrap_or_default();
    let settings = match get(top, "settings").map(|yaml| &yaml.data) {
        Some(Data::Mapping(entries)) => entries.as_slice(),
        _ => &[],
    };
    let of = |key| match some(settings, key) {
        Some(_) => settings,
        None => config,
    };
    Config {
        interrupt_before: strings(of("interrupt_before"), "interrupt_before", problems),
        interrupt_after: strings(of("interrupt_after"), "interrupt_after", problems),
        checkpoint_dir: text(config, "checkpoint_dir", problems),
        raise_exceptions: boolean(of("raise_exceptions"), "raise_exceptions", problems)
            .unwrap_or(false),
    }
}

pub(crate) fn read_schema(top: &[Entry], problems: &mut Problems) -> Schema {
    let Some(yaml) = some(top, "state_schema") else {
        return Schema::default();
    };
    let Data::Mapping(entries) = &yaml.data else {
        let message = format!("`state_schema` must be a mapping, not {}", yaml.kind());
        problems.error(Code::InvalidValue, yaml.place, message);
        return Schema::default();
    };
    let read = |entry: &Entry| Some((entry.key.clone(), kind(&entry.value, problems)?));
    Schema::new(entries.iter().filter_map(read).collect())
}

fn kind(yaml: &Yaml, problems: &mut Problems) -> Option<Type> {
    let word = match &yaml.data {
        Data::Mapping(entries) => {
            keys::SCHEMA.check(entries, problems);
            match some(entries, "type") {
                Some(word) => word,
                None => {
                    let message = "a key of `state_schema` needs `type`";
                    let place = yaml.place;
                    missing(
                        entries,
                        &["type"],
                        Code::MissingField,
                        place,
                        message,
                        problems,
                    );
                    return None;
                }
            }
        }
        // What a key without a type is good for is to be named.
        Data::Null => return Some(Type::Any),
        _ => yaml,
    };
    let word = string(word, "a type", Code::InvalidValue, problems)?;
    let kind = Type::from_word(&word.value);
    if kind.is_some() {
        return kind;
    }
    match problems.suggestions().hint(&word.value, Type::words()) {
        Some(hint) => {
            let message = format!("there is no type `{}`", word.value);
            problems
                .error(Code::InvalidValue, word.place, message)
                .with_hint(hint);
        }
        // The Edge Agent takes any word for a type, and looks at none.
        None => {
            let message = format!(
                "the type `{}` means nothing here: anything fits",
                word.value
            );
            problems.warning(Code::IgnoredKey, word.place, message);
        }
    }
    Some(Type::Any)
}
