//! Collecting problems, so that one look finds as many as possible.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::problem::on_one_line;
use super::{Code, LoadError, Place, Problem, Severity, Suggestions};

/// The problems of files that are read together.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    files: Vec<Arc<str>>,
    found: Vec<Problem>,
    suggestions: Suggestions,
    /// Values that can't be had, whatever else would be wrong with them: their places, and the
    /// problems that say so.
    refused: HashMap<Place, usize>,
    /// Keys that are missing because they are misspelt, with the places of their mappings.
    misspelt: HashSet<(Place, &'static str)>,
}

impl Problems {
    /// For files of which the first goes by this name.
    pub(crate) fn new(file: Arc<str>) -> Self {
        Problems {
            files: vec![file],
            ..Problems::default()
        }
    }

    /// For files that go by these names.
    pub(crate) fn with_files(files: Vec<Arc<str>>) -> Self {
        Problems {
            files,
            ..Problems::default()
        }
    }

    /// Takes one more file in; the answer is what its places have as their source.
    pub(crate) fn add_file(&mut self, name: &str) -> u16 {
        self.files.push(name.into());
        u16::try_from(self.files.len() - 1).unwrap_or(u16::MAX)
    }

    /// The names of all files, in the order of their numbers.
    pub(crate) fn files(&self) -> &[Arc<str>] {
        &self.files
    }

    /// Adds that one of the files can't be read.
    pub(crate) fn unreadable(&mut self, source: u16, why: String) {
        let file = self.file(source);
        self.error_in(&file, Code::FileUnreadable, None, why);
    }

    /// Adds an error; the answer can be given a hint.
    pub(crate) fn error(
        &mut self,
        code: Code,
        place: impl Into<Option<Place>>,
        message: impl Into<String>,
    ) -> &mut Problem {
        let place = place.into();
        let file = self.file(place.map_or(0, |place| place.source));
        self.error_in(&file, code, place, message)
    }

    /// Adds the error that a value can't be had at all. Whatever else is found wrong at its
    /// place comes of that, and isn't said.
    pub(crate) fn refuse(&mut self, code: Code, place: Place, message: impl Into<String>) {
        self.refused.entry(place).or_insert(self.found.len());
        self.error(code, place, message);
    }

    /// Notes that `key` of the mapping at a place is there, but misspelt, which was reported.
    pub(crate) fn note_misspelt(&mut self, mapping: Place, key: &'static str) {
        self.misspelt.insert((mapping, key));
    }

    /// Whether [`note_misspelt`](Self::note_misspelt) was called for `key`.
    pub(crate) fn is_misspelt(&self, mapping: Place, key: &'static str) -> bool {
        self.misspelt.contains(&(mapping, key))
    }

    /// Adds an error in a file that is not among those with numbers; the answer can be given a
    /// hint.
    pub(crate) fn error_in(
        &mut self,
        file: &Arc<str>,
        code: Code,
        place: Option<Place>,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Error, file, code, place, message.into())
    }

    /// Adds a warning; the answer can be given a hint.
    pub(crate) fn warning(
        &mut self,
        code: Code,
        place: impl Into<Option<Place>>,
        message: impl Into<String>,
    ) -> &mut Problem {
        let place = place.into();
        let file = self.file(place.map_or(0, |place| place.source));
        self.add(Severity::Warning, &file, code, place, message.into())
    }

    fn add(
        &mut self,
        severity: Severity,
        file: &Arc<str>,
        code: Code,
        place: Option<Place>,
        message: String,
    ) -> &mut Problem {
        let problem = Problem {
            severity,
            code,
            file: Arc::clone(file),
            place,
            message: on_one_line(message),
            hint: None,
        };
        self.found.push(problem);
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    fn file(&self, source: u16) -> Arc<str> {
        let file = self.files.get(usize::from(source));
        file.cloned().unwrap_or_default()
    }

    /// Where hints about misspelt names come from.
    pub(crate) fn suggestions(&mut self) -> &mut Suggestions {
        &mut self.suggestions
    }

    /// Moves the problems of `other` here, behind the others.
    #[cfg(feature = "plugin")]
    pub(crate) fn append(&mut self, other: &mut Problems) {
        self.found.append(&mut other.found);
    }

    /// How many errors there are so far.
    pub(crate) fn errors(&self) -> usize {
        let is_error = |problem: &&Problem| problem.severity == Severity::Error;
        self.found.iter().filter(is_error).count()
    }

    /// How many problems there are so far.
    #[cfg(feature = "plugin")]
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// Sorts what was found since there were `count`, by file and place.
    #[cfg(feature = "plugin")]
    pub(crate) fn sort_since(&mut self, count: usize) {
        self.found[count..].sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
    }

    /// Adds problems that were found before.
    pub(crate) fn extend(&mut self, found: Vec<Problem>) {
        self.found.extend(found);
    }

    /// All of them.
    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.found
    }

    /// All of them, in the order of the files.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| problem.place);
        self.found
    }

    /// `value` and the warnings, if there was no error and there is a value.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<(T, Vec<Problem>), LoadError> {
        let mut at = 0;
        self.found.retain(|problem| {
            let refused = problem.place.and_then(|place| self.refused.get(&place));
            at += 1;
            refused.is_none_or(|refused| *refused == at - 1)
        });
        self.found.sort_by_key(|problem| problem.place);
        // Two branches may come upon the same mistake.
        let mut said = HashSet::new();
        self.found
            .retain(|it| said.insert((it.place, it.code, it.message.clone())));
        match value {
            Some(value) if self.errors() == 0 => Ok((value, self.found)),
            _ => Err(LoadError::new(self.found)),
        }
    }
}
