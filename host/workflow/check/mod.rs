//! What can be known to be wrong before a run begins, of a workflow on a pool: Lua that doesn't
//! parse, functions and folders that aren't there or aren't granted, limits that are too wide.
//!
//! Nothing of the workflow is run. Its Lua is compiled in a sandbox of its own, and thrown away.

mod lua;
mod needs;

use crate::Pool;
use crate::diagnostics::{Problem, Problems, Severity};
use crate::workflow::RunOptions;
use crate::workflow::definition::Workflow;
use lua::Parser;

impl Workflow {
    /// What is known to be wrong with a run on `pool` with these options, before it begins. A
    /// run looks for the same, and doesn't begin with an error among it.
    ///
    /// All Lua is parsed in a sandbox, and none of it is run. Then the functions that nodes use
    /// are looked up, with the keys that they are given where `options` describe them
    /// ([`RunOptions::describe`]); capabilities, folders, secrets and limits are held against
    /// what there is.
    pub fn check(&self, pool: &Pool, options: &RunOptions) -> Vec<Problem> {
        let mut problems = Problems::with_files(self.files.clone());
        problems.extend(self.lua_problems(pool, options));
        needs::check(self, pool, options, &mut problems);
        problems.into_sorted()
    }

    /// Lua that doesn't parse: looked for once, since that depends on nothing but the text.
    fn lua_problems(&self, pool: &Pool, options: &RunOptions) -> Vec<Problem> {
        if let Some(known) = self.parsed.get() {
            return known.clone();
        }
        let mut problems = Problems::with_files(self.files.clone());
        let parsed = Parser::new(pool, options.cancel.as_ref())
            .and_then(|mut parser| parser.all(self, &mut problems));
        match parsed {
            Ok(()) => self.parsed.get_or_init(|| problems.into_vec()).clone(),
            Err(error) => {
                lua::cannot(&error, &mut problems);
                problems.into_vec()
            }
        }
    }
}

/// Whether a run may not begin.
pub(crate) fn refuses(problems: &[Problem]) -> bool {
    let mut problems = problems.iter();
    problems.any(|problem| problem.severity() == Severity::Error)
}
