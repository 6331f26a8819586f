//! Why a node, a branch or a run couldn't go on.

use std::borrow::Cow;
use std::sync::Arc;

use crate::diagnostics::{Code, Place, Problem, Severity};
use crate::workflow::outside::Outside;
use crate::workflow::report::Failure;

/// What a failure says, and what lies behind it.
pub(crate) struct Trouble {
    pub(crate) failure: Box<Failure>,
    pub(crate) cause: Option<crate::Error>,
    /// The node that failed, and where to look for it; the innermost one.
    pub(crate) node: Option<(Arc<str>, Place)>,
    /// What is wrong with the workflow, where it didn't begin for that.
    pub(crate) problems: Vec<Problem>,
}

impl Trouble {
    /// What the body of a node ended with.
    pub(crate) fn of_node(node: &str, error: crate::Error) -> Trouble {
        Trouble {
            failure: Failure::of_node(node, &error).into(),
            cause: Some(error),
            node: None,
            problems: Vec::new(),
        }
    }

    /// The same without any secret in it. The error of the runtime goes, if it has one.
    pub(crate) fn masked(mut self, outside: &Outside) -> Trouble {
        let failure = &mut self.failure;
        if let Cow::Owned(message) = outside.mask(&failure.message) {
            failure.message = message;
            self.cause = None;
        }
        failure.value = failure.value.take().map(|value| outside.mask_value(value));
        self
    }

    /// What a run doesn't begin with, which `problems` has at least one error of.
    pub(crate) fn before(problems: Vec<Problem>) -> Trouble {
        let errors = problems
            .iter()
            .filter(|it| it.severity() == Severity::Error);
        let lines: Vec<String> = errors.clone().map(Problem::to_string).collect();
        let error_type = match errors.clone().next().map(Problem::code) {
            Some(Code::NotGranted) => "DeniedError",
            Some(Code::LuaSyntax) => "LuaError",
            _ => "ExecutionError",
        };
        Trouble {
            problems,
            ..Failure::own(error_type, lines.join("\n")).into()
        }
    }

    /// The same, of this node if of none yet.
    pub(crate) fn at(mut self, node: &Arc<str>, place: Place) -> Trouble {
        self.node.get_or_insert_with(|| (Arc::clone(node), place));
        self
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble {
            failure: failure.into(),
            cause: None,
            node: None,
            problems: Vec::new(),
        }
    }
}

impl From<crate::Error> for Trouble {
    fn from(error: crate::Error) -> Trouble {
        Trouble {
            failure: Failure::new(&error).into(),
            cause: Some(error),
            node: None,
            problems: Vec::new(),
        }
    }
}
