//! `--workers`: where branches run.

use std::env;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::str::FromStr;

use anyhow::Context;
use clap::ArgMatches;
use moonfork::workflow::Workers;

use super::{flags, worker};

/// Where branches run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Where {
    /// So many processes of this program.
    processes: NonZeroUsize,
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Where, String> {
        let number = text
            .strip_prefix("local:")
            .and_then(|number| number.parse().ok());
        let processes =
            number.ok_or("write `local:N`, where N is how many processes, at least 1")?;
        Ok(Where { processes })
    }
}

impl Where {
    /// Processes with the limits and grants that this one was started with, and `slots` instances for
    /// branches each.
    ///
    /// # Errors
    /// If it isn't known which program this is.
    pub(super) fn workers(self, slots: usize, matches: &ArgMatches) -> anyhow::Result<Workers> {
        let program = env::current_exe().context("the program that workers are to be")?;
        let own = ["worker", "--stdio", "--slots"].map(OsString::from);
        let arguments = own.into_iter().chain([slots.to_string().into()]);
        let given = flags::given(&worker::command(), matches, worker::OWN);
        let arguments = arguments.chain(given);
        Ok(Workers::processes(self.processes, program, arguments))
    }
}
