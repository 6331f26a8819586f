//! Whether all Lua of a workflow parses.

use std::collections::HashSet;

use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::definition::Workflow;
use crate::workflow::model::{LuaText, Work};
use crate::workflow::parts;
use crate::{Cancel, Chunk, Error, Grants, Pool, Result, RunMain, RunOptions};

/// Parses Lua in an instance of its own, which is granted nothing and runs nothing. It takes the
/// place that the main instance of a run takes later, so that no run waits for more than it did.
pub(super) struct Parser(RunMain);

impl Parser {
    /// # Errors
    /// If there is no instance to be had.
    pub(super) fn new(pool: &Pool, cancel: Option<&Cancel>) -> Result<Parser> {
        let options = RunOptions::new().grants(Grants::none());
        let options = match cancel {
            Some(cancel) => options.cancel_handle(cancel),
            None => options,
        };
        pool.run_main_with(&options).map(Parser)
    }

    /// Reports every Lua source of a workflow that doesn't parse, and every one that YAML has
    /// cut off.
    ///
    /// # Errors
    /// If there is no finding out.
    pub(super) fn all(&mut self, workflow: &Workflow, problems: &mut Problems) -> Result<()> {
        // A file that several nodes share has its mistakes once.
        let mut seen = HashSet::new();
        for part in parts::of(&workflow.model) {
            let modules = part.model.modules.iter();
            let modules = modules.map(|(name, source)| (format!("the module `{name}`"), source));
            let nodes = part.nodes.iter().filter_map(|inside| match inside.work() {
                Work::Lua(source) => {
                    Some((format!("the Lua of `{}`", inside.node.name.value), source))
                }
                _ => None,
            });
            for (what, source) in modules.chain(nodes) {
                if seen.insert(source.place) {
                    self.one(&what, source, problems)?;
                }
            }
        }
        Ok(())
    }

    /// Reports one Lua source, if it doesn't parse.
    ///
    /// # Errors
    /// If there is no finding out.
    pub(super) fn one(
        &mut self,
        what: &str,
        source: &LuaText,
        problems: &mut Problems,
    ) -> Result<()> {
        let failed = self.syntax_error(&source.text)?;
        if let Some(comment) = &source.comment {
            let whole = [&source.text, comment.as_bytes()].concat();
            if failed.is_some() || self.syntax_error(&whole)?.is_none() {
                let comment = comment.trim();
                let message =
                    format!("{what} ends before `{comment}`, which YAML takes for a comment");
                problems
                    .error(Code::LuaSyntax, source.place, message)
                    .with_hint("put the code in quotes, or below `run: |`");
                return Ok(());
            }
        }
        if let Some(error) = failed {
            let line = error
                .position()
                .and_then(|at| usize::try_from(at.line).ok());
            let place = line.map_or(source.place, |line| Place {
                line: source.first_line + line.max(1) - 1,
                column: None,
                ..source.place
            });
            let message = format!("{what} doesn't parse: {}", error.bare_message());
            problems.error(Code::LuaSyntax, place, message);
        }
        Ok(())
    }

    /// The error that a text ends with which doesn't parse.
    fn syntax_error(&mut self, text: &[u8]) -> Result<Option<Error>> {
        match self.0.check(Chunk::body(text)) {
            Ok(()) => Ok(None),
            Err(error) if error.is_syntax() => Ok(Some(error)),
            Err(error) => Err(error),
        }
    }
}

/// Lua that can't be parsed for another reason than its text: that is no mistake of the workflow's,
/// and its nodes may never come to run.
pub(super) fn cannot(error: &Error, problems: &mut Problems) {
    let message = format!("whether the Lua parses can't be found out: {error}");
    problems.warning(Code::LuaSyntax, None, message);
}
