//! What is said on standard error of a run, while it goes on and at its end.

use std::path::Path;

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
            report,
            ..
        } if !error.is_cancelled() => {
            let branch = event.branch.as_deref().unwrap_or_default();
            stream::note(format_args!(
                "warning: the branch `{branch}` failed: {}",
                error.message
            ));
            let journal = report.as_ref().and_then(|report| report.journal.as_ref());
            if let Some(journal) = journal {
                replay_by(journal);
            }
        }
        EventKind::JournalLost { message } => stream::note(format_args!("warning: {message}")),
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

/// Says how to run again what a journal is of.
fn replay_by(journal: &Path) {
    let file = journal.display().to_string();
    // No file's name has a zero in it.
    let file = shlex::try_quote(&file).unwrap_or_default();
    stream::note(format_args!("  journal: moonfork replay {file}"));
}

/// Says where the journals of main instances are on which a node failed that ended the run.
pub(super) fn note_journals(report: &RunReport) {
    if report.outcome != RunOutcome::Failed {
        return;
    }
    let mains = report.instances.iter().filter(|it| it.branch.is_none());
    if let Some(journal) = mains.filter_map(|it| it.journal.as_ref()).next_back() {
        replay_by(journal);
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
