//! One thing that is wrong, and all of them.

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Code, Place};

/// Whether what has this problem can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It is refused.
    Error,
    /// It is accepted; something in it does less than its author may expect.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One thing that is wrong with a file.
///
/// Displayed as `file:line:column: error [CODE]: message`, and a hint on a line of its own
/// where there is one. Serialised as a mapping with `file`, `line`, `column`, `severity`,
/// `code`, `message` and `hint`; what is not known is null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) severity: Severity,
    pub(super) code: Code,
    pub(super) file: Arc<str>,
    pub(super) place: Option<Place>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Problem {
    /// Whether the file is refused for it.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The file or folder, by the name it was loaded under.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Where in the file, unless it is about the whole file.
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

    /// The same as a warning, for who goes on all the same.
    #[must_use]
    pub fn as_warning(self) -> Problem {
        Problem {
            severity: Severity::Warning,
            ..self
        }
    }

    /// Adds what might help.
    pub(crate) fn with_hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(on_one_line(hint.into()));
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(place) = self.place {
            write!(f, "{place}:")?;
        }
        write!(f, " {} [{}]: {}", self.severity, self.code, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Problem", 7)?;
        fields.serialize_field("file", &*self.file)?;
        fields.serialize_field("line", &self.place.map(|place| place.line))?;
        fields.serialize_field("column", &self.place.and_then(|place| place.column))?;
        fields.serialize_field("severity", &self.severity)?;
        fields.serialize_field("code", self.code.as_str())?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("hint", &self.hint)?;
        fields.end()
    }
}

/// Why something was refused: everything that was found wrong, in the order of the files.
///
/// There is at least one error among the problems; warnings are listed with them.
#[derive(Clone, Debug)]
pub struct LoadError {
    problems: Vec<Problem>,
}

impl LoadError {
    pub(crate) fn new(problems: Vec<Problem>) -> LoadError {
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

/// `text` with control characters escaped: what a stranger wrote is to be shown on one line,
/// and is to tell a terminal nothing.
pub(super) fn on_one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    shown
}
