//! How far a run has come, on disk: written whole or not at all.
//!
//! A checkpoint is written after every node of the main path, before the run goes on: a run
//! that is killed loses at most the node in progress. Branches that come to their end while
//! others of their fan-out are still running leave their entries in files of their own, beside
//! the checkpoint, so that they are not run again.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::workflow::event::Moment;
use crate::workflow::execute::path::At;
use crate::workflow::execute::state::State;
use crate::workflow::plan::{FanOut, Plan};

/// How far a run has come: its state, and where it goes on.
///
/// It holds the state and no Lua globals: a run that is resumed has a new main instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The version of this layout: [`Checkpoint::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The name of the workflow, if it has one.
    pub workflow: Option<String>,
    /// When it was written, as in RFC 3339.
    pub written_at: String,
    /// The node that the run stopped at, and on which side of it, if it was interrupted.
    pub interrupt: Option<(String, Moment)>,
    /// The state.
    pub state: Map<String, Value>,
    position: Position,
    /// Nodes that ran on the main path.
    ran: usize,
    /// The file that it was loaded from.
    #[serde(skip)]
    path: Option<PathBuf>,
}

/// Where a run goes on, by name: files change less in their names than in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "at", content = "node")]
pub(crate) enum Position {
    Start,
    Before(String),
    /// Where it was interrupted: it doesn't stop there a second time.
    Resumed(String),
    After(String),
    End,
}

impl Position {
    pub(crate) fn of(at: At, plan: &Plan) -> Position {
        match at {
            At::Start => Position::Start,
            At::Node(id) => Position::Before(plan.name(id).to_owned()),
            At::Resumed(id) => Position::Resumed(plan.name(id).to_owned()),
            At::After(id) => Position::After(plan.name(id).to_owned()),
            At::End => Position::End,
        }
    }

    fn resolve(&self, plan: &Plan) -> Result<At, String> {
        let find = |name: &str| {
            plan.find(name).ok_or_else(|| {
                format!("the checkpoint is at the node `{name}`, which the workflow doesn't have")
            })
        };
        Ok(match self {
            Position::Start => At::Start,
            Position::Before(name) => At::Node(find(name)?),
            Position::Resumed(name) => At::Resumed(find(name)?),
            Position::After(name) => At::After(find(name)?),
            Position::End => At::End,
        })
    }

    fn node(&self) -> Option<&str> {
        match self {
            Position::Start | Position::End => None,
            Position::Before(name) | Position::Resumed(name) | Position::After(name) => Some(name),
        }
    }
}

impl Checkpoint {
    /// The version of the layout. It changes when a key changes its meaning or goes.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Loads a checkpoint from its file; of a folder, the one that was written last.
    ///
    /// # Errors
    /// If there is none, or the file isn't one.
    pub fn load(path: impl AsRef<Path>) -> Result<Checkpoint, CheckpointError> {
        let path = path.as_ref();
        let fail = |why: String| CheckpointError {
            path: path.to_owned(),
            why,
        };
        let file = match path.is_dir() {
            true => newest(path).map_err(|error| fail(error.to_string()))?,
            false => path.to_owned(),
        };
        let text = fs::read(&file).map_err(|error| fail(error.to_string()))?;
        let checkpoint: Checkpoint = serde_json::from_slice(&text)
            .map_err(|error| fail(format!("not a checkpoint: {error}")))?;
        if checkpoint.schema_version != Self::SCHEMA_VERSION {
            return Err(fail(format!(
                "a checkpoint of version {}; this program writes and reads version {}",
                checkpoint.schema_version,
                Self::SCHEMA_VERSION
            )));
        }
        Ok(Checkpoint {
            path: Some(file),
            ..checkpoint
        })
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

    pub(crate) fn ran(&self) -> usize {
        self.ran
    }

    /// Where a run of the workflow with this plan goes on.
    pub(crate) fn at(&self, plan: &Plan) -> Result<At, String> {
        self.position.resolve(plan)
    }
}

/// The checkpoint in a folder that was written last.
fn newest(folder: &Path) -> io::Result<PathBuf> {
    let mut found: Option<(SystemTime, PathBuf)> = None;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_none_or(|it| it != EXTENSION) || !entry.file_type()?.is_file() {
            continue;
        }
        let written = entry.metadata()?.modified()?;
        if found.as_ref().is_none_or(|(newest, _)| written > *newest) {
            found = Some((written, path));
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

/// Writes the checkpoints of one run: always the same file.
pub(crate) struct Saver {
    file: Option<PathBuf>,
    workflow: Option<String>,
    last: Option<Checkpoint>,
}

impl Saver {
    /// A saver that keeps the last checkpoint, and writes none.
    pub(crate) fn in_memory(workflow: Option<String>) -> Saver {
        Saver {
            file: None,
            workflow,
            last: None,
        }
    }

    /// A saver for a new run.
    ///
    /// # Errors
    /// If the folder can't be made.
    pub(crate) fn new(folder: &Path, workflow: Option<String>) -> Result<Saver, String> {
        fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
        let name: String = workflow
            .as_deref()
            .unwrap_or("run")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(64)
            .collect();
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let stamp = since.map_or(0, |since| since.as_nanos());
        let file = format!("{name}-{stamp:x}-{}.{EXTENSION}", std::process::id());
        Ok(Saver {
            file: Some(folder.join(file)),
            workflow,
            last: None,
        })
    }

    /// A saver that goes on where `checkpoint` was written.
    pub(crate) fn of(checkpoint: &Checkpoint, workflow: Option<String>) -> Saver {
        Saver {
            file: checkpoint.path.clone(),
            workflow,
            last: None,
        }
    }

    /// The file.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The last checkpoint.
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
        ran: usize,
        interrupt: Option<(String, Moment)>,
    ) -> Result<(), String> {
        if self.file.is_none() && interrupt.is_none() {
            return Ok(());
        }
        let checkpoint = Checkpoint {
            schema_version: Checkpoint::SCHEMA_VERSION,
            workflow: self.workflow.clone(),
            written_at: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
            interrupt,
            state: state.to_json(),
            position,
            ran,
            path: self.file.clone(),
        };
        if let Some(file) = &self.file {
            write(file, &checkpoint).map_err(|error| cannot(file, &error))?;
        }
        self.last = Some(checkpoint);
        Ok(())
    }

    /// The branches of a fan-out that are known to have come to their end.
    pub(crate) fn finished(&self, plan: &Plan, fan_out: &FanOut) -> Finished {
        let names: Vec<_> = fan_out.branches.iter().map(|id| plan.name(*id)).collect();
        Finished {
            folder: self.finished_folder(),
            fan_out: format!("{} -> {}", names.join(", "), plan.name(fan_out.fan_in)),
        }
    }

    /// Removes what finished branches left: their fan-out is over, or not what it was.
    pub(crate) fn forget_finished(&self) {
        if let Some(folder) = self.finished_folder() {
            // What stays there is of no use, and no harm: it is checked before it is used.
            let _ = fs::remove_dir_all(folder);
        }
    }

    fn finished_folder(&self) -> Option<PathBuf> {
        let mut folder = self.file.clone()?.into_os_string();
        folder.push(".branches");
        Some(folder.into())
    }
}

/// The entries of finished branches of one fan-out, each in a file.
pub(crate) struct Finished {
    folder: Option<PathBuf>,
    /// What the fan-out is known by.
    fan_out: String,
}

#[derive(Serialize, Deserialize)]
struct FinishedBranch {
    fan_out: String,
    branch: String,
    entry: Value,
}

impl Finished {
    /// The entry of a branch, if it is there.
    pub(crate) fn get(&self, index: usize, branch: &str) -> Option<Value> {
        let text = fs::read(self.file(index)?).ok()?;
        let found: FinishedBranch = serde_json::from_slice(&text).ok()?;
        (found.fan_out == self.fan_out && found.branch == branch).then(|| {
            let mut entry = found.entry;
            // Its instances were those of another process, where others had their numbers.
            entry["report"] = Value::Null;
            entry
        })
    }

    /// Notes that a branch came to its end. If that can't be written, it will be run again.
    pub(crate) fn note(&self, index: usize, branch: &str, entry: &Value) {
        let (Some(folder), Some(file)) = (&self.folder, self.file(index)) else {
            return;
        };
        let finished = FinishedBranch {
            fan_out: self.fan_out.clone(),
            branch: branch.to_owned(),
            entry: entry.clone(),
        };
        let _ = fs::create_dir_all(folder).and_then(|()| write(&file, &finished));
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{index}.json")))
    }
}

/// Writes a file so that it is there as a whole or not at all, whatever happens meanwhile.
fn write(file: &Path, value: &impl Serialize) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    let mut out = private(&unfinished)?;
    out.write_all(&text)?;
    out.sync_all()?;
    fs::rename(&unfinished, file)?;
    sync_folder(folder)
}

/// A new, empty file that nobody else can read: states hold whatever a run works on.
fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes sure that a new name in the folder is there after a power cut, too.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    // A folder can't be opened as a file there.
    Ok(())
}

fn cannot(path: &Path, error: &io::Error) -> String {
    format!(
        "the checkpoint can't be written to {}: {error}",
        path.display()
    )
}
