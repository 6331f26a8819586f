//! Whether all Lua of a workflow parses.

use std::collections::HashSet;

use super::parts;
use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::Workflow;
use crate::workflow::model::{LuaSource, Work};
use crate::{Error, Pool, Result};

/// Reports every Lua source that doesn't parse, and every one that YAML has cut off.
///
/// # Errors
/// If there is no finding out.
pub(super) fn check(workflow: &Workflow, pool: &Pool, problems: &mut Problems) -> Result<()> {
    // A file that several nodes share has its mistakes once.
    let mut seen = HashSet::new();
    for part in parts::of(&workflow.model) {
        let modules = part.model.modules.iter();
        let modules = modules.map(|(name, source)| (format!("the module `{name}`"), source));
        let nodes = part.nodes.iter().filter_map(|inside| match inside.work() {
            Work::Lua(source) => Some((format!("the Lua of `{}`", inside.node.name.value), source)),
            _ => None,
        });
        for (what, source) in modules.chain(nodes) {
            if seen.insert(source.place) {
                one(workflow, pool, &what, source, problems)?;
            }
        }
    }
    Ok(())
}

/// That nobody could find out is not for the workflow to mend.
pub(super) fn cannot(error: &Error, problems: &mut Problems) {
    let message = format!("whether the Lua parses can't be found out: {error}");
    problems.error(Code::LuaSyntax, None, message);
}

/// Reports one Lua source, if it doesn't parse.
///
/// # Errors
/// If there is no finding out.
pub(super) fn one(
    workflow: &Workflow,
    pool: &Pool,
    what: &str,
    source: &LuaSource,
    problems: &mut Problems,
) -> Result<()> {
    let failed = syntax_error(workflow, pool, source, &source.text)?;
    if let Some(comment) = &source.comment {
        let whole = format!("{}{comment}", source.text);
        if failed.is_some() || syntax_error(workflow, pool, source, &whole)?.is_none() {
            let comment = comment.trim();
            let message = format!("{what} ends before `{comment}`, which YAML takes for a comment");
            problems
                .error(Code::LuaSyntax, source.place, message)
                .with_hint("put the code in quotes, or below `run: |`");
            return Ok(());
        }
    }
    if let Some(error) = failed {
        let line = error.position().and_then(|at| usize::try_from(at.line).ok());
        let place = line.map_or(source.place, |line| Place {
            line,
            column: None,
            ..source.place
        });
        let message = format!("{what} doesn't parse: {}", error.bare_message());
        problems.error(Code::LuaSyntax, place, message);
    }
    Ok(())
}

/// The error that a text ends with which doesn't parse.
fn syntax_error(
    workflow: &Workflow,
    pool: &Pool,
    source: &LuaSource,
    text: &str,
) -> Result<Option<Error>> {
    match pool.check(workflow.chunk(source, text)) {
        Ok(()) => Ok(None),
        Err(error) if error.is_syntax() => Ok(Some(error)),
        Err(error) => Err(error),
    }
}
