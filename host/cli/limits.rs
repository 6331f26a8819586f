//! Limits as flags, and the pool that keeps them.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use moonfork::{Amount, Limit, Limits, PartialLimits, Pool, PoolBuilder, Unit};

use super::cache;

/// What a script may use: a flag for each limit.
#[derive(Debug)]
pub(super) struct LimitArgs(PartialLimits);

impl LimitArgs {
    /// Settings for a pool that keeps these limits, for one run with at most `branches`
    /// branches at once: each of them reserves address space.
    ///
    /// # Errors
    /// If the folder for compiled code is named so that it can't be trusted.
    pub(super) fn builder(&self, branches: usize) -> anyhow::Result<PoolBuilder> {
        let branches = u32::try_from(branches).unwrap_or(u32::MAX);
        let limits = Limits::default().with(&self.0);
        let pool = Pool::builder().max_branches(branches).max_runs(1);
        let pool = pool.limits(limits);
        let pool = match limits.limits_fuel() {
            true => pool.metered(),
            false => pool,
        };
        Ok(match cache::folder()? {
            Some(folder) => pool.cache_dir(folder),
            None => pool,
        })
    }
}

impl Args for LimitArgs {
    fn augment_args(command: Command) -> Command {
        command.args(Limit::ALL.iter().map(|limit| flag(*limit)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        LimitArgs::augment_args(command)
    }
}

impl FromArgMatches for LimitArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<LimitArgs, clap::Error> {
        let mut args = LimitArgs(PartialLimits::default());
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for &limit in Limit::ALL {
            if let Some(amount) = matches.get_one::<Amount>(limit.flag()) {
                let set = self.0.set(limit, *amount);
                set.map_err(|error| {
                    clap::Error::raw(clap::error::ErrorKind::ValueValidation, error)
                })?;
            }
        }
        Ok(())
    }
}

fn flag(limit: Limit) -> Arg {
    let default = match Limits::default().get(limit) {
        _ if limit == Limit::Fuel => "no limit, and not counted".to_owned(),
        amount => amount.to_string(),
    };
    Arg::new(limit.flag())
        .long(limit.flag())
        .value_name(match limit.unit() {
            Unit::Time => "DURATION",
            Unit::Bytes => "SIZE",
            _ => "N",
        })
        .help(format!("{} [default: {default}]", limit.about()))
        .value_parser(move |text: &str| {
            limit.parse(text).map_err(|error| match limit {
                // Not `-o`, which others call that.
                Limit::Output => format!("{error}; -o FILE is where the result goes"),
                _ => error.to_string(),
            })
        })
}
