//! The table of all keys in `docs/workflows.md`, held against the keys that the reader accepts and
//! the values that they have by default.

use std::collections::BTreeSet;

use super::*;
use crate::workflow::load::source::Source;
use crate::workflow::model::{Collect, ErrorMode, Items, MergeStrategy, Start, Work};

const PAGE: &str = include_str!("../../../../docs/workflows.md");

/// All kinds of mappings, by what the page calls them.
const PLACES: [(&str, &Keys); 23] = [
    ("top level", &TOP),
    ("node", &NODE),
    ("while_loop", &WHILE),
    ("dynamic_parallel", &DYNAMIC),
    ("matrix", &MATRIX),
    ("each", &EACH),
    ("step", &STEP),
    ("run", &RUN),
    ("expression", &EXPRESSION),
    ("parallel_config", &PARALLEL_CONFIG),
    ("action", &ACTION),
    ("rule", &RULE),
    ("strategy", &STRATEGY),
    ("combinations", &COMBINATIONS),
    ("retry", &RETRY),
    ("on_error", &ON_ERROR),
    ("limits", &LIMITS),
    ("schema", &SCHEMA),
    ("edge", &EDGE),
    ("condition", &CONDITION),
    ("settings", &SETTINGS),
    ("parallel", &PARALLEL),
    ("config", &CONFIG),
];

/// A key at a place.
type At = (&'static str, &'static str);

/// A row of the table.
struct Row {
    keys: Vec<&'static str>,
    places: Vec<&'static str>,
    default: &'static str,
    /// Whether it says that the keys mean nothing.
    is_foreign: bool,
}

fn rows() -> Vec<Row> {
    let (_, table) = PAGE
        .split_once("\n## All keys\n")
        .expect("it has the table");
    let lines = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = lines.map(|line| {
        let cells: Vec<_> = line
            .trim_end_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let [keys, places, _, default, does] = cells[..] else {
            panic!("not a row of five: {line}");
        };
        Row {
            keys: keys.split(", ").map(|key| key.trim_matches('`')).collect(),
            places: places.split(", ").flat_map(places_of).collect(),
            default,
            is_foreign: does.starts_with("nothing:") && !places.contains("everywhere"),
        }
    });
    rows.collect()
}

/// What the page means by a place.
fn places_of(word: &'static str) -> Vec<&'static str> {
    let entries = ["node", "while_loop", "dynamic_parallel", "matrix", "each"];
    match word {
        "any node" => [&entries[..], &["step"]].concat(),
        "any entry" => entries.to_vec(),
        "any work" => vec!["node", "dynamic_parallel", "matrix", "each", "step"],
        "everywhere" => vec![],
        place => vec![place],
    }
}

/// All pairs of a key and a place in the rows that `of` picks, each of them once.
#[track_caller]
fn listed(of: impl Fn(&Row) -> bool) -> BTreeSet<At> {
    let mut all = BTreeSet::new();
    for row in rows().into_iter().filter(of) {
        for place in row.places {
            for key in &row.keys {
                assert!(all.insert((place, *key)), "{key} of {place} is there twice");
            }
        }
    }
    all
}

fn accepted(keys: impl Fn(&'static Keys) -> Vec<&'static str>) -> BTreeSet<At> {
    let places = PLACES.into_iter();
    let pairs = places.flat_map(|(place, of)| keys(of).into_iter().map(move |key| (place, key)));
    pairs.collect()
}

#[track_caller]
fn assert_same(listed: &BTreeSet<At>, accepted: &BTreeSet<At>) {
    let unlisted: Vec<_> = accepted.difference(listed).collect();
    let unknown: Vec<_> = listed.difference(accepted).collect();
    assert!(unlisted.is_empty(), "not in the table: {unlisted:?}");
    assert!(unknown.is_empty(), "in the table alone: {unknown:?}");
}

#[test]
fn every_kind_of_mapping_is_held_against_the_table() {
    let defined = include_str!("../keys.rs").matches(": Keys = Keys {");
    assert_eq!(defined.count(), PLACES.len());
}

#[test]
fn the_table_has_every_key_that_the_reader_accepts_and_no_other() {
    let listed = listed(|row| !row.is_foreign);
    assert_same(&listed, &accepted(|keys| keys.known().collect()));
    let free = rows().into_iter().find(|row| row.keys[0] == "metadata");
    assert_eq!(free.expect("it is there").keys, ["metadata", "x-..."]);
    for (_, keys) in PLACES {
        assert!(
            keys.accept("metadata") && keys.accept("x-any"),
            "{}",
            keys.of
        );
    }
}

#[test]
fn the_table_has_every_key_that_means_nothing() {
    let listed = listed(|row| row.is_foreign);
    assert_same(&listed, &accepted(|keys| keys.foreign.to_vec()));
}

/// What the reader takes where a file says nothing.
fn defaults() -> Vec<(At, String)> {
    let text = "
nodes:
  - {name: a, retry: {}, on_error: {}}
  - {name: b, on_error: {mode: retry}}
  - {name: c, run: {type: expression, value: '1'}}
  - {name: d, type: dynamic_parallel, items: [1], run: return 1}
";
    let workflow = Source::text(text, "w.yaml").load().expect("it is sound");
    let (settings, config) = (&workflow.model.settings, &workflow.model.config);
    let nodes = &workflow.model.nodes;
    let of = |index: usize| nodes[index].policy.on_error.as_ref().expect("it says so");
    let retry = nodes[0].policy.retry.as_ref().expect("it says so");
    let ErrorMode::Retry(again) = &of(1).mode else {
        panic!("it says `retry`");
    };
    let Work::Expression(expression) = &nodes[2].work else {
        panic!("it is an expression");
    };
    let Work::Each(each) = &nodes[3].work else {
        panic!("it fans out");
    };
    let Items::Dynamic {
        item_var,
        index_var,
        ..
    } = &each.items
    else {
        panic!("it is a dynamic_parallel");
    };
    let start = settings.parallel.start;
    let mut starts = Start::WORDS.iter();
    let start = starts.find(|(_, known)| *known == start);
    let strategy = settings.parallel.merge.strategy;
    let mut strategies = MergeStrategy::WORDS.iter();
    let strategy = strategies.find(|(_, known)| *known == strategy);
    let mut collects = Collect::WORDS.iter();
    let collect = collects.find(|(_, known)| *known == each.together.collect());
    let mode = match of(0).mode {
        ErrorMode::Raise => "raise",
        ErrorMode::Graceful => "graceful",
        ErrorMode::Retry(_) => "retry",
    };
    let list = |is_empty: bool| if is_empty { "[]" } else { "something" }.to_owned();
    let object = |is_empty: bool| if is_empty { "{}" } else { "something" }.to_owned();
    vec![
        (
            ("top level", "initial_state"),
            object(workflow.model.initial_state.is_empty()),
        ),
        (
            ("top level", "variables"),
            object(workflow.model.variables.is_empty()),
        ),
        (
            ("settings", "max_iterations"),
            settings.max_iterations.to_string(),
        ),
        (
            ("settings", "allow_cycles"),
            settings.allow_cycles.to_string(),
        ),
        (("settings", "strict"), settings.strict.to_string()),
        (
            ("parallel", "fail_fast"),
            settings.parallel.fail_fast.to_string(),
        ),
        (
            ("parallel", "merge_strategy"),
            strategy.expect("it has a word").0.to_owned(),
        ),
        (
            ("parallel", "start"),
            start.expect("it has a word").0.to_owned(),
        ),
        (
            ("config", "interrupt_before"),
            list(config.interrupt_before.is_empty()),
        ),
        (
            ("config", "interrupt_after"),
            list(config.interrupt_after.is_empty()),
        ),
        (
            ("config", "raise_exceptions"),
            config.raise_exceptions.to_string(),
        ),
        (("node", "fan_in"), nodes[0].fan_in.to_string()),
        (("dynamic_parallel", "item_var"), item_var.clone()),
        (("dynamic_parallel", "index_var"), index_var.clone()),
        (
            ("dynamic_parallel", "collect"),
            collect.expect("it has a word").0.to_owned(),
        ),
        (("expression", "output_key"), expression.output.clone()),
        (("retry", "max_retries"), retry.max_retries.to_string()),
        (("on_error", "max_retries"), again.max_retries.to_string()),
        (
            ("retry", "base_delay_ms"),
            retry.base_delay.as_millis().to_string(),
        ),
        (
            ("retry", "max_delay_ms"),
            retry.max_delay.as_millis().to_string(),
        ),
        (
            ("on_error", "retry_delay"),
            again.base_delay.as_secs_f64().to_string(),
        ),
        (
            ("retry", "backoff_multiplier"),
            format!("{:?}", retry.backoff_multiplier),
        ),
        (
            ("on_error", "backoff_multiplier"),
            format!("{:?}", again.backoff_multiplier),
        ),
        (("retry", "jitter"), retry.jitter.to_string()),
        (("on_error", "mode"), mode.to_owned()),
        (
            ("on_error", "capture_traceback"),
            of(0).capture_traceback.to_string(),
        ),
    ]
}

#[test]
fn the_defaults_in_the_table_are_those_of_the_reader() {
    let rows = rows();
    let mut held = BTreeSet::new();
    for ((place, key), default) in defaults() {
        let mut of = rows.iter().enumerate();
        let row = of.find(|(_, row)| row.keys.contains(&key) && row.places.contains(&place));
        let (index, row) = row.unwrap_or_else(|| panic!("no {key} of {place}"));
        assert_eq!(row.default, format!("`{default}`"), "{key} of {place}");
        held.insert(index);
    }
    for (index, row) in rows.iter().enumerate() {
        let is_a_value = row.default.starts_with('`')
            && row.default.ends_with('`')
            && row.default.matches('`').count() == 2;
        assert!(
            !is_a_value || held.contains(&index),
            "nothing says that {} of {:?} is {} by default",
            row.keys[0],
            row.places,
            row.default
        );
    }
}
