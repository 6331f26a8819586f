//! What a node may use, and what happens when it fails.

use std::time::Duration;

use super::shape::{
    boolean, duration, find, get, mapping, number, section, size, some, string, strings, whole,
    word,
};
use crate::diagnostics::{Code, Problems};
use crate::workflow::load::keys;
use crate::workflow::load::yaml::Entry;
use crate::workflow::model::{Capabilities, ErrorMode, OnError, Policy, Retry};
use crate::{Amount, Limit, PartialLimits, Unit};

pub(crate) fn read(node: &[Entry], problems: &mut Problems) -> Policy {
    let policy = Policy {
        retry: retry(node, problems),
        fallback: word(node, "fallback", Code::InvalidNode, problems),
        on_error: on_error(node, "on_error", problems),
        timeout: duration(node, "timeout", problems),
        limits: limits(node, problems),
        limits_place: find(node, "limits").map(|entry| entry.key_place),
        capabilities: capabilities(node, problems),
    };
    if let (Some(_), Some(on_error)) = (&policy.retry, &policy.on_error)
        && matches!(on_error.mode, ErrorMode::Retry(_))
        && let Some(yaml) = some(node, "on_error")
    {
        let message = "`retry` and `on_error: {mode: retry}` both say how often to try again";
        problems.error(Code::InvalidNode, yaml.place, message);
    }
    if let (Some(_), Some(on_error)) = (&policy.fallback, &policy.on_error)
        && let Some(fallback) = &on_error.fallback
    {
        let message = "the node has a `fallback` already";
        problems.error(Code::InvalidNode, fallback.place, message);
    }
    policy
}

fn retry(node: &[Entry], problems: &mut Problems) -> Option<Retry> {
    let section = section(node, &keys::RETRY, "retry", problems)?;
    let mut retry = Retry::default();
    if let Some(most) = retries(section, problems) {
        retry.max_retries = most;
    }
    let forever = u64::from(u32::MAX);
    if let Some(delay) = whole(section, "base_delay_ms", 0..=forever, problems) {
        retry.base_delay = Duration::from_millis(delay);
    }
    if let Some(delay) = whole(section, "max_delay_ms", 0..=forever, problems) {
        retry.max_delay = Duration::from_millis(delay);
    }
    if let Some(multiplier) = number(section, "backoff_multiplier", 0.0, problems) {
        retry.backoff_multiplier = multiplier;
    }
    if let Some(jitter) = boolean(section, "jitter", problems) {
        retry.jitter = jitter;
    }
    Some(retry)
}

fn retries(section: &[Entry], problems: &mut Problems) -> Option<u32> {
    let most = whole(section, "max_retries", 0..=1_000_000, problems)?;
    u32::try_from(most).ok()
}

pub(crate) fn on_error(parent: &[Entry], key: &str, problems: &mut Problems) -> Option<OnError> {
    let section = section(parent, &keys::ON_ERROR, key, problems)?;
    let mut retry = Retry {
        jitter: false,
        only: strings(section, "retryable_errors", problems)
            .into_iter()
            .map(|word| word.value)
            .collect(),
        ..Retry::default()
    };
    if let Some(most) = retries(section, problems) {
        retry.max_retries = most;
    }
    if let Some(delay) = number(section, "retry_delay", 0.0, problems) {
        retry.base_delay = Duration::try_from_secs_f64(delay).unwrap_or(Duration::MAX);
    }
    if let Some(multiplier) = number(section, "backoff_multiplier", 0.0, problems) {
        retry.backoff_multiplier = multiplier;
    }
    let mode = match some(section, "mode") {
        None => ErrorMode::Raise,
        Some(yaml) => {
            let mode = string(yaml, "`mode`", Code::InvalidValue, problems)?;
            match mode.value.as_str() {
                "raise" => ErrorMode::Raise,
                "graceful" => ErrorMode::Graceful,
                "retry" => ErrorMode::Retry(retry),
                other => {
                    let message =
                        format!("`mode` is `raise`, `graceful` or `retry`, not `{other}`");
                    problems.error(Code::InvalidValue, mode.place, message);
                    return None;
                }
            }
        }
    };
    Some(OnError {
        mode,
        fallback: word(section, "fallback", Code::InvalidNode, problems),
        capture_traceback: boolean(section, "capture_traceback", problems).unwrap_or(true),
    })
}

pub(crate) fn limits(parent: &[Entry], problems: &mut Problems) -> PartialLimits {
    let mut limits = PartialLimits::default();
    let Some(section) = section(parent, &keys::LIMITS, "limits", problems) else {
        return limits;
    };
    for &limit in Limit::ALL {
        let name = limit.name();
        let amount = match limit.unit() {
            Unit::Time => duration(section, name, problems).map(Amount::Time),
            Unit::Bytes => size(section, name, problems).map(|bytes| Amount::Bytes(bytes as u64)),
            Unit::Count => whole(section, name, 0..=u64::MAX, problems).map(Amount::Count),
        };
        if let (Some(amount), Some(yaml)) = (amount, get(section, name))
            && let Err(error) = limits.set(limit, amount)
        {
            let message = format!("`{name}` is {amount}; {error}");
            problems.error(Code::InvalidValue, yaml.place, message);
        }
    }
    limits
}

pub(crate) fn capabilities(parent: &[Entry], problems: &mut Problems) -> Option<Capabilities> {
    some(parent, "capabilities")?;
    Some(Capabilities {
        names: strings(parent, "capabilities", problems),
    })
}

/// What `uses` is given, written as a mapping of its own.
pub(crate) fn action<'y>(node: &'y [Entry], problems: &mut Problems) -> Option<&'y [Entry]> {
    let yaml = some(node, "action")?;
    let entries = mapping(yaml, &keys::ACTION, Code::InvalidNode, problems)?;
    keys::ACTION.check(entries, problems);
    Some(entries)
}
