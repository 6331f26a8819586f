//! How a command ends that neither did what it should nor failed at it.

use std::fmt;

/// The run was interrupted: exit code 130.
#[derive(Debug)]
pub(super) struct Interrupted(pub(super) String);

/// What was looked at has mistakes, which were told already: exit code 1.
#[derive(Debug)]
pub(super) struct Refused;

/// What was asked for on the command line can't be had, whatever the files hold: exit code 2.
#[derive(Debug)]
pub(super) struct Mistake(String);

impl Mistake {
    /// As an error of a command.
    pub(super) fn error(message: impl Into<String>) -> anyhow::Error {
        Mistake(message.into()).into()
    }
}

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

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there are mistakes")
    }
}

impl std::error::Error for Refused {}

impl std::error::Error for Interrupted {}

impl std::error::Error for Mistake {}
