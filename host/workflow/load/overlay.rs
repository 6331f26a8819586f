//! Overlays: files that change another one.
//!
//! Mappings are merged key by key, and lists replaced, but for those whose entries have a name:
//! `nodes` are merged by `name`, `edges` by `from` and `to`, `goto` by `to`. New entries go to
//! the end; `__delete__: true` removes the one that is there.

use std::collections::HashMap;

use crate::diagnostics::{Code, Problems};
use crate::workflow::load::yaml::{Data, Entry, Yaml};

/// The key that removes what it stands in.
const DELETE: &str = "__delete__";

/// The file with the overlay on top of it; one in which there is nothing changes nothing. `None`
/// if the overlay is no mapping.
pub(crate) fn apply(base: Yaml, overlay: Yaml, problems: &mut Problems) -> Option<Yaml> {
    let place = base.place;
    match (base.data, overlay.data) {
        (Data::Mapping(base), Data::Mapping(overlay)) => {
            let data = Data::Mapping(mapping(base, overlay, problems));
            Some(Yaml::new(place, data))
        }
        (base, Data::Mapping(_) | Data::Null) => Some(Yaml::new(place, base)),
        _ => {
            let message = "an overlay is a mapping, as the file that it changes";
            problems.error(Code::InvalidOverlay, overlay.place, message);
            None
        }
    }
}

fn mapping(base: Vec<Entry>, overlay: Vec<Entry>, problems: &mut Problems) -> Vec<Entry> {
    let mut merged: Vec<Option<Entry>> = base.into_iter().map(Some).collect();
    let key = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.key.clone());
    let mut places: HashMap<String, usize> = HashMap::new();
    for (at, known) in merged.iter().enumerate() {
        places.extend(key(known).map(|key| (key, at)));
    }
    for entry in overlay {
        if entry.key == DELETE {
            continue;
        }
        if is_deleted(&entry.value) {
            match places.remove(&entry.key) {
                Some(at) => merged[at] = None,
                None => nothing_to_delete(&entry.value, &format!("no `{}`", entry.key), problems),
            }
            continue;
        }
        match places.get(&entry.key).map(|at| &mut merged[*at]) {
            Some(Some(below)) => {
                let before = std::mem::replace(&mut below.value, null(&entry.value));
                below.value = value(&entry.key, before, entry.value, problems);
            }
            _ => {
                places.insert(entry.key.clone(), merged.len());
                merged.push(Some(entry));
            }
        }
    }
    merged.into_iter().flatten().collect()
}

fn value(key: &str, base: Yaml, overlay: Yaml, problems: &mut Problems) -> Yaml {
    let place = overlay.place;
    let keys: &[&str] = match key {
        "nodes" | "body" => &["name"],
        "edges" => &["from", "to"],
        "goto" => &["to"],
        _ => &[],
    };
    match (base.data, overlay.data) {
        (Data::Mapping(base), Data::Mapping(overlay)) => {
            Yaml::new(place, Data::Mapping(mapping(base, overlay, problems)))
        }
        (Data::List(base), Data::List(overlay)) if !keys.is_empty() => {
            Yaml::new(place, Data::List(list(keys, base, overlay, problems)))
        }
        (_, data) => Yaml { data, ..overlay },
    }
}

fn list(keys: &[&str], base: Vec<Yaml>, overlay: Vec<Yaml>, problems: &mut Problems) -> Vec<Yaml> {
    let mut merged: Vec<Option<Yaml>> = base.into_iter().map(Some).collect();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (at, known) in merged.iter().enumerate() {
        if let Some(name) = known.as_ref().and_then(|known| name(keys, known)) {
            // Of several of the same name it is the first that is meant.
            places.entry(name).or_insert(at);
        }
    }
    for item in overlay {
        let name = name(keys, &item);
        let at = name.as_ref().and_then(|name| places.get(name)).copied();
        if is_deleted(&item) {
            match (at, name) {
                (Some(at), Some(name)) => {
                    merged[at] = None;
                    places.remove(&name);
                }
                _ => nothing_to_delete(&item, "no such entry", problems),
            }
            continue;
        }
        match at.map(|at| &mut merged[at]) {
            Some(Some(below)) => {
                let before = std::mem::replace(below, null(&item));
                *below = value("", before, item, problems);
            }
            _ => {
                places.extend(name.map(|name| (name, merged.len())));
                merged.push(Some(item));
            }
        }
    }
    merged.into_iter().flatten().collect()
}

/// The values under the keys that an entry is named by, if it has any of them. An edge may have
/// no `to`, but then both must have none.
fn name(keys: &[&str], entry: &Yaml) -> Option<String> {
    let Data::Mapping(entries) = &entry.data else {
        return None;
    };
    let get = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.to_json())
    };
    get(keys[0])?;
    let values: serde_json::Value = keys.iter().map(|key| get(key)).collect();
    Some(values.to_string())
}

fn is_deleted(yaml: &Yaml) -> bool {
    let Data::Mapping(entries) = &yaml.data else {
        return false;
    };
    entries
        .iter()
        .any(|entry| entry.key == DELETE && entry.value.data == Data::Bool(true))
}

fn nothing_to_delete(yaml: &Yaml, what: &str, problems: &mut Problems) {
    let message = format!("`{DELETE}`, but there is {what} in the file below");
    problems.warning(Code::InvalidOverlay, yaml.place, message);
}

fn null(like: &Yaml) -> Yaml {
    Yaml::new(like.place, Data::Null)
}
