//! What can be wrong with a workflow file, and where.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

/// A position in one of a workflow's files. Lines and columns count from one, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Which of the files that were read, by the order they were read in.
    pub(crate) source: u16,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Whether a workflow with this problem can still be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The workflow is refused.
    Error,
    /// The workflow is accepted; something in it does less than its author may expect.
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

/// Declares [`Code`] with the word each code is written as, so that the two can't drift apart.
macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $word:literal,)+) => {
        /// The kind of a [`Problem`]: a stable word that scripts can rely on.
        ///
        /// Where The Edge Agent has a word for the same mistake, it is the same here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])+ $name,)+
        }

        impl Code {
            /// The word, as in `EDGE_TO_UNDEFINED`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $word,)+
                }
            }
        }
    };
}

codes! {
    /// The file can't be read.
    FileUnreadable = "FILE_UNREADABLE",
    /// The text is not YAML, or more of it than a workflow can be.
    YamlParse = "YAML_PARSE",
    /// The same key twice in one mapping.
    DuplicateKey = "DUPLICATE_KEY",
    /// A key that is not a string.
    InvalidKey = "INVALID_KEY",
    /// A value of the wrong type, or out of range.
    InvalidValue = "INVALID_VALUE",
    /// The file does not hold a mapping.
    InvalidRoot = "INVALID_ROOT",
    /// A required key is missing.
    MissingField = "MISSING_FIELD",
    /// A key that means nothing.
    UnknownKey = "UNKNOWN_KEY",
    /// A key of The Edge Agent that has no effect here (a warning).
    IgnoredKey = "IGNORED_KEY",
    /// `nodes` is not a list with at least one node.
    InvalidNodes = "INVALID_NODES",
    /// A node is not a mapping, or its keys contradict each other.
    InvalidNode = "INVALID_NODE",
    /// A node without a name.
    MissingNodeName = "MISSING_NODE_NAME",
    /// Two nodes of the same name.
    DuplicateNode = "DUPLICATE_NODE",
    /// A node that is written in another language than Lua.
    UnsupportedLanguage = "UNSUPPORTED_LANGUAGE",
    /// A node that no way leads to (a warning).
    UnreferencedNode = "UNREFERENCED_NODE",
    /// A node of a branch that also runs on the main instance, because it is written next
    /// (a warning).
    BranchNodeInSequence = "BRANCH_NODE_IN_SEQUENCE",
    /// A node marked as a fan-in that no fan-out leads to (a warning).
    UnusedFanIn = "UNUSED_FAN_IN",
    /// `edges` is not a list.
    InvalidEdges = "INVALID_EDGES",
    /// An edge is not a mapping, or contradicts itself or another edge.
    InvalidEdge = "INVALID_EDGE",
    /// An edge without `from`.
    EdgeMissingFrom = "EDGE_MISSING_FROM",
    /// An edge that leads nowhere.
    EdgeMissingTo = "EDGE_MISSING_TO",
    /// An edge from a node that doesn't exist.
    EdgeFromUndefined = "EDGE_FROM_UNDEFINED",
    /// An edge to a node that doesn't exist.
    EdgeToUndefined = "EDGE_TO_UNDEFINED",
    /// An edge from a node whose `goto` always leads elsewhere (a warning).
    EdgeNeverTaken = "EDGE_NEVER_TAKEN",
    /// A fan-in that doesn't exist.
    FanInUndefined = "PARALLEL_FAN_IN_UNDEFINED",
    /// A fan-out that names no fan-in, and whose branches don't meet in one.
    FanInMissing = "PARALLEL_FAN_IN_MISSING",
    /// Nodes that lead back to themselves with no condition that could end it: the run stops
    /// at the limit of iterations (a warning).
    UnconditionalCycle = "UNCONDITIONAL_CYCLE",
    /// Nodes that lead back to themselves where `allow_cycles` is false.
    CycleNotAllowed = "CYCLE_NOT_ALLOWED",
    /// A `goto` or `fallback` to a node that doesn't exist.
    GotoUndefined = "GOTO_UNDEFINED",
    /// A condition that doesn't parse.
    InvalidCondition = "INVALID_CONDITION",
    /// A value with `{{ }}` that doesn't parse.
    InvalidTemplate = "INVALID_TEMPLATE",
    /// A while_loop that lacks something, or has too much.
    InvalidLoop = "INVALID_LOOP",
    /// A dynamic_parallel that says nothing of what to run, or several things.
    DynamicMode = "DYN_PARALLEL_MODE",
    /// A dynamic_parallel without `items`.
    DynamicMissingItems = "DYN_PARALLEL_MISSING_ITEMS",
    /// The fan-in of a node that fans out doesn't exist.
    DynamicFanInUndefined = "DYN_PARALLEL_FAN_IN_UNDEFINED",
    /// The fan-in of a node that fans out is not where the run goes next (a warning).
    DynamicFanInNotNext = "DYN_PARALLEL_FAN_IN_NOT_NEXT",
    /// An interrupt in a place where a run can't stop.
    InterruptInBranch = "INTERRUPT_IN_BRANCH",
    /// An interrupt at a node that doesn't exist.
    InterruptUndefined = "INTERRUPT_UNDEFINED",
    /// A subgraph that can't be had.
    InvalidSubgraph = "INVALID_SUBGRAPH",
    /// Part of an overlay that fits nowhere.
    InvalidOverlay = "INVALID_OVERLAY",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong with a workflow file.
///
/// Displayed as `file:line:column: error [CODE]: message`, and a hint on a line of its own
/// where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    severity: Severity,
    code: Code,
    file: Arc<str>,
    place: Option<Place>,
    message: String,
    hint: Option<String>,
}

impl Problem {
    /// Whether the workflow is refused for it.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The file, by the name it was loaded under.
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

    /// Adds what might help.
    pub(crate) fn with_hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
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

/// Why a workflow was refused: everything that was found wrong, in the order of the file.
///
/// There is at least one error among the problems; warnings are listed with them.
#[derive(Clone, Debug)]
pub struct LoadError {
    problems: Vec<Problem>,
}

impl LoadError {
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

/// Collects the problems of a workflow's files, so that one look finds as many as possible.
pub(crate) struct Problems {
    files: Vec<Arc<str>>,
    found: Vec<Problem>,
}

impl Problems {
    /// For a workflow whose first file goes by this name.
    pub(crate) fn new(file: Arc<str>) -> Self {
        Problems {
            files: vec![file],
            found: Vec::new(),
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
        let file = self.files[usize::from(source)].clone();
        self.error(Code::FileUnreadable, None, why).file = file;
    }

    /// Adds an error; the answer can be given a hint.
    pub(crate) fn error(
        &mut self,
        code: Code,
        place: impl Into<Option<Place>>,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Error, code, place.into(), message.into())
    }

    /// Adds a warning; the answer can be given a hint.
    pub(crate) fn warning(
        &mut self,
        code: Code,
        place: impl Into<Option<Place>>,
        message: impl Into<String>,
    ) -> &mut Problem {
        self.add(Severity::Warning, code, place.into(), message.into())
    }

    fn add(
        &mut self,
        severity: Severity,
        code: Code,
        place: Option<Place>,
        message: String,
    ) -> &mut Problem {
        let problem = Problem {
            severity,
            code,
            file: self.files[place.map_or(0, |place| usize::from(place.source))].clone(),
            place,
            message,
            hint: None,
        };
        self.found.push(problem);
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// How many errors there are so far.
    pub(crate) fn errors(&self) -> usize {
        let is_error = |problem: &&Problem| problem.severity == Severity::Error;
        self.found.iter().filter(is_error).count()
    }

    /// `value` and the warnings, if there was no error and there is a value.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<(T, Vec<Problem>), LoadError> {
        self.found.sort_by_key(|problem| problem.place);
        // Two branches may come upon the same mistake.
        let mut said = HashSet::new();
        self.found
            .retain(|it| said.insert((it.place, it.code, it.message.clone())));
        match value {
            Some(value) if self.errors() == 0 => Ok((value, self.found)),
            _ => Err(LoadError {
                problems: self.found,
            }),
        }
    }
}
