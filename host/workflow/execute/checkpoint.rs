//! How far a run has come, on disk: written whole or not at all.
//!
//! A checkpoint is written after every node of the main path, before the run goes on: a run
//! that is killed loses at most the node in progress. A run that is resumed writes a file of its own:
//! the one that it began with stays as it is, and can be resumed once more.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::private_file;
use crate::workflow::event::Moment;
use crate::workflow::execute::file;
use crate::workflow::execute::finished::{Beside, Finished};
use crate::workflow::execute::position::{At, Position};
use crate::workflow::execute::shared_text::{self, Shared};
use crate::workflow::execute::stops::Stops;
use crate::workflow::plan::Plan;
use crate::workflow::state::State;

/// How far a run has come: its state, and where it goes on.
///
/// It holds the state and no Lua globals: a run that is resumed has a new main instance.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Layout")]
#[non_exhaustive]
pub struct Checkpoint {
    /// The version of this layout: [`Checkpoint::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What the run goes by.
    run: Option<Arc<str>>,
    /// The name of the workflow, if it has one.
    pub workflow: Option<String>,
    /// The files that the workflow was read from, if it was read from files: the first one, and
    /// the overlays on top of it.
    pub files: Vec<PathBuf>,
    /// When it was written, as in RFC 3339.
    pub written_at: String,
    /// The node that the run stopped at, and on which side of it, if it was interrupted.
    pub interrupt: Option<(String, Moment)>,
    /// The state.
    state: State,
    /// A hash of what the workflow does.
    hash: String,
    /// Nodes that the run was told to stop at, besides those that the workflow names.
    stops: Stops,
    position: Position,
    /// Nodes that ran on the main path.
    ran: u64,
    /// The file that it was loaded from, or written to.
    path: Option<PathBuf>,
    /// What the branches left that had come to their end.
    branches: Option<Beside>,
}

/// What is in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Layout {
    schema_version: u32,
    run: Option<String>,
    workflow: Option<String>,
    files: Vec<PathBuf>,
    written_at: String,
    interrupt: Option<(String, Moment)>,
    #[serde(default)]
    shared: Vec<Value>,
    state: Map<String, Value>,
    hash: String,
    stops: Stops,
    position: Position,
    ran: u64,
}

impl TryFrom<Layout> for Checkpoint {
    type Error = String;

    fn try_from(layout: Layout) -> Result<Checkpoint, String> {
        let state = shared_text::Read {
            shared: layout.shared,
            state: layout.state,
        };
        Ok(Checkpoint {
            schema_version: layout.schema_version,
            run: layout.run.map(Arc::from),
            workflow: layout.workflow,
            files: layout.files,
            written_at: layout.written_at,
            interrupt: layout.interrupt,
            state: state.into_state()?,
            hash: layout.hash,
            stops: layout.stops,
            position: layout.position,
            ran: layout.ran,
            path: None,
            branches: None,
        })
    }
}

/// What is written, as [`Layout`] reads it.
#[derive(Serialize)]
struct Written<'s> {
    schema_version: u32,
    run: Option<&'s str>,
    workflow: Option<&'s str>,
    files: &'s [PathBuf],
    written_at: &'s str,
    interrupt: Option<&'s (String, Moment)>,
    /// `shared` and `state`.
    #[serde(flatten)]
    state: shared_text::Written<'s>,
    hash: &'s str,
    stops: &'s Stops,
    position: &'s Position,
    ran: u64,
}

impl Serialize for Checkpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let state = Shared::of(&self.state);
        let written = Written {
            schema_version: self.schema_version,
            run: self.run.as_deref(),
            workflow: self.workflow.as_deref(),
            files: &self.files,
            written_at: &self.written_at,
            interrupt: self.interrupt.as_ref(),
            state: state.written(),
            hash: &self.hash,
            stops: &self.stops,
            position: &self.position,
            ran: self.ran,
        };
        written.serialize(serializer)
    }
}

impl Checkpoint {
    /// The version of the layout. It changes when a key changes its meaning or goes.
    pub const SCHEMA_VERSION: u32 = 2;

    /// Loads a checkpoint from its file; of a folder, the one that was written last.
    ///
    /// # Errors
    /// If there is none, or the file isn't one.
    pub fn load(path: impl AsRef<Path>) -> Result<Checkpoint, CheckpointError> {
        let path = path.as_ref();
        let fail = |path: &Path, why: String| CheckpointError {
            path: path.to_owned(),
            why,
        };
        let cannot = |error: io::Error| fail(path, error.to_string());
        // It may be reached through links; where it lies is a folder that is reached by its handle.
        let real = path.canonicalize().map_err(cannot)?;
        let (folder, name) = match real.is_dir() {
            true => {
                let dir = open_folder(&real).map_err(cannot)?;
                let name = newest(&dir).map_err(cannot)?;
                (dir, name)
            }
            false => {
                let (folder, name) = private_file::split(&real).map_err(cannot)?;
                (open_folder(folder).map_err(cannot)?, name.into())
            }
        };
        let path = match real.is_dir() {
            true => path.join(&name),
            false => path.to_owned(),
        };
        let beside = Beside::new(Arc::new(folder), &path, &name.to_string_lossy());
        let version: Version =
            file::read(beside.parent(), &name).map_err(|why| fail(&path, why))?;
        if version.schema_version != Self::SCHEMA_VERSION {
            let why = format!(
                "a checkpoint of version {}; this program writes and reads version {}",
                version.schema_version,
                Self::SCHEMA_VERSION
            );
            return Err(fail(&path, why));
        }
        let checkpoint: Checkpoint =
            file::read(beside.parent(), &name).map_err(|why| fail(&path, why))?;
        Ok(Checkpoint {
            path: Some(path),
            branches: Some(beside),
            ..checkpoint
        })
    }

    /// A copy of the state, in full: what is there several times takes its memory as often.
    pub fn state(&self) -> Map<String, Value> {
        self.state.to_json()
    }

    /// The state, to go on from.
    pub(crate) fn into_state(self) -> State {
        self.state
    }

    /// The file that it was loaded from, or written to.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether the run had come to its end.
    pub fn is_finished(&self) -> bool {
        self.position == Position::End
    }

    /// The node that the run goes on with, or after.
    pub fn node(&self) -> Option<&str> {
        self.position.node()
    }

    /// What the run goes by, if that is known.
    pub(crate) fn run(&self) -> Option<&str> {
        self.run.as_deref()
    }

    /// Nodes that ran on the main path.
    pub(crate) fn ran(&self) -> u64 {
        self.ran
    }

    /// Nodes that the run was told to stop at.
    pub(crate) fn stops(&self) -> &Stops {
        &self.stops
    }

    /// Where it goes on, by name.
    pub(crate) fn position(&self) -> &Position {
        &self.position
    }

    /// Where a run of the workflow with this plan goes on.
    pub(crate) fn at(&self, plan: &Plan) -> Result<At, String> {
        self.position.resolve(plan)
    }

    /// Refuses to go on with another workflow than the one that the run began with, unless that is
    /// wanted.
    ///
    /// # Errors
    /// If it isn't the same.
    pub(crate) fn check(&self, of: &Of, changed: bool) -> Result<(), String> {
        if self.is_finished() {
            let message = "the run is over: there is nothing to go on with (what it came to is in the \
                           checkpoint, as `state`)";
            return Err(message.to_owned());
        }
        if let (Some(theirs), Some(ours)) = (&self.workflow, &of.name)
            && theirs != ours
        {
            return Err(format!(
                "the checkpoint is of the workflow `{theirs}`, not `{ours}`"
            ));
        }
        if self.hash != of.hash && !changed {
            return Err(
                "the workflow has changed since the run began (comments don't count); to go on \
                 with it as it is now, allow that: --changed"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

/// What is looked at first.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

fn open_folder(path: &Path) -> io::Result<Dir> {
    Dir::open_ambient_dir(path, ambient_authority())
}

/// The name of the checkpoint in a folder that was written last.
fn newest(folder: &Dir) -> io::Result<PathBuf> {
    let mut found: Option<(SystemTime, PathBuf)> = None;
    for entry in folder.entries()? {
        let entry = entry?;
        let name = PathBuf::from(entry.file_name());
        if name.extension().is_none_or(|it| it != EXTENSION) || !entry.file_type()?.is_file() {
            continue;
        }
        let written = entry.metadata()?.modified()?.into_std();
        let this = (written, name);
        // Of those of the same moment it is the run that began last: the names tell.
        if found.as_ref().is_none_or(|newest| this > *newest) {
            found = Some(this);
        }
    }
    found.map(|(_, path)| path).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::NotFound,
            "there is no checkpoint in this folder",
        )
    })
}

/// Why a checkpoint can't be had.
#[derive(Debug)]
pub struct CheckpointError {
    path: PathBuf,
    why: String,
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for CheckpointError {}

const EXTENSION: &str = "checkpoint";

/// The run that checkpoints are of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Of {
    /// What the run goes by.
    pub(crate) run: Arc<str>,
    /// The name of its workflow.
    pub(crate) name: Option<String>,
    /// The files of its workflow.
    pub(crate) files: Vec<PathBuf>,
    /// A hash of what its workflow does.
    pub(crate) hash: String,
    /// Where it was told to stop.
    pub(crate) stops: Stops,
}

/// Writes the checkpoints of one run: always the same file.
pub(crate) struct Saver {
    of: Of,
    file: Option<SavedFile>,
    /// Where branches are noted that came to their end before the run went on.
    before: Option<Beside>,
    last: Option<Checkpoint>,
}

/// Where checkpoints are written to.
struct SavedFile {
    folder: Arc<Dir>,
    name: String,
    path: PathBuf,
    branches: Beside,
}

impl Saver {
    /// A saver that keeps the last checkpoint, and writes none.
    pub(crate) fn in_memory(of: Of) -> Saver {
        Saver {
            of,
            file: None,
            before: None,
            last: None,
        }
    }

    /// A saver with a file of its own in a folder.
    ///
    /// # Errors
    /// If the folder can't be made.
    pub(crate) fn in_folder(folder: &Path, of: Of) -> Result<Saver, String> {
        let dir = private_file::make_folder(folder).map_err(|error| cannot(folder, &error))?;
        let title: String = of
            .name
            .as_deref()
            .unwrap_or("run")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(64)
            .collect();
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let stamp = since.map_or(0, |since| since.as_nanos());
        // Not to be guessed, and as good as never twice the same.
        let random = RandomState::new().hash_one(std::process::id());
        let name = format!("{title}-{stamp:020x}-{random:016x}.{EXTENSION}");
        let (dir, path) = (Arc::new(dir), folder.join(&name));
        Ok(Saver {
            file: Some(SavedFile {
                branches: Beside::new(Arc::clone(&dir), &path, &name),
                folder: dir,
                name,
                path,
            }),
            ..Saver::in_memory(of)
        })
    }

    /// Counts the branches that came to their end before `checkpoint` was resumed.
    pub(crate) fn going_on_from(self, checkpoint: &Checkpoint) -> Saver {
        Saver {
            before: checkpoint.branches.clone(),
            ..self
        }
    }

    /// The file.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// The last checkpoint, if the run was interrupted there.
    pub(crate) fn into_last(self) -> Option<Checkpoint> {
        self.last
    }

    /// Writes how far the run has come.
    ///
    /// # Errors
    /// If it can't be written; the one before is still there then.
    pub(crate) fn save(
        &mut self,
        position: Position,
        state: &State,
        ran: u64,
        interrupt: Option<(String, Moment)>,
    ) -> Result<(), String> {
        let written_at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        if let Some(file) = &self.file {
            let shared = Shared::of(state);
            let written = Written {
                schema_version: Checkpoint::SCHEMA_VERSION,
                run: Some(&self.of.run),
                workflow: self.of.name.as_deref(),
                files: &self.of.files,
                written_at: &written_at,
                interrupt: interrupt.as_ref(),
                state: shared.written(),
                hash: &self.of.hash,
                stops: &self.of.stops,
                position: &position,
                ran,
            };
            file::write(&file.folder, &file.name, &written)
                .map_err(|error| cannot(&file.path, &error))?;
        }
        if interrupt.is_some() {
            self.last = Some(Checkpoint {
                schema_version: Checkpoint::SCHEMA_VERSION,
                run: Some(Arc::clone(&self.of.run)),
                workflow: self.of.name.clone(),
                files: self.of.files.clone(),
                written_at,
                interrupt,
                state: state.clone(),
                hash: self.of.hash.clone(),
                stops: self.of.stops.clone(),
                position,
                ran,
                path: self.file().map(Path::to_owned),
                branches: self.file.as_ref().map(|file| file.branches.clone()),
            });
        }
        Ok(())
    }

    /// The branches of a fan-out that are known to have come to their end.
    pub(crate) fn finished(&self, branches: &[&str], fan_in: &str) -> Finished {
        let own = self.file.as_ref().map(|file| file.branches.clone());
        Finished::new(own, self.before.clone(), branches, fan_in)
    }

    /// Removes what finished branches left: their fan-out is over.
    pub(crate) fn forget_finished(&mut self) {
        if let Some(file) = &self.file {
            file.branches.remove();
        }
        self.before = None;
    }
}

fn cannot(path: &Path, error: &io::Error) -> String {
    format!(
        "the checkpoint can't be written to {}: {error}",
        path.display()
    )
}
