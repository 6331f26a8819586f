//! How a command ends that neither did what it should nor failed at it.

use std::fmt;

/// The run was interrupted: exit code 130.
#[derive(Debug)]
pub(super) struct Interrupted(pub(super) String);

/// What was asked for on the command line can't be had: exit code 2.
#[derive(Debug)]
pub(super) struct Mistake(pub(super) String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Interrupted {}

impl std::error::Error for Mistake {}
