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

    /// Compile the Lua of plugins as well, for hosts that have it translated: into the folder FILE.lua, which goes along with the
    /// file. A plugin or a folder of plugins; can be given several times. Only for plugins that you approved of.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["check", "all_processors"])]
    plugin: Vec<PathBuf>,

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
    pool.precompile(&args.file, processors)?;
    match args.plugin.is_empty() {
        true => Ok(()),
        false => plugins(args),
    }
}

/// Compiles the Lua of plugins. What they want besides computing is none of the compiler's business.
fn plugins(args: &PrecompileArgs) -> anyhow::Result<()> {
    let pool = Pool::builder().max_branches(0).max_runs(0);
    let pool = match args.metered {
        true => pool.metered(),
        false => pool,
    };
    let pool = pool.precompiled(&args.file).build()?;
    Ok(moonfork::plugin::precompile(
        &pool,
        &args.plugin,
        &args.file,
    )?)
}
