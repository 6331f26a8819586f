//! What is said on standard error of a run, while it goes on and at its end.

use moonfork::workflow::{Event, EventKind, RunOutcome, RunReport};

use super::stream;

/// Passes on what nobody should miss.
pub(super) fn warn(event: &Event) {
    match &event.kind {
        EventKind::ConditionFailed {
            node,
            condition,
            message,
        } => stream::note(format_args!(
            "warning: the condition `{condition}` after `{node}` failed, and counts as false: \
             {message}"
        )),
        EventKind::InstanceReplaced { gone, store_id } => stream::note(format_args!(
            "warning: instance {gone} was stopped; {store_id} takes its place, without its globals"
        )),
        EventKind::Fallback { node, to, error } => stream::note(format_args!(
            "warning: `{node}` failed, and the run goes on with `{to}`: {}",
            error.message
        )),
        EventKind::BranchEnd {
            success: false,
            error: Some(error),
            ..
        } if !error.is_cancelled() => {
            let branch = event.branch.as_deref().unwrap_or_default();
            stream::note(format_args!(
                "warning: the branch `{branch}` failed: {}",
                error.message
            ));
        }
        EventKind::Shortened { bytes } => stream::note(format_args!(
            "warning: in the result, entries of `parallel_results` are without what they share: it \
             would take {} MB more",
            bytes / 1_000_000
        )),
        EventKind::Resume { .. } => stream::note(format_args!(
            "resumed on a new instance: Lua's globals from before are gone"
        )),
        _ => {}
    }
}

/// Says what happens, in one line.
pub(super) fn narrate(event: &Event) {
    warn(event);
    let place = event.branch.as_ref().map(|branch| format!("{branch}: "));
    let place = place.unwrap_or_default();
    match &event.kind {
        EventKind::Start { checkpoint, .. } | EventKind::Resume { checkpoint, .. } => {
            if let Some(checkpoint) = checkpoint {
                stream::note(format_args!("[checkpoints in {}]", checkpoint.display()));
            }
        }
        EventKind::NodeEnd {
            node,
            outcome,
            wall_ms,
            ..
        } => {
            let how = match outcome {
                RunOutcome::Done => "done",
                _ => "FAILED",
            };
            stream::note(format_args!("[{place}{node} {how} in {wall_ms} ms]"));
        }
        EventKind::BranchEnd { success, .. } => {
            let how = match success {
                true => "done",
                false => "FAILED",
            };
            stream::note(format_args!("[{place}branch {how}]"));
        }
        EventKind::Retry {
            node,
            attempt,
            delay_ms,
            error,
        } => stream::note(format_args!(
            "[{place}{node}: attempt {attempt} in {delay_ms} ms, after {}]",
            error.message
        )),
        _ => {}
    }
}

/// Says that output was cut off, on a line of its own.
pub(super) fn note_truncated(report: &RunReport) {
    let nodes = report.instances.iter().flat_map(|it| &it.nodes);
    let mut cut = nodes.filter(|node| node.output_truncated).peekable();
    if cut.peek().is_some() {
        if cut.any(|node| !node.output.ends_with('\n')) {
            stream::note(format_args!(""));
        }
        stream::note_truncated();
    }
}
