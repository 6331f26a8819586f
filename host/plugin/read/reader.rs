//! What reading a manifest needs: its text, and where problems and places go.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::diagnostics::{Place, Problems};

/// The text of a manifest.
pub(in crate::plugin) struct ManifestText<'t> {
    /// The file that it is in.
    pub(in crate::plugin) file: &'t Arc<str>,
    /// All of that file.
    pub(in crate::plugin) text: &'t str,
    /// Where in there the manifest is.
    pub(in crate::plugin) range: Range<usize>,
    /// The entry, where it isn't for the manifest to name one.
    pub(in crate::plugin) fixed_entry: Option<&'t str>,
}

/// Where in a manifest is what, by dotted keys: `wants.functions.lookup`.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Places(pub(super) BTreeMap<String, Place>);

impl Places {
    /// The place of a key, or of the nearest thing around it that has one.
    pub(in crate::plugin) fn of(&self, key: &str) -> Option<Place> {
        let mut key = key;
        loop {
            if let Some(place) = self.0.get(key) {
                return Some(*place);
            }
            key = key.rsplit_once('.')?.0;
        }
    }
}

/// A manifest that is being read.
pub(super) struct Reader<'r, 't> {
    pub(super) source: &'r ManifestText<'t>,
    pub(super) problems: &'r mut Problems,
    pub(super) places: Places,
    /// Keys that are there under a name like theirs, by their dotted names.
    pub(super) misspelt: BTreeSet<String>,
}
