//! `moonfork replay`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use moonfork::{Chunk, Journal, Pool, ReplayEnd, ReplayOptions};

use super::end::{Interrupted, Refused};
use super::signal::Signal;
use super::{cache, input, log, stream};

/// The arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct ReplayArgs {
    /// The journal, as `moonfork run --journal` has written it.
    file: PathBuf,

    /// Stop where a script first comes to this line: of any chunk, or of the one that is named, as in
    /// "node 'fetch':12".
    #[arg(long, value_name = "[CHUNK:]LINE")]
    until: Option<Until>,

    /// Run the Lua in FILE in place of what was recorded: of all of it, or of one node or chunk. Can be given
    /// several times.
    #[arg(long = "script", value_name = "[NAME=]FILE")]
    scripts: Vec<Script>,

    /// Show values in full, however long they are.
    #[arg(long)]
    full: bool,

    #[command(flatten)]
    log: log::LogArgs,
}

/// A line to stop at.
#[derive(Clone, Debug, PartialEq)]
struct Until {
    chunk: Option<String>,
    line: u32,
}

/// A script that takes another's place.
#[derive(Clone, Debug, PartialEq)]
struct Script {
    name: Option<String>,
    file: PathBuf,
}

/// Replays a journal and prints what it saw and did.
pub(super) fn replay(args: &ReplayArgs) -> anyhow::Result<()> {
    let journal = Journal::read(&args.file)?;
    let mut options = ReplayOptions::new();
    if let Some(Until { chunk, line }) = &args.until {
        options = options.until(chunk.as_deref(), *line);
    }
    for Script { name, file } in &args.scripts {
        options = script(options, name.as_deref(), file)?;
    }
    if args.full {
        options = options.full();
    }
    let signal = Signal::handle()?;
    let options = options.cancel_handle(&signal.watch());
    let pool = Pool::builder().max_branches(1).max_runs(0);
    let pool = match cache::folder()? {
        Some(folder) => pool.cache_dir(folder),
        None => pool,
    };
    let pool = pool.for_replay(&journal).build()?;
    args.log.pool(&pool)?;
    let replay = pool.replay(&journal, &options)?;
    signal.unwatch();
    stream::print(&replay.to_string())?;
    match replay.end() {
        ReplayEnd::Cancelled => Err(Interrupted("interrupted".to_owned()).into()),
        ReplayEnd::Diverged(error) => Err(anyhow::anyhow!("{error}")),
        ReplayEnd::Done | ReplayEnd::Beyond if args.until.is_some() => Err(anyhow::anyhow!(
            "no script came to the line of --until before the replay ended"
        )),
        ReplayEnd::Done if !replay.is_same() => Err(Refused.into()),
        _ => Ok(()),
    }
}

/// With the Lua in `file` in place of what has this name.
fn script(
    options: ReplayOptions,
    name: Option<&str>,
    file: &Path,
) -> anyhow::Result<ReplayOptions> {
    let source = input::file(file)?;
    let Some(name) = name else {
        return Ok(options.script(None, Chunk::new(source)));
    };
    // The code of a node goes by its name in quotes.
    let of_node = format!("node '{name}'");
    let options = options.script(Some(name), Chunk::new(source.clone()));
    Ok(options.script(Some(&of_node), Chunk::new(source)))
}

impl FromStr for Until {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Until, &'static str> {
        let (chunk, line) = match text.rsplit_once(':') {
            Some((chunk, line)) => (Some(chunk.to_owned()), line),
            None => (None, text),
        };
        match line.parse() {
            Ok(line) if line > 0 && chunk.as_deref() != Some("") => Ok(Until { chunk, line }),
            _ => Err("write it as LINE or CHUNK:LINE, with a number from 1"),
        }
    }
}

impl FromStr for Script {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Script, &'static str> {
        let (name, file) = match text.split_once('=') {
            Some((name, file)) => (Some(name.to_owned()), file),
            None => (None, text),
        };
        match file.is_empty() || name.as_deref() == Some("") {
            true => Err("write it as FILE or NAME=FILE"),
            false => Ok(Script {
                name,
                file: file.into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let until = |text: &str| text.parse::<Until>().ok().map(|it| (it.chunk, it.line));
        assert_eq!(until("12"), Some((None, 12)));
        let named = Some("node 'a:b'".to_owned());
        assert_eq!(until("node 'a:b':3"), Some((named, 3)));
        for wrong in ["", "0", "x", ":3", "a:", "a:-1"] {
            assert_eq!(until(wrong), None, "{wrong}");
        }
    }
}
