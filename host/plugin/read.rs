//! From the text of a manifest to a [`Manifest`], or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use semver::Version;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::manifest::{Lifetime, Manifest, WantedLimits, Wants};
use super::place::Place;
use super::problem::{Code, Problem, Problems, suggest};
use crate::{Access, Limits};

/// The text of a manifest.
pub(super) struct ManifestText<'t> {
    /// The file that it is in.
    pub(super) file: &'t Arc<str>,
    /// All of that file.
    pub(super) text: &'t str,
    /// Where in there the manifest is.
    pub(super) range: Range<usize>,
    /// The entry, where it isn't for the manifest to name one.
    pub(super) fixed_entry: Option<&'t str>,
}

/// Where in a manifest is what, by dotted keys: `wants.functions.lookup`.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, Place>);

impl Places {
    /// The place of a key, or of the nearest thing around it that has one.
    pub(super) fn of(&self, key: &str) -> Option<Place> {
        let mut key = key;
        loop {
            if let Some(place) = self.0.get(key) {
                return Some(*place);
            }
            key = key.rsplit_once('.')?.0;
        }
    }
}

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
const LIMITS: &[&str] = &[
    "wall",
    "fuel",
    "memory",
    "output",
    "host_calls",
    "value",
    "depth",
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
    };
    let manifest = reader.manifest();
    let places = reader.places;
    let sound = problems.count() == before;
    manifest
        .filter(|_| sound)
        .map(|manifest| (manifest, places))
}

struct Reader<'r, 't> {
    source: &'r ManifestText<'t>,
    problems: &'r mut Problems,
    places: Places,
}

/// A table, and how messages call it.
struct Table<'v, 'i> {
    /// Its dotted key, empty at the top.
    key: &'static str,
    entries: &'v DeTable<'i>,
    span: Range<usize>,
}

type Entry<'v, 'i> = &'v Spanned<DeValue<'i>>;

impl<'v, 'i> Table<'v, 'i> {
    fn get(&self, name: &str) -> Option<Entry<'v, 'i>> {
        self.entries.get(name)
    }

    fn path(&self, name: &str) -> String {
        if self.key.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.key)
        }
    }
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
                .add(Code::TomlParse, self.source.file, place, message);
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

    fn place(&self, offset: usize) -> Place {
        Place::of(self.source.text, self.source.range.start + offset)
    }

    fn problem(&mut self, code: Code, at: &Range<usize>, message: String) -> &mut Problem {
        let place = self.place(at.start);
        self.problems
            .add(code, self.source.file, Some(place), message)
    }

    fn invalid(&mut self, key: &str, at: &Range<usize>, why: impl std::fmt::Display) {
        self.problem(Code::InvalidValue, at, format!("`{key}` {why}"));
    }

    /// Notes where everything in `table` is, and reports what has no business there.
    fn check_keys(&mut self, table: &Table<'_, '_>, known: &[&str]) {
        for key in table.entries.keys() {
            let name: &str = key.get_ref();
            let place = self.place(key.span().start);
            self.places.0.insert(table.path(name), place);
            if known.contains(&name) {
                continue;
            }
            let of = match table.key {
                "" => "a manifest".to_owned(),
                key => format!("`{key}`"),
            };
            let message = format!("{of} has no key `{name}`");
            let hint = suggest(name, known.iter().copied());
            let problem = self.problem(Code::UnknownKey, &key.span(), message);
            if let Some(hint) = hint {
                problem.with_hint(hint);
            }
        }
    }

    fn optional<T>(
        &mut self,
        table: &Table<'_, '_>,
        name: &str,
        read: impl FnOnce(&mut Self, &str, Entry<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        let entry = table.get(name)?;
        read(self, &table.path(name), entry)
    }

    fn required<T>(
        &mut self,
        table: &Table<'_, '_>,
        name: &str,
        read: impl FnOnce(&mut Self, &str, Entry<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        if table.get(name).is_none() {
            let message = format!("the manifest has no `{}`", table.path(name));
            self.problem(Code::MissingKey, &table.span, message);
        }
        self.optional(table, name, read)
    }

    /// The value of `entry`, if `get` finds what it should be.
    fn typed<'v, 'i, T>(
        &mut self,
        key: &str,
        entry: Entry<'v, 'i>,
        what: &str,
        get: impl FnOnce(&'v DeValue<'i>) -> Option<T>,
    ) -> Option<T> {
        let value = entry.get_ref();
        let got = get(value);
        if got.is_none() {
            let why = format!("must be {what}, not {}", shown_type(value));
            self.invalid(key, &entry.span(), why);
        }
        got
    }

    fn text(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<String> {
        self.typed(key, entry, "a string", |value| {
            value.as_str().map(ToOwned::to_owned)
        })
    }

    /// A string that `parse` makes something of.
    fn parsed<T>(
        &mut self,
        key: &str,
        entry: Entry<'_, '_>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(key, entry)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.invalid(key, &entry.span(), format_args!("is {text:?}: {why}"));
                None
            }
        }
    }

    fn name(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<String> {
        self.parsed(key, entry, |text| {
            let fits = text.len() <= 40
                && text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.bytes().all(|b| {
                    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_'
                });
            fits.then(|| text.to_owned()).ok_or_else(|| {
                "a name is a lower-case letter, and up to 39 of a-z, 0-9, - and _".to_owned()
            })
        })
    }

    fn version(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<Version> {
        self.parsed(key, entry, |text| {
            Version::parse(text).map_err(|error| format!("{error}; write it as in 1.2.0"))
        })
    }

    fn entry(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<String> {
        self.parsed(key, entry, |text| {
            let path = Path::new(text);
            let stays = path
                .components()
                .all(|component| matches!(component, Component::Normal(_)));
            if !stays || text.contains('\\') {
                return Err("it must be a path beneath the plugin's folder".to_owned());
            }
            if !text.ends_with(".lua") {
                return Err("it must be a file whose name ends in .lua".to_owned());
            }
            Ok(text.to_owned())
        })
    }

    fn fixed_entry(&mut self, top: &Table<'_, '_>, entry: &str) -> Option<String> {
        if let Some(entry) = top.get("entry") {
            let why = "has no effect here: a plugin in one file is its own entry";
            self.invalid("entry", &entry.span(), why);
        }
        Some(entry.to_owned())
    }

    fn lifetime(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<Lifetime> {
        self.parsed(key, entry, |text| match text {
            "fresh" => Ok(Lifetime::Fresh),
            "kept" => Ok(Lifetime::Kept),
            _ => Err("it must be \"fresh\" or \"kept\"".to_owned()),
        })
    }

    /// A table, whose keys are noted by their places; `known` are those that it may have.
    fn table<'v, 'i>(
        &mut self,
        key: &'static str,
        entry: Entry<'v, 'i>,
        what: &str,
        known: Option<&[&str]>,
    ) -> Option<Table<'v, 'i>> {
        let entries = self.typed(key, entry, what, DeValue::as_table)?;
        let table = Table {
            key,
            entries,
            span: entry.span(),
        };
        match known {
            Some(known) => self.check_keys(&table, known),
            None => {
                for name in entries.keys() {
                    let place = self.place(name.span().start);
                    self.places.0.insert(table.path(name.get_ref()), place);
                }
            }
        }
        Some(table)
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

    fn names(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<Vec<String>> {
        let list = self.typed(key, entry, "a list of names", DeValue::as_array)?;
        let mut names = Vec::new();
        for item in list {
            let Some(name) = self.typed(key, item, "a list of names", DeValue::as_str) else {
                continue;
            };
            if names.iter().any(|known| known == name) {
                self.invalid(key, &item.span(), format_args!("names `{name}` twice"));
            }
            let place = self.place(item.span().start);
            self.places.0.insert(format!("{key}.{name}"), place);
            names.push(name.to_owned());
        }
        Some(names)
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

    fn limits(&mut self, _key: &str, entry: Entry<'_, '_>) -> Option<WantedLimits> {
        let table = self.table("limits", entry, "a table", Some(LIMITS))?;
        let memory = (*Limits::MEMORY_RANGE.start(), *Limits::MEMORY_RANGE.end());
        let limits = WantedLimits {
            wall: self.optional(&table, "wall", Self::duration),
            fuel: self.optional(&table, "fuel", Self::number),
            memory: self.optional(&table, "memory", |reader, key, entry| {
                reader.size(key, entry, memory)
            }),
            output: self.optional(&table, "output", |reader, key, entry| {
                reader.size(key, entry, (0, usize::MAX))
            }),
            host_calls: self.optional(&table, "host_calls", Self::number),
            value: self.optional(&table, "value", |reader, key, entry| {
                reader.size(key, entry, (Limits::MIN_VALUE, u32::MAX as usize))
            }),
            depth: self.optional(&table, "depth", Self::depth),
        };
        if limits.fuel == Some(0) {
            let at = table.get("fuel").map_or(entry.span(), Spanned::span);
            self.invalid("limits.fuel", &at, "is zero; no call could run");
        }
        Some(limits)
    }

    fn number(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<u64> {
        self.typed(key, entry, "a whole number, not negative", |value| {
            let number = value.as_integer()?;
            u64::from_str_radix(number.as_str(), number.radix()).ok()
        })
    }

    fn depth(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<usize> {
        let depth = self.number(key, entry)?;
        match usize::try_from(depth) {
            Ok(depth) if (1..=Limits::MAX_DEPTH).contains(&depth) => Some(depth),
            _ => {
                let why = format!("is {depth}; it must be between 1 and {}", Limits::MAX_DEPTH);
                self.invalid(key, &entry.span(), why);
                None
            }
        }
    }

    fn duration(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<Duration> {
        self.parsed(key, entry, |text| match humantime::parse_duration(text) {
            Ok(Duration::ZERO) => Err("no call could run".to_owned()),
            Ok(duration) => Ok(duration),
            Err(error) => Err(format!("{error}; write it as in 300ms or 1m 30s")),
        })
    }

    /// A number of bytes, as a number or as in `16MiB`.
    fn size(
        &mut self,
        key: &str,
        entry: Entry<'_, '_>,
        (least, most): (usize, usize),
    ) -> Option<usize> {
        let bytes = if entry.get_ref().as_integer().is_some() {
            self.number(key, entry)?
        } else {
            self.parsed(key, entry, |text| {
                let size = text.parse::<ByteSize>();
                size.map(|size| size.as_u64())
                    .map_err(|error| format!("{error}; write it as in 16MiB"))
            })?
        };
        match usize::try_from(bytes) {
            Ok(bytes) if (least..=most).contains(&bytes) => Some(bytes),
            _ => {
                let [least, most] = [least, most].map(|bytes| ByteSize(bytes as u64));
                let why = format!(
                    "is {}; it must be between {least} and {most}",
                    ByteSize(bytes)
                );
                self.invalid(key, &entry.span(), why);
                None
            }
        }
    }
}

fn shown_type(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a string".to_owned(),
        DeValue::Integer(number) => format!("the integer {number}"),
        DeValue::Float(_) => "a float".to_owned(),
        DeValue::Boolean(_) => "a boolean".to_owned(),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Whether `text` is a name that Lua code could use.
fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
