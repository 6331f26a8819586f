//! What can be known to be wrong before a run begins, of a workflow on a pool: Lua that doesn't
//! parse, functions and folders that aren't there or aren't granted, limits that are too wide.
//!
//! Nothing of the workflow is run. Its Lua is compiled in a sandbox of its own, and thrown away.

mod lua;
mod needs;
mod parts;
mod signature;

use crate::diagnostics::{Problem, Problems, Severity};
use crate::workflow::{RunOptions, Workflow};
use crate::{Grants, Pool};

pub use signature::{Argument, Signature};

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
        problems.extend(self.lua_problems(pool));
        needs::check(self, pool, options, &mut problems);
        problems.into_sorted()
    }

    /// Lua that doesn't parse: looked for once, since that depends on nothing but the text.
    fn lua_problems(&self, pool: &Pool) -> Vec<Problem> {
        if let Some(known) = self.parsed.get() {
            return known.clone();
        }
        let mut problems = Problems::with_files(self.files.clone());
        match lua::check(self, pool, &mut problems) {
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

/// What nodes may do besides computing.
pub(crate) fn granted<'g>(pool: &'g Pool, options: &'g RunOptions) -> &'g Grants {
    options.grants.as_ref().unwrap_or_else(|| pool.grants())
}
