//! Branches that came to their end while others of their fan-out were still running: each leaves
//! what it gave in a file of its own, beside the checkpoint, so that it is not run again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::fs::{Dir, DirBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use twox_hash::XxHash3_128;

use crate::workflow::execute::file;
use crate::workflow::state::State;

/// The branches of one fan-out that came to their end.
pub(crate) struct Finished {
    /// Where this run notes them.
    own: Option<Beside>,
    /// Where the run noted them that this one goes on from.
    before: Option<Beside>,
    /// What the fan-out is known by: a hash of the names of its branches and its fan-in.
    fan_out: String,
}

/// A folder beside a checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct Beside {
    /// The folder that the checkpoint is in.
    parent: Arc<Dir>,
    name: String,
    /// For messages.
    path: PathBuf,
}

impl PartialEq for Beside {
    fn eq(&self, other: &Beside) -> bool {
        self.path == other.path
    }
}

impl Beside {
    /// The one beside the checkpoint of this name in this folder.
    pub(crate) fn new(parent: Arc<Dir>, checkpoint: &Path, name: &str) -> Beside {
        let name = format!("{name}.branches");
        Beside {
            parent,
            path: checkpoint.with_file_name(&name),
            name,
        }
    }

    /// The folder that the checkpoint is in.
    pub(crate) fn parent(&self) -> &Dir {
        &self.parent
    }

    fn open(&self) -> io::Result<Dir> {
        self.parent.open_dir(&self.name)
    }

    fn make(&self) -> io::Result<Dir> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match self.parent.create_dir_with(&self.name, &builder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.open(),
        }
    }

    /// Removes it. What stays there is of no use, and no harm: it is checked before it is used.
    pub(crate) fn remove(&self) {
        let _ = self.parent.remove_dir_all(&self.name);
    }
}

/// What a branch gave that came to its end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FinishedBranch {
    fan_out: String,
    branch: String,
    pub(crate) state: Map<String, Value>,
    pub(crate) timing_ms: f64,
    pub(crate) retry_count: u32,
}

/// The same, as it is written.
#[derive(Serialize)]
struct Written<'b> {
    fan_out: &'b str,
    branch: &'b str,
    state: &'b State,
    timing_ms: f64,
    retry_count: u32,
}

impl Finished {
    /// Those of a fan-out that has these branches and this fan-in.
    pub(crate) fn new(
        own: Option<Beside>,
        before: Option<Beside>,
        branches: &[&str],
        fan_in: &str,
    ) -> Finished {
        let names = format!("{branches:?} -> {fan_in:?}");
        Finished {
            own,
            before,
            // Every branch notes it, and there may be many.
            fan_out: format!("{:032x}", XxHash3_128::oneshot(names.as_bytes())),
        }
    }

    /// What a branch gave, if that is known.
    ///
    /// # Errors
    /// If what is known of it can't be read: whether it is run again is for its owner to say.
    pub(crate) fn get(&self, index: usize, branch: &str) -> Result<Option<FinishedBranch>, String> {
        let Some(before) = &self.before else {
            return Ok(None);
        };
        let name = PathBuf::from(file_name(index));
        let folder = match before.open() {
            Ok(folder) if folder.symlink_metadata(&name).is_ok() => folder,
            _ => return Ok(None),
        };
        let found: FinishedBranch = file::read(&folder, &name).map_err(|why| {
            format!(
                "{}: {why}; without the file the branch is run again",
                before.path.join(&name).display()
            )
        })?;
        let is_it = found.fan_out == self.fan_out && found.branch == branch;
        Ok(is_it.then_some(found))
    }

    /// Notes that a branch came to its end. If that can't be written, it will be run again.
    pub(crate) fn note(
        &self,
        index: usize,
        branch: &str,
        state: &State,
        timing_ms: f64,
        retry_count: u32,
    ) {
        let Some(own) = &self.own else {
            return;
        };
        let written = Written {
            fan_out: &self.fan_out,
            branch,
            state,
            timing_ms,
            retry_count,
        };
        let folder = own.make();
        let _ = folder.and_then(|folder| file::write(&folder, &file_name(index), &written));
    }
}

fn file_name(index: usize) -> String {
    format!("{index}.json")
}
