//! Whether all Lua of a workflow parses.

use std::collections::HashSet;

use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::definition::Workflow;
use crate::workflow::model::{LuaText, Work};
use crate::workflow::parts;
use crate::{Chunk, Error, Grants, Pool, Result, RunMain, RunOptions, workflow};

/// Parses Lua on an instance that it takes when there is the first Lua to parse, and runs nothing
/// on it.
pub(crate) struct Parser<'p> {
    pool: &'p Pool,
    /// What the instance is made with.
    options: RunOptions,
    instance: Option<RunMain>,
    /// Why no more can be found out, once that is so.
    failed: Option<Error>,
}

impl<'p> Parser<'p> {
    /// A parser on an instance that is granted nothing. It takes the place that the main instance
    /// of a run takes later, so that no run waits for more than it did.
    pub(super) fn alone(pool: &'p Pool, options: &workflow::RunSettings) -> Parser<'p> {
        let own = RunOptions::new().grants(Grants::none());
        let own = match &options.cancel {
            Some(cancel) => own.cancel_handle(cancel),
            None => own,
        };
        Parser::new(pool, own)
    }

    /// A parser on an instance that is made with these options.
    pub(crate) fn new(pool: &'p Pool, options: RunOptions) -> Parser<'p> {
        Parser {
            pool,
            options,
            instance: None,
            failed: None,
        }
    }

    /// Why something couldn't be found out, if it couldn't.
    pub(super) fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// The instance, if one was needed, for whoever goes on with it.
    ///
    /// # Errors
    /// If one was needed, and none was to be had.
    pub(crate) fn into_instance(self) -> Result<Option<RunMain>> {
        match (self.instance, self.failed) {
            (None, Some(error)) => Err(error),
            (instance, _) => Ok(instance.filter(RunMain::is_live)),
        }
    }

    /// Reports every Lua source of a workflow that doesn't parse, and every one that YAML has
    /// cut off.
    pub(super) fn all(&mut self, workflow: &Workflow, problems: &mut Problems) {
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
            let prelude = part.model.prelude.iter();
            let prelude = prelude.map(|source| ("the prelude".to_owned(), source));
            for (what, source) in prelude.chain(modules).chain(nodes) {
                if seen.insert(source.place) {
                    self.one(&what, source, problems);
                }
            }
        }
    }

    /// Reports one Lua source, if it doesn't parse.
    pub(super) fn one(&mut self, what: &str, source: &LuaText, problems: &mut Problems) {
        if self.failed.is_none()
            && let Err(error) = self.look_at(what, source, problems)
        {
            self.failed = Some(error);
        }
    }

    fn look_at(&mut self, what: &str, source: &LuaText, problems: &mut Problems) -> Result<()> {
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
        let instance = match &mut self.instance {
            Some(instance) => instance,
            none => none.insert(self.pool.run_main_with(&self.options)?),
        };
        match instance.check(Chunk::body(text)) {
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
