//! `--workers`: where branches run.

use std::env;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::str::FromStr;

use anyhow::Context;
use clap::ArgMatches;
use moonfork::workflow::Workers;

#[cfg(feature = "nats")]
use super::nats;
use super::{flags, worker};

/// Where branches run.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Where {
    /// So many processes of this program.
    Processes(NonZeroUsize),
    /// Workers of the server at this address.
    #[cfg(feature = "nats")]
    Nats(String),
}

impl FromStr for Where {
    type Err = String;

    fn from_str(text: &str) -> Result<Where, String> {
        #[cfg(feature = "nats")]
        if let Ok(url) = nats::url(text) {
            return Ok(Where::Nats(url));
        }
        let number = text
            .strip_prefix("local:")
            .and_then(|number| number.parse().ok());
        let how = match cfg!(feature = "nats") {
            true => {
                "write `local:N`, where N is how many processes, at least 1, or `nats://HOST:PORT`"
            }
            false => {
                "write `local:N`, where N is how many processes, at least 1; for servers of NATS \
                 this program has to be built with its feature `nats`"
            }
        };
        Ok(Where::Processes(number.ok_or(how)?))
    }
}

/// Where branches run, and whoever asks for it.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct WhereArgs {
    /// Run branches in other processes: `local:N` are N processes of this program, with the limits and
    /// grants of this one; an address are the workers that serve that server of NATS.
    #[arg(long, value_name = "WHERE")]
    workers: Option<Where>,

    #[cfg(feature = "nats")]
    #[command(flatten)]
    who: nats::NatsArgs,
}

impl WhereArgs {
    /// Whoever runs branches, if it isn't this process: processes have the limits and grants that this one was
    /// started with, and `slots` instances for branches each.
    ///
    /// # Errors
    /// If it isn't known which program this is.
    pub(super) fn workers(
        &self,
        slots: usize,
        matches: &ArgMatches,
    ) -> anyhow::Result<Option<Workers>> {
        #[cfg(feature = "nats")]
        if let Some(Where::Nats(url)) = &self.workers {
            return Ok(Some(Workers::nats(self.who.nats(url))));
        }
        #[cfg(feature = "nats")]
        self.who.check_unused()?;
        let Some(Where::Processes(count)) = self.workers else {
            return Ok(None);
        };
        let program = env::current_exe().context("the program that workers are to be")?;
        let own = ["worker", "--stdio", "--slots"].map(OsString::from);
        let arguments = own.into_iter().chain([slots.to_string().into()]);
        let given = flags::given(&worker::command(), matches, worker::OWN);
        let arguments = arguments.chain(given);
        Ok(Some(Workers::processes(count, program, arguments)))
    }
}
