//! What is said of all branches of a fan-out: `merge`, `reduce`, `collect` and `until`.

use std::num::NonZeroUsize;

use super::shape::{find, some, string};
use crate::diagnostics::{Code, Problems};
use crate::workflow::load::yaml::{Data, Entry};
use crate::workflow::model::{Collect, Reducer, Reducers, Spanned, Together};
use crate::workflow::state::PARALLEL_RESULTS;

/// What `mapping` says by these keys.
pub(crate) fn together(mapping: &[Entry], problems: &mut Problems) -> Together {
    let together = Together {
        merge: merge(mapping, problems),
        reduce: reduce(mapping, &[], problems),
        until: until(mapping, problems),
        collect: collect(mapping, problems),
    };
    check(mapping, &together, problems);
    together
}

/// Refuses a key that is merged and folded.
pub(crate) fn check(mapping: &[Entry], together: &Together, problems: &mut Problems) {
    let entry = together.key_of_both().zip(find(mapping, "reduce"));
    if let Some((key, entry)) = entry {
        let message =
            format!("`{key}` has a reducer in `merge` and in `reduce`: it is one of them");
        problems.error(Code::InvalidValue, entry.key_place, message);
    }
}

/// `merge`: a reducer for each key.
pub(crate) fn merge(mapping: &[Entry], problems: &mut Problems) -> Reducers {
    let hint = "what holds for all keys is `merge_strategy`";
    let found = reducers(mapping, "merge", Some(hint), problems);
    found
        .into_iter()
        .map(|(entry, reducer)| (entry.key.clone(), reducer))
        .collect()
}

/// `reduce`: a reducer for each key, of those that can be folded; `names` are keys that no branch gives
/// anything, since its value goes by them.
pub(crate) fn reduce(mapping: &[Entry], names: &[&str], problems: &mut Problems) -> Reducers {
    let mut all = Reducers::new();
    for (entry, reducer) in reducers(mapping, "reduce", None, problems) {
        if !reducer.is_associative() {
            let folded = Reducer::WORDS.iter().filter(|(_, it)| it.is_associative());
            let message = format!(
                "`{}` isn't associative: it compares the values of all branches; `reduce` takes {}",
                reducer.word(),
                list_of(folded.map(|(word, _)| *word))
            );
            problems
                .error(Code::InvalidValue, entry.value.place, message)
                .with_hint("`merge` takes it, once all branches have ended");
        } else if names.contains(&entry.key.as_str()) {
            let message = format!(
                "`{}` is what the value of a branch goes by, and has no reducer",
                entry.key
            );
            problems.error(Code::InvalidValue, entry.key_place, message);
        } else {
            all.insert(entry.key.clone(), reducer);
        }
    }
    all
}

fn list_of<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let all: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    all.join(", ")
}

/// What stands under `key`, as far as it is right.
fn reducers<'y>(
    mapping: &'y [Entry],
    key: &str,
    hint: Option<&str>,
    problems: &mut Problems,
) -> Vec<(&'y Entry, Reducer)> {
    let Some(yaml) = some(mapping, key) else {
        return Vec::new();
    };
    let Data::Mapping(entries) = &yaml.data else {
        let message = format!(
            "`{key}` must be a mapping of keys to reducers, as in `{{log: append}}`, not {}",
            yaml.kind()
        );
        let problem = problems.error(Code::InvalidValue, yaml.place, message);
        if let Some(hint) = hint {
            problem.with_hint(hint);
        }
        return Vec::new();
    };
    let mut read = |entry: &'y Entry| {
        if entry.key == PARALLEL_RESULTS {
            let message = format!("`{PARALLEL_RESULTS}` is what branches gave, and has no reducer");
            problems.error(Code::InvalidValue, entry.key_place, message);
            return None;
        }
        let word = string(&entry.value, "a reducer", Code::InvalidValue, problems)?;
        let words = || Reducer::WORDS.iter().map(|(word, _)| *word);
        let known = Reducer::WORDS
            .iter()
            .find(|(known, _)| *known == word.value);
        if let Some((_, reducer)) = known {
            return Some((entry, *reducer));
        }
        let hint = problems.suggestions().hint(&word.value, words());
        let all = list_of(words());
        let message = format!("there is no reducer `{}`; there are {all}", word.value);
        let problem = problems.error(Code::InvalidValue, word.place, message);
        if let Some(hint) = hint {
            problem.with_hint(hint);
        }
        None
    };
    entries.iter().filter_map(&mut read).collect()
}

/// `collect`: which entries the fan-in sees.
pub(crate) fn collect(mapping: &[Entry], problems: &mut Problems) -> Option<Spanned<Collect>> {
    let yaml = some(mapping, "collect")?;
    let word = string(yaml, "`collect`", Code::InvalidValue, problems)?;
    let known = Collect::WORDS
        .iter()
        .find(|(known, _)| *known == word.value);
    if known.is_none() {
        let words = list_of(Collect::WORDS.iter().map(|(word, _)| *word));
        let hint = problems
            .suggestions()
            .hint(&word.value, Collect::WORDS.map(|(word, _)| word));
        let message = format!("`collect` can be {words}, not `{}`", word.value);
        let problem = problems.error(Code::InvalidValue, word.place, message);
        if let Some(hint) = hint {
            problem.with_hint(hint);
        }
    }
    Some(Spanned {
        value: known?.1,
        place: yaml.place,
    })
}

/// `until`: how many branches have to succeed for the others to be stopped.
pub(crate) fn until(mapping: &[Entry], problems: &mut Problems) -> Option<Spanned<NonZeroUsize>> {
    let yaml = some(mapping, "until")?;
    let value = match &yaml.data {
        Data::Text(word) if word == "first_success" => Some(NonZeroUsize::MIN),
        Data::Number(number) => number
            .as_u64()
            .and_then(|number| usize::try_from(number).ok())
            .and_then(NonZeroUsize::new),
        _ => None,
    };
    let Some(value) = value else {
        let message = "`until` must be `first_success`, or how many branches have to succeed";
        problems.error(Code::InvalidValue, yaml.place, message);
        return None;
    };
    if let Some(entry) = find(mapping, "fail_fast")
        && entry.value.data == Data::Bool(true)
    {
        let message = "`until` waits for branches that succeed, and `fail_fast` stops them at the \
                       first failure: a fan-out has one of them";
        problems.error(Code::InvalidValue, entry.key_place, message);
        return None;
    }
    Some(Spanned {
        value,
        place: yaml.place,
    })
}
