//! Why a node, a branch or a run couldn't go on.

use std::sync::Arc;

use crate::diagnostics::Place;
use crate::workflow::report::Failure;

/// What a failure says, and what lies behind it.
pub(crate) struct Trouble {
    pub(crate) failure: Failure,
    pub(crate) cause: Option<crate::Error>,
    /// The node that failed, and where to look for it; the innermost one.
    pub(crate) node: Option<(Arc<str>, Place)>,
}

impl Trouble {
    /// What the body of a node ended with.
    pub(crate) fn of_node(node: &str, error: crate::Error) -> Trouble {
        Trouble {
            failure: Failure::of_node(node, &error),
            cause: Some(error),
            node: None,
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
            failure,
            cause: None,
            node: None,
        }
    }
}

impl From<crate::Error> for Trouble {
    fn from(error: crate::Error) -> Trouble {
        Trouble {
            failure: Failure::new(&error),
            cause: Some(error),
            node: None,
        }
    }
}
