//! Where a path through a workflow is: by its nodes' numbers, and by their names.

use serde::{Deserialize, Serialize};

use crate::workflow::plan::{NodeId, Plan};

/// Where a path is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    /// Before the first node.
    Start,
    /// Before this node.
    Node(NodeId),
    /// Before this node, where the run was interrupted.
    Resumed(NodeId),
    /// After this node.
    After(NodeId),
    /// At the end.
    End,
}

/// Where a run goes on, by name: files change less in their names than in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "at", content = "node")]
pub(crate) enum Position {
    Start,
    Before(String),
    /// Where it was interrupted: it doesn't stop there a second time.
    Resumed(String),
    After(String),
    End,
}

impl Position {
    pub(crate) fn of(at: At, plan: &Plan) -> Position {
        match at {
            At::Start => Position::Start,
            At::Node(id) => Position::Before(plan.name(id).to_owned()),
            At::Resumed(id) => Position::Resumed(plan.name(id).to_owned()),
            At::After(id) => Position::After(plan.name(id).to_owned()),
            At::End => Position::End,
        }
    }

    /// The place in a workflow with this plan.
    ///
    /// # Errors
    /// If it has no node of that name.
    pub(crate) fn resolve(&self, plan: &Plan) -> Result<At, String> {
        let find = |name: &str| {
            plan.find(name).ok_or_else(|| {
                format!("the checkpoint is at the node `{name}`, which the workflow doesn't have")
            })
        };
        Ok(match self {
            Position::Start => At::Start,
            Position::Before(name) => At::Node(find(name)?),
            Position::Resumed(name) => At::Resumed(find(name)?),
            Position::After(name) => At::After(find(name)?),
            Position::End => At::End,
        })
    }

    /// The node that it is at.
    pub(crate) fn node(&self) -> Option<&str> {
        match self {
            Position::Start | Position::End => None,
            Position::Before(name) | Position::Resumed(name) | Position::After(name) => Some(name),
        }
    }
}
