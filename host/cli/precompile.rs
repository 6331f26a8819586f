//! `moonfork precompile`.

use std::path::PathBuf;

use anyhow::bail;
use moonfork::{CodeOrigin, Pool, Processors};

/// The arguments of `precompile`.
#[derive(Debug, clap::Args)]
pub(super) struct PrecompileArgs {
    /// The file to write, in place of one that may be there. It is what
    /// `PoolBuilder::precompiled` loads.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// For pools that count fuel, rather than for those that don't.
    #[arg(long)]
    metered: bool,

    /// For all processors of this architecture, rather than for those that have all that this
    /// machine's has.
    #[arg(long, conflicts_with = "check")]
    all_processors: bool,

    /// Write nothing: say whether pools on this machine would use the file as it is.
    #[arg(long)]
    check: bool,
}

/// Compiles to a file, or looks at one.
pub(super) fn precompile(args: &PrecompileArgs) -> anyhow::Result<()> {
    let pool = Pool::builder().max_branches(0).max_runs(0);
    let pool = match args.metered {
        true => pool.metered(),
        false => pool,
    };
    if args.check {
        let pool = pool.precompiled(&args.file).build()?;
        let code = pool.compiled_code();
        return match code.origin() {
            CodeOrigin::Precompiled(_) => Ok(()),
            _ => bail!("{}", code.notes().join("; ")),
        };
    }
    let processors = match args.all_processors {
        true => Processors::All,
        false => Processors::LikeThisOne,
    };
    Ok(pool.precompile(&args.file, processors)?)
}
