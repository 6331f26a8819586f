//! From the text of a manifest to a [`Manifest`], or to everything that is wrong with it.

mod reader;
mod table;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use super::manifest::{Manifest, Wants};
use crate::diagnostics::{Code, Problems};
use crate::{Access, Limit, PartialLimits};

use reader::Reader;
use table::{Entry, Table};

pub(super) use reader::{ManifestText, Places};

const TOP: &[&str] = &[
    "name",
    "version",
    "description",
    "entry",
    "instance",
    "exports",
    "wants",
    "limits",
];
const WANTS: &[&str] = &[
    "functions",
    "modules",
    "clock",
    "variables",
    "folders",
    "seed",
];

/// The most that a manifest may have, in bytes.
const MAX_MANIFEST: usize = 64 << 10;

/// Reads a manifest. `None` if there is anything wrong with it.
pub(super) fn read(
    source: &ManifestText<'_>,
    problems: &mut Problems,
) -> Option<(Manifest, Places)> {
    let before = problems.count();
    let mut reader = Reader {
        source,
        problems,
        places: Places::default(),
        misspelt: BTreeSet::new(),
    };
    let manifest = reader.manifest();
    let places = reader.places;
    let sound = problems.count() == before;
    manifest
        .filter(|_| sound)
        .map(|manifest| (manifest, places))
}

impl Reader<'_, '_> {
    fn manifest(&mut self) -> Option<Manifest> {
        let text = &self.source.text[self.source.range.clone()];
        if text.len() > MAX_MANIFEST {
            let message = format!(
                "the manifest has {} bytes, more than the {MAX_MANIFEST} that it may have",
                text.len()
            );
            self.problem(Code::InvalidValue, &(0..0), message);
            return None;
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut found: Vec<_> = errors
            .iter()
            .map(|error| (error.span().map(|span| self.place(span.start)), error))
            .collect();
        // Behind the first mistake of a line, the rest of it means nothing.
        found.sort_by_key(|(place, _)| *place);
        found.dedup_by_key(|(place, _)| place.map(|place| place.line));
        for (place, error) in found {
            let message = format!("the manifest is not TOML: {}", error.message());
            self.problems
                .error_in(self.source.file, Code::TomlParse, place, message);
        }
        if !errors.is_empty() {
            return None;
        }
        let top = Table {
            key: "",
            entries: root.get_ref(),
            span: 0..0,
        };
        self.check_keys(&top, TOP);
        let name = self.required(&top, "name", Self::name);
        let version = self.required(&top, "version", Self::version);
        let description = self.optional(&top, "description", Self::text);
        let entry = match self.source.fixed_entry {
            Some(entry) => self.fixed_entry(&top, entry),
            None => self.required(&top, "entry", Self::entry),
        };
        let instance = self.optional(&top, "instance", Self::lifetime);
        let exports = self.required(&top, "exports", Self::exports);
        let wants = self.optional(&top, "wants", Self::wants);
        let limits = self.optional(&top, "limits", Self::limits);
        Some(Manifest {
            name: name?,
            version: version?,
            description,
            entry: entry?,
            instance: instance.unwrap_or_default(),
            exports: exports?,
            wants: wants.unwrap_or_default(),
            limits: limits.unwrap_or_default(),
        })
    }

    fn fixed_entry(&mut self, top: &Table<'_, '_>, entry: &str) -> Option<String> {
        if let Some(entry) = top.get("entry") {
            let why = "has no effect here: a plugin in one file is its own entry";
            self.invalid("entry", &entry.span(), why);
        }
        Some(entry.to_owned())
    }

    fn exports(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<BTreeMap<String, String>> {
        let what = "a table of function names, each with a description";
        let table = self.table("exports", entry, what, None)?;
        if table.entries.is_empty() {
            let why = "is empty; a plugin without functions is of no use";
            self.invalid(key, &entry.span(), why);
        }
        let mut exports = BTreeMap::new();
        for (name, description) in table.entries {
            let path = table.path(name.get_ref());
            if !name.get_ref().split('.').all(is_identifier) {
                let why = "is not the name of a Lua function";
                self.invalid(&path, &name.span(), why);
            }
            if description.get_ref().is_table() {
                let why = "is a table; the name of a function in a table needs quotes";
                self.invalid(&path, &name.span(), why);
                continue;
            }
            let what = "a string that describes it";
            let text = self.typed(&path, description, what, |value| {
                value.as_str().map(ToOwned::to_owned)
            });
            exports.insert(name.get_ref().to_string(), text.unwrap_or_default());
        }
        Some(exports)
    }

    fn wants(&mut self, _key: &str, entry: Entry<'_, '_>) -> Option<Wants> {
        let table = self.table("wants", entry, "a table", Some(WANTS))?;
        let bool = |value: &DeValue<'_>| value.as_bool();
        Some(Wants {
            functions: self
                .optional(&table, "functions", Self::names)
                .unwrap_or_default(),
            modules: self
                .optional(&table, "modules", Self::names)
                .unwrap_or_default(),
            clock: self
                .optional(&table, "clock", |reader, key, entry| {
                    reader.typed(key, entry, "true or false", bool)
                })
                .unwrap_or_default(),
            variables: self
                .optional(&table, "variables", Self::names)
                .unwrap_or_default(),
            folders: self
                .optional(&table, "folders", Self::folders)
                .unwrap_or_default(),
            seed: self.optional(&table, "seed", Self::number),
        })
    }

    fn folders(&mut self, _key: &str, entry: Entry<'_, '_>) -> Option<BTreeMap<String, Access>> {
        let what = "a table of folder names, each with its access";
        let table = self.table("wants.folders", entry, what, None)?;
        let mut folders = BTreeMap::new();
        for (name, access) in table.entries {
            let access = self.parsed(&table.path(name.get_ref()), access, |text| match text {
                "read-only" => Ok(Access::ReadOnly),
                "read-write" => Ok(Access::ReadWrite),
                _ => Err("it must be \"read-only\" or \"read-write\"".to_owned()),
            });
            if let Some(access) = access {
                folders.insert(name.get_ref().to_string(), access);
            }
        }
        Some(folders)
    }

    fn limits(&mut self, _key: &str, entry: Entry<'_, '_>) -> Option<PartialLimits> {
        let table = self.table("limits", entry, "a table", Some(Limit::NAMES))?;
        let mut limits = PartialLimits::default();
        for &limit in Limit::ALL {
            let amount = self.optional(&table, limit.name(), |reader, key, entry| {
                reader.amount(key, entry, limit)
            });
            if let Some(amount) = amount
                && let Some(entry) = table.get(limit.name())
                && let Err(error) = limits.set(limit, amount)
            {
                let why = format!("is {amount}; {error}");
                self.invalid(&table.path(limit.name()), &entry.span(), why);
            }
        }
        Some(limits)
    }
}

/// Whether `text` is a name that Lua code could use.
fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
