//! What is wrong with something that a person wrote, and where: the same for workflows, for
//! the manifests of plugins and on the command line.
//!
//! A look at a file finds as many [`Problem`]s as it can, each with its [`Place`], a stable
//! [`Code`] and, where there is one, a hint. A file with an error among them is refused with a
//! [`LoadError`] that holds them all.

mod code;
mod nearest;
mod place;
mod problem;
#[cfg_attr(
    not(feature = "workflow"),
    expect(
        dead_code,
        reason = "a workflow may have several files, a manifest is one"
    )
)]
mod problems;

pub use code::Code;
pub use place::Place;
pub use problem::{LoadError, Problem, Severity};

pub(crate) use nearest::Suggestions;
pub(crate) use problems::Problems;
