//! Overlays: files that change another one.
//!
//! Mappings are merged key by key, and lists replaced, but for those whose entries have a name:
//! `nodes` are merged by `name`, `edges` by `from` and `to`, `goto` by `to`. New entries go to
//! the end; `__delete__: true` removes the one that is there.

use crate::diagnostics::{Code, Problems};
use crate::workflow::load::yaml::{Data, Entry, Yaml};

/// The key that removes what it stands in.
const DELETE: &str = "__delete__";

/// The file with the overlay on top of it. `None` if the overlay is no mapping.
pub(crate) fn apply(base: Yaml, overlay: Yaml, problems: &mut Problems) -> Option<Yaml> {
    let place = base.place;
    match (base.data, overlay.data) {
        (Data::Mapping(base), Data::Mapping(overlay)) => Some(Yaml {
            place,
            data: Data::Mapping(mapping(base, overlay, problems)),
        }),
        (base, Data::Mapping(_)) => Some(Yaml { place, data: base }),
        _ => {
            let message = "an overlay is a mapping, as the file that it changes";
            problems.error(Code::InvalidOverlay, overlay.place, message);
            None
        }
    }
}

fn mapping(mut base: Vec<Entry>, overlay: Vec<Entry>, problems: &mut Problems) -> Vec<Entry> {
    for entry in overlay {
        if entry.key == DELETE {
            continue;
        }
        let at = base.iter().position(|known| known.key == entry.key);
        if is_deleted(&entry.value) {
            match at {
                Some(at) => drop(base.remove(at)),
                None => nothing_to_delete(&entry.value, &format!("`{}`", entry.key), problems),
            }
            continue;
        }
        match at {
            Some(at) => {
                let before = std::mem::replace(&mut base[at].value, null(&entry.value));
                base[at].value = value(&entry.key, before, entry.value, problems);
            }
            None => base.push(entry),
        }
    }
    base
}

fn value(key: &str, base: Yaml, overlay: Yaml, problems: &mut Problems) -> Yaml {
    let place = overlay.place;
    match (base.data, overlay.data) {
        (Data::Mapping(base), Data::Mapping(overlay)) => Yaml {
            place,
            data: Data::Mapping(mapping(base, overlay, problems)),
        },
        (Data::List(base), Data::List(overlay)) => {
            let keys: &[&str] = match key {
                "nodes" | "body" => &["name"],
                "edges" => &["from", "to"],
                "goto" => &["to"],
                _ => {
                    return Yaml {
                        place,
                        data: Data::List(overlay),
                    };
                }
            };
            Yaml {
                place,
                data: Data::List(list(keys, base, overlay, problems)),
            }
        }
        (_, data) => Yaml { place, data },
    }
}

fn list(
    keys: &[&str],
    mut base: Vec<Yaml>,
    overlay: Vec<Yaml>,
    problems: &mut Problems,
) -> Vec<Yaml> {
    for item in overlay {
        let at = base.iter().position(|known| same(keys, known, &item));
        if is_deleted(&item) {
            match at {
                Some(at) => drop(base.remove(at)),
                None => nothing_to_delete(&item, "such an entry", problems),
            }
            continue;
        }
        let Some(at) = at else {
            base.push(item);
            continue;
        };
        let before = std::mem::replace(&mut base[at], null(&item));
        base[at] = value("", before, item, problems);
    }
    base
}

/// Whether two entries have the same values under the keys that name them.
fn same(keys: &[&str], one: &Yaml, other: &Yaml) -> bool {
    let (Data::Mapping(one), Data::Mapping(other)) = (&one.data, &other.data) else {
        return false;
    };
    let get = |entries: &[Entry], key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key);
        entry.map(|entry| entry.value.to_json())
    };
    // An edge may have no `to`, but then both must have none.
    keys.iter().all(|key| get(one, key) == get(other, key)) && get(one, keys[0]).is_some()
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
    let message = format!("`{DELETE}`, but there is no {what} in the file below");
    problems.error(Code::InvalidOverlay, yaml.place, message);
}

fn null(like: &Yaml) -> Yaml {
    Yaml {
        place: like.place,
        data: Data::Null,
    }
}
