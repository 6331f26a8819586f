//! What can be known to be wrong before a run begins, of a workflow on a pool: Lua that doesn't
//! parse, functions and folders that aren't there or aren't granted, limits that are too wide.
//!
//! Nothing of the workflow is run. Its Lua is compiled in a sandbox, and thrown away: in one of its own,
//! or on what becomes the main instance of a run, which then has waited for one instance, once.

mod lua;
mod needs;

use crate::Pool;
use crate::diagnostics::{Problem, Problems, Severity};
use crate::workflow::RunSettings;
use crate::workflow::definition::Workflow;
pub(crate) use lua::Parser;

impl Workflow {
    /// What is known to be wrong with a run on `pool` with these options, before it begins. A
    /// run looks for the same, and doesn't begin with an error among it.
    ///
    /// All Lua is parsed in a sandbox, and none of it is run. Then the functions that nodes use
    /// are looked up, with the keys that they are given where `options` describe them
    /// ([`RunSettings::describe`]); capabilities, folders, secrets and limits are held against
    /// what there is.
    pub fn check(&self, pool: &Pool, options: &RunSettings) -> Vec<Problem> {
        self.check_with(pool, options, &mut Parser::alone(pool, options))
    }

    /// The same with a parser of the caller's, whose instance can be used afterwards.
    pub(crate) fn check_with(
        &self,
        pool: &Pool,
        options: &RunSettings,
        parser: &mut Parser<'_>,
    ) -> Vec<Problem> {
        let mut problems = Problems::with_files(self.files.clone());
        problems.extend(self.lua_problems(parser));
        needs::check(self, pool, options, parser, &mut problems);
        if let Some(error) = parser.failed() {
            lua::cannot(error, &mut problems);
        }
        problems.into_sorted()
    }

    /// Lua that doesn't parse: looked for once, since that depends on nothing but the text.
    fn lua_problems(&self, parser: &mut Parser<'_>) -> Vec<Problem> {
        if let Some(known) = self.parsed.get() {
            return known.clone();
        }
        let mut problems = Problems::with_files(self.files.clone());
        parser.all(self, &mut problems);
        match parser.failed() {
            None => self.parsed.get_or_init(|| problems.into_vec()).clone(),
            Some(_) => problems.into_vec(),
        }
    }
}

/// Whether a run may not begin.
pub(crate) fn refuses(problems: &[Problem]) -> bool {
    let mut problems = problems.iter();
    problems.any(|problem| problem.severity() == Severity::Error)
}
