//! What is said of all branches of a fan-out: `merge` and `until`.

use std::num::NonZeroUsize;

use super::shape::{find, some, string};
use crate::diagnostics::{Code, Problems};
use crate::workflow::load::yaml::{Data, Entry};
use crate::workflow::model::{Reducer, Reducers, Spanned, Together};
use crate::workflow::state::PARALLEL_RESULTS;

/// What `mapping` says by these keys.
pub(crate) fn together(mapping: &[Entry], problems: &mut Problems) -> Together {
    Together {
        reducers: reducers(mapping, problems),
        until: until(mapping, problems),
    }
}

/// `merge`: a reducer for each key.
pub(crate) fn reducers(mapping: &[Entry], problems: &mut Problems) -> Reducers {
    let Some(yaml) = some(mapping, "merge") else {
        return Reducers::new();
    };
    let Data::Mapping(entries) = &yaml.data else {
        let message = format!(
            "`merge` must be a mapping of keys to reducers, as in `{{log: append}}`, not {}",
            yaml.kind()
        );
        problems
            .error(Code::InvalidValue, yaml.place, message)
            .with_hint("what holds for all keys is `merge_strategy`");
        return Reducers::new();
    };
    let mut read = |entry: &Entry| {
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
            return Some((entry.key.clone(), *reducer));
        }
        let hint = problems.suggestions().hint(&word.value, words());
        let all: Vec<_> = words().map(|word| format!("`{word}`")).collect();
        let message = format!(
            "there is no reducer `{}`; there are {}",
            word.value,
            all.join(", ")
        );
        let problem = problems.error(Code::InvalidValue, word.place, message);
        if let Some(hint) = hint {
            problem.with_hint(hint);
        }
        None
    };
    entries.iter().filter_map(&mut read).collect()
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
