//! Where a workflow comes from: a file, or text, and overlays on top of it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::diagnostics::{Code, LoadError, Place, Problems};
use crate::workflow::definition::Workflow;
use crate::workflow::load::files::{Files, Sources};
use crate::workflow::load::lua::{self, LuaFiles};
use crate::workflow::load::overlay;
use crate::workflow::load::yaml::{self, Unreadable, Yaml};
use crate::workflow::load::{names, read, validate};
use crate::workflow::model::{Model, Spanned, Work};
use crate::workflow::plan;

/// A workflow file and the overlays that change it, not yet read.
///
/// ```
/// use moonfork::workflow::Source;
///
/// let workflow = Source::text("nodes: [{name: a, run: return 1}]", "base.yaml")
///     .overlay_text("nodes: [{name: a, run: return 2}]", "overlay.yaml")
///     .load()?;
/// assert_eq!(workflow.node_count(), 1);
/// # Ok::<(), moonfork::diagnostics::LoadError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Source {
    base: Document,
    overlays: Vec<Document>,
    /// All files there are, where they aren't on disk.
    given: Option<Sources>,
}

#[derive(Clone, Debug)]
enum Document {
    File(PathBuf),
    Text { text: String, name: String },
}

/// What is said of a file with nothing in it.
const EMPTY: &str = "the file is empty";

/// Subgraphs that may be inside of each other, in files.
const MAX_SUBGRAPHS: usize = 16;

impl Source {
    /// A workflow in a file.
    pub fn file(path: impl AsRef<Path>) -> Source {
        Source {
            base: Document::File(path.as_ref().to_owned()),
            overlays: Vec::new(),
            given: None,
        }
    }

    /// A workflow in text. Problems are reported under the name `file`; names of other files
    /// in it are relative to the folder in that name.
    pub fn text(text: impl Into<String>, file: impl Into<String>) -> Source {
        Source {
            base: Document::Text {
                text: text.into(),
                name: file.into(),
            },
            overlays: Vec::new(),
            given: None,
        }
    }

    /// What another process has read: nothing is read from disk.
    pub(crate) fn given(sources: Sources) -> Source {
        let document = |(name, text): &(String, Option<String>)| match text {
            Some(text) => Document::Text {
                text: text.clone(),
                name: name.clone(),
            },
            None => Document::File(name.into()),
        };
        let mut documents = sources.documents.iter().map(document);
        let nothing = || Document::File(PathBuf::new());
        Source {
            base: documents.next().unwrap_or_else(nothing),
            overlays: documents.collect(),
            given: Some(sources),
        }
    }

    /// Adds the overlay in a file, on top of those before it.
    #[must_use]
    pub fn overlay(mut self, path: impl AsRef<Path>) -> Source {
        let path = path.as_ref().to_owned();
        self.overlays.push(Document::File(path));
        self
    }

    /// Adds an overlay in text.
    #[must_use]
    pub fn overlay_text(mut self, text: impl Into<String>, file: impl Into<String>) -> Source {
        self.overlays.push(Document::Text {
            text: text.into(),
            name: file.into(),
        });
        self
    }

    /// Reads, checks and plans the workflow. Nothing in it is run.
    ///
    /// # Errors
    /// Everything that is wrong with the files, as far as one look can tell.
    pub fn load(&self) -> Result<Workflow, LoadError> {
        let mut problems = Problems::new(self.base.name().as_str().into());
        let mut files = self.files();
        let merged = self.merge(&mut files, &mut problems);
        let made = merged.and_then(|root| {
            let draft = read::read(&root, &mut problems)?;
            let mut model = draft.model;
            let folder = self.base.folder();
            let before = problems.errors();
            let mut subgraphs = Subgraphs::new(&mut files);
            subgraphs.load(&mut model, &folder, &mut problems);
            check_names(&model, &mut HashSet::new(), &mut problems);
            let modules = lua::modules(&model, &mut problems);
            // Asking where broken edges lead would only find the same mistakes again.
            if !draft.complete || problems.errors() > before {
                return None;
            }
            let plan = plan::build(&model, &mut problems)?;
            // Names that stand for nothing may be all that broken edges leave.
            let outside = names::check(&model, &mut problems);
            Some((model, plan, outside, modules))
        });
        let names = problems.files().to_vec();
        let ((model, plan, outside, modules), warnings) = problems.finish(made)?;
        Ok(Workflow {
            files: names,
            sources: self.sources(files),
            model,
            plan,
            warnings,
            origin: self.origin(),
            fingerprint: OnceLock::new(),
            modules,
            outside,
            parsed: OnceLock::new(),
        })
    }

    /// The file with its overlays, as YAML.
    ///
    /// # Errors
    /// If one of them can't be read, or an overlay fits nowhere.
    pub fn dump(&self) -> Result<String, LoadError> {
        let mut problems = Problems::new(self.base.name().as_str().into());
        let merged = self.merge(&mut self.files(), &mut problems);
        let (root, _) = problems.finish(merged)?;
        Ok(root.to_text())
    }

    /// Where files are read from.
    fn files(&self) -> Files {
        match &self.given {
            Some(sources) => Files::given(sources.files.clone()),
            None => Files::default(),
        }
    }

    /// What was read.
    fn sources(&self, files: Files) -> Sources {
        let document = |document: &Document| match document {
            Document::File(path) => (path.to_string_lossy().into_owned(), None),
            Document::Text { text, name } => (name.clone(), Some(text.clone())),
        };
        let all = std::iter::once(&self.base).chain(&self.overlays);
        Sources {
            documents: all.map(document).collect(),
            files: files.into_known(),
        }
    }

    /// The files, by paths that lead to them from anywhere; none, if one of them is text.
    fn origin(&self) -> Vec<PathBuf> {
        let path = |document: &Document| match document {
            Document::File(path) => std::path::absolute(path).ok(),
            Document::Text { .. } => None,
        };
        let all = std::iter::once(&self.base).chain(&self.overlays);
        all.map(path).collect::<Option<_>>().unwrap_or_default()
    }

    fn merge(&self, files: &mut Files, problems: &mut Problems) -> Option<Yaml> {
        let mut root = self.base.parse(0, files, problems).and_then(|root| {
            if root.is_none() {
                problems.error(Code::InvalidRoot, None, EMPTY);
            }
            root.ok_or(Unreadable)
        });
        for overlay in &self.overlays {
            let source = problems.add_file(&overlay.name());
            let overlay = overlay.parse(source, files, problems);
            root = match (root, overlay) {
                // A file with nothing but comments changes nothing.
                (Ok(root), Ok(None)) => Ok(root),
                (Ok(root), Ok(Some(overlay))) => {
                    overlay::apply(root, overlay, problems).ok_or(Unreadable)
                }
                _ => Err(Unreadable),
            };
        }
        root.ok()
    }
}

impl Document {
    fn name(&self) -> String {
        match self {
            Document::File(path) => path.display().to_string(),
            Document::Text { name, .. } => name.clone(),
        }
    }

    fn folder(&self) -> PathBuf {
        let parent = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
        match self {
            Document::File(path) => parent(path),
            Document::Text { name, .. } => parent(Path::new(name)),
        }
    }

    fn parse(
        &self,
        source: u16,
        files: &mut Files,
        problems: &mut Problems,
    ) -> Result<Option<Yaml>, Unreadable> {
        match self {
            Document::Text { text, .. } => yaml::parse(text, source, problems),
            Document::File(path) => match read_text(path, files) {
                Ok(text) => yaml::parse(&text, source, problems),
                Err(why) => {
                    problems.unreadable(source, why);
                    Err(Unreadable)
                }
            },
        }
    }
}

fn read_text(path: &Path, files: &mut Files) -> Result<String, String> {
    let bytes = files.get(path, || fs::read(path));
    let bytes = bytes.map_err(|error| error.to_string())?;
    str::from_utf8(&bytes).map(str::to_owned).map_err(|error| {
        let valid = error.valid_up_to();
        format!("not UTF-8: the byte at offset {valid} doesn't belong there")
    })
}

/// Reads the subgraphs that are in files of their own, each file once.
struct Subgraphs<'f> {
    files: &'f mut Files,
    /// Those that were read, and whether they could be.
    known: HashMap<PathBuf, Option<Arc<Model>>>,
    /// The files that we are inside of, outermost first.
    open: Vec<PathBuf>,
    lua: LuaFiles,
}

impl<'f> Subgraphs<'f> {
    fn new(files: &'f mut Files) -> Subgraphs<'f> {
        Subgraphs {
            files,
            known: HashMap::new(),
            open: Vec::new(),
            lua: LuaFiles::default(),
        }
    }

    fn load(&mut self, model: &mut Model, folder: &Path, problems: &mut Problems) {
        self.lua.load(model, folder, self.files, problems);
        for node in &mut model.nodes {
            let Work::Each(each) = &mut node.work else {
                continue;
            };
            let Work::Subgraph(subgraph) = &mut each.body else {
                continue;
            };
            let Some(name) = &subgraph.file else {
                // Nobody else has it yet.
                if let Some(model) = Arc::get_mut(&mut subgraph.model) {
                    self.load(model, folder, problems);
                }
                continue;
            };
            if let Some(model) = self.read(name, folder, problems) {
                subgraph.model = model;
            }
        }
    }

    /// The workflow in a file. What is wrong with it is said once.
    fn read(
        &mut self,
        name: &Spanned<String>,
        folder: &Path,
        problems: &mut Problems,
    ) -> Option<Arc<Model>> {
        let path = folder.join(&name.value);
        // The same file may go by several names.
        let file = path.canonicalize().unwrap_or_else(|_| path.clone());
        let refuse = |why: String, problems: &mut Problems| {
            problems.error(Code::InvalidSubgraph, name.place, why);
            None
        };
        if self.open.contains(&file) {
            let message = format!("the subgraph {} is inside of itself", path.display());
            return refuse(message, problems);
        }
        if let Some(known) = self.known.get(&file) {
            return known.clone();
        }
        if self.open.len() >= MAX_SUBGRAPHS {
            let message = format!("more than {MAX_SUBGRAPHS} subgraphs inside of each other");
            return refuse(message, problems);
        }
        let text = match read_text(&path, self.files) {
            Ok(text) => text,
            Err(why) => {
                let message = format!("the subgraph {} can't be read: {why}", path.display());
                return refuse(message, problems);
            }
        };
        let source = problems.add_file(&path.display().to_string());
        let root = yaml::parse(&text, source, problems);
        if let Ok(None) = root {
            problems.error(Code::InvalidRoot, Place::new(source, 1, 1), EMPTY);
        }
        let root = root.ok().flatten();
        let read = root.and_then(|root| read::read(&root, problems));
        let model = read.map(|draft| {
            let mut model = draft.model;
            let folder = path.parent().map(Path::to_owned).unwrap_or_default();
            self.open.push(file.clone());
            self.load(&mut model, &folder, problems);
            self.open.pop();
            Arc::new(model)
        });
        self.known.insert(file, model.clone());
        model
    }
}

/// Looks at the names in a workflow, and in the subgraphs in it; each of those once.
fn check_names(model: &Model, seen: &mut HashSet<*const Model>, problems: &mut Problems) {
    validate::validate(model, problems);
    for node in &model.nodes {
        if let Work::Each(each) = &node.work
            && let Work::Subgraph(subgraph) = &each.body
            && seen.insert(Arc::as_ptr(&subgraph.model))
        {
            check_names(&subgraph.model, seen, problems);
            refuse_interrupts(&subgraph.model, problems);
            if let Some(prelude) = &subgraph.model.prelude {
                let message =
                    "a subgraph has no prelude of its own: it belongs to the workflow that uses it";
                let place = prelude
                    .file
                    .as_ref()
                    .map_or(prelude.place, |file| file.place);
                problems.error(Code::InvalidValue, place, message);
            }
        }
    }
}

/// Reports every interrupt of a workflow that only ever runs in branches.
fn refuse_interrupts(model: &Model, problems: &mut Problems) {
    let of_nodes = model.nodes.iter();
    let of_nodes = of_nodes.filter(|node| node.interrupt_before || node.interrupt_after);
    let config = &model.config;
    let of_config = config
        .interrupt_before
        .iter()
        .chain(&config.interrupt_after);
    let places = of_nodes.map(|node| node.name.place);
    for place in places.chain(of_config.map(|name| name.place)) {
        let message = "a subgraph runs in a branch, where a run can't be interrupted";
        problems.error(Code::InterruptInBranch, place, message);
    }
}
