//! What can be wrong with a plugin, and where.

use std::fmt;
use std::sync::Arc;

use super::place::Place;

/// Declares [`Code`] with the word each code is written as, so that the two can't drift apart.
macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $word:literal,)+) => {
        /// The kind of a [`Problem`]: a stable word that scripts can rely on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])+ $name,)+
        }

        impl Code {
            /// The word, as in `NOT_GRANTED`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $word,)+
                }
            }
        }
    };
}

codes! {
    /// A file or folder can't be read, or isn't what it should be.
    FileUnreadable = "FILE_UNREADABLE",
    /// There is no manifest.
    ManifestMissing = "MANIFEST_MISSING",
    /// The manifest is not TOML.
    TomlParse = "TOML_PARSE",
    /// A key that means nothing.
    UnknownKey = "UNKNOWN_KEY",
    /// A required key is missing.
    MissingKey = "MISSING_KEY",
    /// A value of the wrong type, or out of range.
    InvalidValue = "INVALID_VALUE",
    /// There is no plugin of a name that was asked for.
    PluginMissing = "PLUGIN_MISSING",
    /// Two plugins of one name.
    DuplicatePlugin = "DUPLICATE_PLUGIN",
    /// A module of the plugin's own that can't be required by a name of its own.
    ModuleConflict = "MODULE_CONFLICT",
    /// The manifest wants what the host doesn't grant.
    NotGranted = "NOT_GRANTED",
    /// The manifest wants a wider limit than the host gives.
    LimitTooWide = "LIMIT_TOO_WIDE",
    /// The plugin's Lua doesn't parse.
    LuaSyntax = "LUA_SYNTAX",
    /// Running the entry failed.
    EntryFailed = "ENTRY_FAILED",
    /// An exported function isn't there.
    ExportMissing = "EXPORT_MISSING",
    /// The host itself was set up in a way that can't be.
    HostSetup = "HOST_SETUP",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong with a plugin.
///
/// Displayed as `file:line:column: error [CODE]: message`, and a hint on a line of its own
/// where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    file: Arc<str>,
    place: Option<Place>,
    message: String,
    hint: Option<String>,
}

impl Problem {
    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The file or folder, by the path it was loaded from.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where in the file, unless it is about the whole of it.
    pub fn place(&self) -> Option<Place> {
        self.place
    }

    /// What is wrong, without place and code.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What might help.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Adds what might help.
    pub(super) fn with_hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(place) = self.place {
            write!(f, "{place}:")?;
        }
        write!(f, " error [{}]: {}", self.code, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Why plugins were not loaded: everything that was found wrong with all of them, plugin by
/// plugin. There is at least one problem.
#[derive(Clone, Debug)]
pub struct LoadError {
    problems: Vec<Problem>,
}

impl LoadError {
    pub(super) fn new(problems: Vec<Problem>) -> LoadError {
        LoadError { problems }
    }

    /// What was found.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// Collects problems, so that one look finds as many as possible.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// Adds a problem; the answer can be given a hint.
    pub(super) fn add(
        &mut self,
        code: Code,
        file: &Arc<str>,
        place: Option<Place>,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.0.push(Problem {
            code,
            file: Arc::clone(file),
            place,
            message: on_one_line(&message.into()),
            hint: None,
        });
        self.0.last_mut().expect("just added")
    }

    /// Moves those of `other` here, behind the others.
    pub(super) fn append(&mut self, other: &mut Problems) {
        self.0.append(&mut other.0);
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Sorts what was found since there were `count`, all about one plugin, by place.
    pub(super) fn sort_since(&mut self, count: usize) {
        self.0[count..].sort_by(|a, b| (&a.file, a.place).cmp(&(&b.file, b.place)));
    }

    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

/// `text` with control characters escaped: what a stranger wrote is to be shown on one line, and
/// is to tell a terminal nothing.
fn on_one_line(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, c| {
        if c.is_control() {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// `did you mean ...?`, if one of `candidates` is close to `name`; else all of them.
pub(super) fn suggest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    // One slip in a short name, two or three in a long one.
    let tolerated = (name.chars().count() / 3).clamp(1, 3);
    let nearest = candidates
        .iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min();
    match nearest {
        Some((_, nearest)) => Some(format!("did you mean `{nearest}`?")),
        None if candidates.is_empty() => None,
        None => Some(format!("there is: {}", candidates.join(", "))),
    }
}
