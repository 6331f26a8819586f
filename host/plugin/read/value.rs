//! Single values of a manifest: names, versions, paths, numbers, durations, sizes.

use std::path::{Component, Path};

use semver::Version;

use super::reader::Reader;
use super::table::Entry;
use crate::plugin::manifest::Lifetime;
use crate::{Amount, Limit, Unit};

impl Reader<'_, '_> {
    pub(super) fn name(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<String> {
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

    pub(super) fn version(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<Version> {
        self.parsed(key, entry, |text| {
            Version::parse(text).map_err(|error| format!("{error}; write it as in 1.2.0"))
        })
    }

    pub(super) fn entry(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<String> {
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

    pub(super) fn lifetime(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<Lifetime> {
        self.parsed(key, entry, |text| match text {
            "fresh" => Ok(Lifetime::Fresh),
            "kept" => Ok(Lifetime::Kept),
            _ => Err("it must be \"fresh\" or \"kept\"".to_owned()),
        })
    }

    pub(super) fn number(&mut self, key: &str, entry: Entry<'_, '_>) -> Option<u64> {
        self.typed(key, entry, "a whole number, not negative", |value| {
            let number = value.as_integer()?;
            u64::from_str_radix(number.as_str(), number.radix()).ok()
        })
    }

    /// An amount of a limit: a number, but for times, or text as in `16MiB`.
    pub(super) fn amount(
        &mut self,
        key: &str,
        entry: Entry<'_, '_>,
        limit: Limit,
    ) -> Option<Amount> {
        match limit.unit() {
            Unit::Count => self.number(key, entry).map(Amount::Count),
            Unit::Bytes if entry.get_ref().as_integer().is_some() => {
                self.number(key, entry).map(Amount::Bytes)
            }
            _ => self.parsed(key, entry, |text| {
                limit.parse(text).map_err(|error| error.to_string())
            }),
        }
    }
}
