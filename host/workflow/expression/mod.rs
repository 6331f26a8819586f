//! Jinja2 expressions and templates over the state: conditions, and values with `{{ }}`.
//!
//! The engine is minijinja with Python's methods. What it would take too lightly is made
//! strict by [`strict`], which [`rewrite`] puts into the expressions.

mod condition;
mod engine;
mod known;
mod method;
mod names;
mod rewrite;
mod scope;
mod strict;
mod template;

pub(crate) use condition::{Condition, bare, compile};
pub(crate) use engine::message;
pub(crate) use names::{Names, root};
pub(crate) use scope::Scope;
pub(crate) use template::Template;
