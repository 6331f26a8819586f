//! Which keys may stand where. The table of all keys in `docs/workflows.md` is held against this.

#[cfg(test)]
mod documented;

use crate::Limit;
use crate::diagnostics::{Code, Problems};
use crate::workflow::load::yaml::Entry;

/// The keys of one kind of mapping.
pub(crate) struct Keys {
    /// What the mapping is, for messages.
    pub(crate) of: &'static str,
    /// Keys with a meaning.
    known: &'static [&'static [&'static str]],
    /// Keys that mean something elsewhere, and what to say of them here.
    elsewhere: &'static [(&'static str, &'static str)],
    /// Keys of The Edge Agent that this project has no use for: ignored with a warning.
    foreign: &'static [&'static str],
}

/// The top level of a file.
pub(crate) const TOP: Keys = Keys {
    of: "a workflow",
    known: &[&[
        "name",
        "description",
        "version",
        "language",
        "nodes",
        "edges",
        "initial_state",
        "modules",
        "prelude",
        "variables",
        "state_schema",
        "outputs",
        "settings",
        "config",
    ]],
    elsewhere: &[],
    foreign: &[
        "data",
        "endpoint",
        "error_policy",
        "extraction_schema",
        "imports",
        "input_schema",
        "observability",
        "output_schema",
        "semantic_probes",
        "validation_constraints",
        "validation_logging",
    ],
};

/// Keys that every node may have, wherever it stands.
const ANY_NODE: &[&str] = &[
    "name",
    "description",
    "language",
    "retry",
    "on_error",
    "timeout",
    "limits",
    "capabilities",
];

/// Keys of an entry of `nodes`.
const ENTRY: &[&str] = &["goto", "interrupt", "fallback"];

/// Keys that say what a node does.
const WORK: &[&str] = &["run", "script", "steps", "uses", "action", "with", "output"];

/// An entry of `nodes`.
pub(crate) const NODE: Keys = Keys {
    of: "a node",
    known: &[
        ANY_NODE,
        ENTRY,
        WORK,
        &["fan_in", "type", "strategy", "parallel_each"],
    ],
    elsewhere: &[
        ("body", WHILE_ONLY),
        ("condition", WHILE_ONLY),
        ("max_iterations", WHILE_ONLY),
        ("items", DYNAMIC_ONLY),
        ("item_var", DYNAMIC_ONLY),
        ("index_var", DYNAMIC_ONLY),
        ("subgraph", DYNAMIC_ONLY),
        ("max_concurrency", DYNAMIC_ONLY),
        ("fail_fast", PARALLEL_ONLY),
        ("merge", PARALLEL_ONLY),
        ("until", FAN_OUT_ONLY),
        ("reduce", FAN_OUT_ONLY),
        ("collect", FAN_OUT_ONLY),
        ("max_workers", PARALLEL_ONLY),
    ],
    foreign: &["input", "parallel_config", "streams"],
};

const WHILE_ONLY: &str = "it belongs to a node of `type: while_loop`";
const DYNAMIC_ONLY: &str = "it belongs to a node of `type: dynamic_parallel`";
const PARALLEL_ONLY: &str = "it belongs to a node that fans out, or into `settings.parallel`";
const FAN_OUT_ONLY: &str = "it belongs to a node that fans out, or to an edge to branches";
const ONE_FAN_OUT: &str = "it belongs to one fan-out: to an edge, or a node";
const NOT_MERGED: &str =
    "what its branches return is in `parallel_results`, and isn't merged; `reduce` folds it";
const NO_WAY: &str = "nodes in here follow each other as they are written";

/// A node of `type: while_loop`.
pub(crate) const WHILE: Keys = Keys {
    of: "a while_loop",
    known: &[
        ANY_NODE,
        ENTRY,
        &["type", "condition", "max_iterations", "body"],
    ],
    elsewhere: &[
        ("run", "what it repeats are the nodes of `body`"),
        ("script", "what it repeats are the nodes of `body`"),
        ("steps", "what it repeats are the nodes of `body`"),
        ("uses", "what it repeats are the nodes of `body`"),
        ("fan_in", "branches can meet in a node before it"),
    ],
    foreign: &["streams"],
};

/// A node of `type: dynamic_parallel`.
pub(crate) const DYNAMIC: Keys = Keys {
    of: "a dynamic_parallel",
    known: &[
        ANY_NODE,
        ENTRY,
        WORK,
        &[
            "type",
            "items",
            "item_var",
            "index_var",
            "subgraph",
            "input",
            "max_concurrency",
            "fail_fast",
            "fan_in",
            "merge",
            "parallel_config",
            "until",
            "reduce",
            "collect",
        ],
    ],
    elsewhere: &[],
    foreign: &["streams"],
};

/// A node with `strategy`.
pub(crate) const MATRIX: Keys = Keys {
    of: "a node with `strategy`",
    known: &[
        ANY_NODE,
        ENTRY,
        WORK,
        &["strategy", "fan_in", "parallel_config"],
    ],
    elsewhere: &[
        ("merge", NOT_MERGED),
        ("until", "it belongs into `strategy`"),
        ("reduce", "it belongs into `strategy`"),
        ("collect", "it belongs into `strategy`"),
    ],
    foreign: &["streams"],
};

/// A node with `parallel_each`.
pub(crate) const EACH: Keys = Keys {
    of: "a node with `parallel_each`",
    known: &[
        ANY_NODE,
        ENTRY,
        WORK,
        &[
            "parallel_each",
            "max_workers",
            "fail_fast",
            "fan_in",
            "parallel_config",
            "until",
            "reduce",
            "collect",
        ],
    ],
    elsewhere: &[("merge", NOT_MERGED)],
    foreign: &["streams"],
};

/// A node inside of a loop, or a step.
pub(crate) const STEP: Keys = Keys {
    of: "a step",
    known: &[ANY_NODE, WORK],
    elsewhere: &[
        ("goto", NO_WAY),
        ("fallback", NO_WAY),
        ("fan_in", NO_WAY),
        (
            "interrupt",
            "a run can stop only between entries of `nodes`",
        ),
    ],
    foreign: &["streams", "input"],
};

/// `run` of a node, written as a mapping.
pub(crate) const RUN: Keys = Keys {
    of: "`run`",
    known: &[&["type", "code", "file"]],
    elsewhere: &[("value", EXPRESSION_ONLY), ("output_key", EXPRESSION_ONLY)],
    foreign: &[],
};

const EXPRESSION_ONLY: &str = "it belongs to `type: expression`";

/// `run` of a node, written as a mapping of `type: expression`.
pub(crate) const EXPRESSION: Keys = Keys {
    of: "`run` of `type: expression`",
    known: &[&["type", "value", "output_key"]],
    elsewhere: &[("code", "it belongs to `type: lua`")],
    foreign: &[],
};

/// `parallel_config` of a node that fans out.
pub(crate) const PARALLEL_CONFIG: Keys = Keys {
    of: "`parallel_config`",
    known: &[&[
        "fail_fast",
        "max_concurrency",
        "max_workers",
        "timeout",
        "timeout_seconds",
    ]],
    elsewhere: &[],
    foreign: &[
        "circuit_breaker",
        "include_timing",
        "retry_policy",
        "strategy",
    ],
};

/// `action` of a node, written as a mapping.
pub(crate) const ACTION: Keys = Keys {
    of: "`action`",
    known: &[&["uses", "with", "output"]],
    elsewhere: &[],
    foreign: &[],
};

/// An entry of `goto`.
pub(crate) const RULE: Keys = Keys {
    of: "a rule of `goto`",
    known: &[&["if", "to", "when", "then"]],
    elsewhere: &[("condition", "write `if`")],
    foreign: &[],
};

/// `strategy` of a node.
pub(crate) const STRATEGY: Keys = Keys {
    of: "`strategy`",
    known: &[&[
        "matrix",
        "fail_fast",
        "max_parallel",
        "until",
        "reduce",
        "collect",
    ]],
    elsewhere: &[],
    foreign: &[],
};

/// What `matrix` holds besides its dimensions.
pub(crate) const COMBINATIONS: Keys = Keys {
    of: "`matrix`",
    known: &[&["exclude", "include"]],
    elsewhere: &[],
    foreign: &[],
};

/// `retry` of a node.
pub(crate) const RETRY: Keys = Keys {
    of: "`retry`",
    known: &[&[
        "max_retries",
        "base_delay_ms",
        "max_delay_ms",
        "backoff_multiplier",
        "jitter",
    ]],
    elsewhere: &[],
    foreign: &[],
};

/// `on_error` of a node, and `settings.error_handling`.
pub(crate) const ON_ERROR: Keys = Keys {
    of: "`on_error`",
    known: &[&[
        "mode",
        "max_retries",
        "retry_delay",
        "backoff_multiplier",
        "retryable_errors",
        "fallback",
        "capture_traceback",
    ]],
    elsewhere: &[],
    foreign: &[],
};

/// `limits`, wherever they are.
pub(crate) const LIMITS: Keys = Keys {
    of: "`limits`",
    known: &[Limit::NAMES],
    elsewhere: &[],
    foreign: &[],
};

/// A key of `state_schema`, written as a mapping.
pub(crate) const SCHEMA: Keys = Keys {
    of: "a key of `state_schema`",
    known: &[&["type", "description"]],
    elsewhere: &[],
    foreign: &[
        "default",
        "enum",
        "example",
        "examples",
        "items",
        "properties",
        "required",
    ],
};

/// An entry of `edges`.
pub(crate) const EDGE: Keys = Keys {
    of: "an edge",
    known: &[&[
        "description",
        "from",
        "to",
        "type",
        "parallel",
        "fan_in",
        "when",
        "condition",
        "targets",
        "merge",
        "until",
        "reduce",
        "collect",
    ]],
    elsewhere: &[("if", "write `when`"), ("goto", "write `to`")],
    foreign: &["parallel_strategy", "stream_mode"],
};

/// `condition` of an edge, written as a mapping.
pub(crate) const CONDITION: Keys = Keys {
    of: "`condition`",
    known: &[&["type", "value"]],
    elsewhere: &[],
    foreign: &[],
};

/// `settings`.
pub(crate) const SETTINGS: Keys = Keys {
    of: "`settings`",
    known: &[&[
        "allow_cycles",
        "capabilities",
        "error_handling",
        "interrupt_after",
        "interrupt_before",
        "limits",
        "max_iterations",
        "parallel",
        "raise_exceptions",
        "strict",
    ]],
    elsewhere: &[],
    foreign: &[
        "auth",
        "auto_trace",
        "firestore",
        "graph",
        "llm",
        "ltm",
        "memory_infrastructure",
        "opik",
        "rate_limiters",
        "secrets",
        "session",
        "shell_providers",
        "trace_*",
    ],
};

/// `settings.parallel`.
pub(crate) const PARALLEL: Keys = Keys {
    of: "`settings.parallel`",
    known: &[&[
        "fail_fast",
        "max_workers",
        "merge",
        "merge_strategy",
        "pool",
        "start",
        "strategy",
        "timeout",
        "where",
    ]],
    elsewhere: &[
        ("until", ONE_FAN_OUT),
        ("reduce", ONE_FAN_OUT),
        ("collect", ONE_FAN_OUT),
    ],
    foreign: &["remote", "streams"],
};

/// `config`.
pub(crate) const CONFIG: Keys = Keys {
    of: "`config`",
    known: &[&[
        "checkpoint_dir",
        "interrupt_after",
        "interrupt_before",
        "raise_exceptions",
    ]],
    elsewhere: &[],
    foreign: &["checkpoint"],
};

impl Keys {
    /// Reports every key of `mapping` that has no meaning here.
    pub(crate) fn check(&self, mapping: &[Entry], problems: &mut Problems) {
        for entry in mapping {
            let key = entry.key.as_str();
            let place = entry.key_place;
            if self.known().any(|known| known == key) || is_free(key) {
                continue;
            }
            if let Some((_, why)) = self.elsewhere.iter().find(|(known, _)| *known == key) {
                let message = format!("`{key}` means nothing on {}: {why}", self.of);
                problems.error(Code::UnknownKey, place, message);
            } else if self.foreign.iter().any(|pattern| matches(pattern, key)) {
                let message = format!("`{key}` of {} has no effect here", self.of);
                problems.warning(Code::IgnoredKey, place, message);
            } else {
                let message = format!("{} has no key `{key}`", self.of);
                let nearest = problems.suggestions().nearest(key, self.known());
                let problem = problems.error(Code::UnknownKey, place, message);
                if let Some(nearest) = nearest {
                    problem.with_hint(format!("did you mean `{nearest}`?"));
                    problems.note_misspelt(mapping[0].key_place, nearest);
                }
            }
        }
    }

    /// Whether a key has a meaning here, or is known to have one elsewhere.
    pub(crate) fn accept(&self, key: &str) -> bool {
        self.known().any(|known| known == key)
            || is_free(key)
            || self.elsewhere.iter().any(|(known, _)| *known == key)
            || self.foreign.iter().any(|pattern| matches(pattern, key))
    }

    /// The keys with a meaning.
    pub(crate) fn known(&self) -> impl Iterator<Item = &'static str> {
        self.known.iter().copied().flatten().copied()
    }
}

/// Keys that anyone may use for anything.
fn is_free(key: &str) -> bool {
    key == "metadata" || key.starts_with("x-")
}

fn matches(pattern: &str, key: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => key.starts_with(prefix),
        None => pattern == key,
    }
}
