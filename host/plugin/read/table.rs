//! Tables of a manifest, and what all of its values have in common: a place, and a type.

use std::fmt::Display;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::reader::Reader;
use crate::diagnostics::{Code, Place, Problem};

/// A table, and how messages call it.
pub(super) struct Table<'v, 'i> {
    /// Its dotted key, empty at the top.
    pub(super) key: &'static str,
    pub(super) entries: &'v DeTable<'i>,
    pub(super) span: Range<usize>,
}

/// A value and its place.
pub(super) type Entry<'v, 'i> = &'v Spanned<DeValue<'i>>;

impl<'v, 'i> Table<'v, 'i> {
    pub(super) fn get(&self, name: &str) -> Option<Entry<'v, 'i>> {
        self.entries.get(name)
    }

    pub(super) fn path(&self, name: &str) -> String {
        if self.key.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.key)
        }
    }
}

impl Reader<'_, '_> {
    pub(super) fn place(&self, offset: usize) -> Place {
        Place::of(self.source.text, self.source.range.start + offset)
    }

    pub(super) fn problem(
        &mut self,
        code: Code,
        at: &Range<usize>,
        message: String,
    ) -> &mut Problem {
        let place = self.place(at.start);
        self.problems
            .error_in(self.source.file, code, Some(place), message)
    }

    pub(super) fn invalid(&mut self, key: &str, at: &Range<usize>, why: impl Display) {
        self.problem(Code::InvalidValue, at, format!("`{key}` {why}"));
    }

    /// Notes where everything in `table` is, and reports what has no business there.
    pub(super) fn check_keys(&mut self, table: &Table<'_, '_>, known: &[&str]) {
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
            let suggestions = self.problems.suggestions();
            let nearest = suggestions.nearest(name, known.iter().copied());
            let hint = suggestions.hint_or_list(name, known.iter().copied());
            if let Some(nearest) = nearest {
                self.misspelt.insert(table.path(nearest));
            }
            let problem = self.problem(Code::UnknownKey, &key.span(), message);
            if let Some(hint) = hint {
                problem.with_hint(hint);
            }
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        table: &Table<'_, '_>,
        name: &str,
        read: impl FnOnce(&mut Self, &str, Entry<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        let entry = table.get(name)?;
        read(self, &table.path(name), entry)
    }

    pub(super) fn required<T>(
        &mut self,
        table: &Table<'_, '_>,
        name: &str,
        read: impl FnOnce(&mut Self, &str, Entry<'_, '_>) -> Option<T>,
    ) -> Option<T> {
        // One that is misspelt is there: that was said already.
        if table.get(name).is_none() && !self.misspelt.contains(&table.path(name)) {
            let message = format!("the manifest has no `{}`", table.path(name));
            self.problem(Code::MissingKey, &table.span, message);
        }
        self.optional(table, name, read)
    }

    /// The value of `entry`, if `get` finds what it should be.
    pub(super) fn typed<'v, 'i, T>(
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

    pub(super) fn text(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<String> {
        self.typed(key, entry, "a string", |value| {
            value.as_str().map(ToOwned::to_owned)
        })
    }

    /// A string that `parse` makes something of.
    pub(super) fn parsed<T>(
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

    /// A table, whose keys are noted by their places; `known` are those that it may have.
    pub(super) fn table<'v, 'i>(
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

    pub(super) fn names(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<Vec<String>> {
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
