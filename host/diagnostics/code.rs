//! The kinds of problems.

use std::fmt;

/// Declares [`Code`] with the word each code is written as, so that the two can't drift apart.
macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $word:literal,)+) => {
        /// The kind of a [`Problem`](super::Problem): a stable word that programs can rely on.
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
    /// A file or folder can't be read, or isn't what it should be.
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
    /// A name in a condition or a template that stands for nothing (a warning, and an error
    /// where `settings.strict` is true).
    UnknownName = "UNKNOWN_NAME",
    /// A host function that doesn't exist.
    UnknownFunction = "UNKNOWN_FUNCTION",
    /// An argument that a host function doesn't have, or that it lacks.
    InvalidArgument = "INVALID_ARGUMENT",
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
    /// More ways through the workflow than can be looked at.
    TooManyWays = "TOO_MANY_WAYS",
    /// An interrupt in a place where a run can't stop.
    InterruptInBranch = "INTERRUPT_IN_BRANCH",
    /// An interrupt at a node that doesn't exist.
    InterruptUndefined = "INTERRUPT_UNDEFINED",
    /// A subgraph that can't be had.
    InvalidSubgraph = "INVALID_SUBGRAPH",
    /// Part of an overlay that fits nowhere.
    InvalidOverlay = "INVALID_OVERLAY",
    /// A plugin without a manifest.
    ManifestMissing = "MANIFEST_MISSING",
    /// The text is not TOML.
    TomlParse = "TOML_PARSE",
    /// A required key of a manifest is missing.
    MissingKey = "MISSING_KEY",
    /// There is no plugin of a name that was asked for.
    PluginMissing = "PLUGIN_MISSING",
    /// Two plugins of one name.
    DuplicatePlugin = "DUPLICATE_PLUGIN",
    /// A module of a plugin's own that can't be required by a name of its own.
    ModuleConflict = "MODULE_CONFLICT",
    /// Something is asked for that the host doesn't grant.
    NotGranted = "NOT_GRANTED",
    /// A wider limit is asked for than the host gives.
    LimitTooWide = "LIMIT_TOO_WIDE",
    /// Lua that doesn't parse.
    LuaSyntax = "LUA_SYNTAX",
    /// Running the entry of a plugin failed.
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
