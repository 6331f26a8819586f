//! Which keys may stand where.

use super::problem::{Code, Problems};
use super::yaml::Entry;

/// The keys of one kind of mapping.
pub(super) struct Keys {
    /// What the mapping is, for messages.
    pub(super) of: &'static str,
    /// Keys with a meaning.
    known: &'static [&'static str],
    /// Keys of the full contract that are not built yet: refused, never ignored.
    later: &'static [&'static str],
    /// Keys of The Edge Agent that this project has no use for: ignored with a warning.
    foreign: &'static [&'static str],
}

/// The top level of a file.
pub(super) const TOP: Keys = Keys {
    of: "a workflow",
    known: &[
        "name",
        "description",
        "language",
        "nodes",
        "edges",
        "initial_state",
        "variables",
        "settings",
    ],
    later: &["state_schema", "config"],
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

/// An entry of `nodes`.
pub(super) const NODE: Keys = Keys {
    of: "a node",
    known: &["name", "run", "script", "language", "fan_in"],
    later: &[
        "body",
        "capabilities",
        "condition",
        "fail_fast",
        "fallback",
        "goto",
        "index_var",
        "interrupt",
        "item_var",
        "items",
        "limits",
        "max_concurrency",
        "max_iterations",
        "max_workers",
        "on_error",
        "parallel_each",
        "retry",
        "steps",
        "strategy",
        "subgraph",
        "timeout",
        "type",
    ],
    foreign: &[
        "action",
        "input",
        "output",
        "parallel_config",
        "streams",
        "uses",
        "with",
    ],
};

/// `run` of a node, written as a mapping.
pub(super) const RUN: Keys = Keys {
    of: "`run`",
    known: &["type", "code"],
    later: &[],
    foreign: &[],
};

/// An entry of `edges`.
pub(super) const EDGE: Keys = Keys {
    of: "an edge",
    known: &["from", "to", "type", "parallel", "fan_in"],
    later: &["condition", "targets", "when"],
    foreign: &["parallel_strategy", "stream_mode"],
};

/// `settings`.
pub(super) const SETTINGS: Keys = Keys {
    of: "`settings`",
    known: &["parallel"],
    later: &[
        "allow_cycles",
        "capabilities",
        "error_handling",
        "limits",
        "max_iterations",
    ],
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
pub(super) const PARALLEL: Keys = Keys {
    of: "`settings.parallel`",
    known: &["max_workers"],
    later: &["fail_fast", "merge_strategy", "timeout"],
    foreign: &["remote", "strategy", "streams"],
};

impl Keys {
    /// Reports every key of `mapping` that has no meaning here.
    pub(super) fn check(&self, mapping: &[Entry], problems: &mut Problems) {
        for entry in mapping {
            let key = entry.key.as_str();
            let place = entry.key_place;
            if self.known.contains(&key) || is_free(key) {
                continue;
            }
            if self.later.contains(&key) {
                let message = format!("`{key}` of {} is not supported yet", self.of);
                problems.error(Code::NotSupported, place, message);
            } else if self.foreign.iter().any(|pattern| matches(pattern, key)) {
                let message = format!("`{key}` of {} has no effect here", self.of);
                problems.warning(Code::IgnoredKey, place, message);
            } else {
                let message = format!("{} has no key `{key}`", self.of);
                let problem = problems.error(Code::UnknownKey, place, message);
                let candidates = self.known.iter().chain(self.later).copied();
                if let Some(nearest) = nearest(key, candidates) {
                    problem.with_hint(format!("did you mean `{nearest}`?"));
                }
            }
        }
    }
}

/// The name among `candidates` that `name` is probably a misspelling of.
pub(super) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    // One slip in a short name, two or three in a long one.
    let tolerated = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        // Spares the comparison with what is much longer, or much shorter, in any encoding.
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= 4 * tolerated)
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
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
