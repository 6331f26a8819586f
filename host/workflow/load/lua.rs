//! Lua in files of its own: `run: {file: ...}` and `modules`.
//!
//! The files lie beneath the folder of the workflow that names them. They are read through a
//! handle of that folder, so that neither `..` nor a link leads out of it.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::chunk::Chunk;
use crate::diagnostics::{Code, Place, Problems};
use crate::workflow::load::files::Files;
use crate::workflow::model::{LuaText, Model, Node, Spanned, Work};
use crate::workflow::parts;

/// The most that a Lua file may hold, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// How many Lua files a workflow may have.
const MAX_FILES: usize = 1000;

/// Reads the Lua files of a workflow and of its subgraphs, each file once.
#[derive(Default)]
pub(crate) struct LuaFiles {
    folders: HashMap<PathBuf, Option<Dir>>,
    /// Those that were read, with their place in the list of files.
    known: HashMap<PathBuf, (Arc<[u8]>, u16)>,
}

impl LuaFiles {
    /// Reads what `model` names, whose own file is in `folder`.
    pub(crate) fn load(
        &mut self,
        model: &mut Model,
        folder: &Path,
        files: &mut Files,
        problems: &mut Problems,
    ) {
        for source in model.prelude.iter_mut().chain(model.modules.values_mut()) {
            self.fill(source, folder, files, problems);
        }
        self.nodes(&mut model.nodes, folder, files, problems);
    }

    fn nodes(
        &mut self,
        nodes: &mut [Node],
        folder: &Path,
        files: &mut Files,
        problems: &mut Problems,
    ) {
        for node in nodes {
            self.work(&mut node.work, folder, files, problems);
        }
    }

    fn work(&mut self, work: &mut Work, folder: &Path, files: &mut Files, problems: &mut Problems) {
        match work {
            Work::Lua(source) => self.fill(source, folder, files, problems),
            Work::Steps(steps) => self.nodes(steps, folder, files, problems),
            Work::Loop(repeated) => self.nodes(&mut repeated.body, folder, files, problems),
            Work::Each(each) => self.work(&mut each.body, folder, files, problems),
            // Its folder may be another one.
            Work::Subgraph(_) => {}
            Work::Nothing | Work::Expression(_) | Work::Call(_) => {}
        }
    }

    /// Puts the text of a file into `source`, if it is in one.
    fn fill(
        &mut self,
        source: &mut LuaText,
        folder: &Path,
        files: &mut Files,
        problems: &mut Problems,
    ) {
        let Some(name) = &source.file else {
            return;
        };
        match self.read(name, folder, files, problems) {
            Ok((text, number)) => {
                source.text = text;
                source.place = Place::new(number, 1, 1);
            }
            Err(why) => {
                let message = format!("the Lua file `{}` can't be read: {why}", name.value);
                problems.error(Code::FileUnreadable, name.place, message);
            }
        }
    }

    fn read(
        &mut self,
        name: &Spanned<String>,
        folder: &Path,
        files: &mut Files,
        problems: &mut Problems,
    ) -> io::Result<(Arc<[u8]>, u16)> {
        let path = folder.join(&name.value);
        if let Some((text, number)) = self.known.get(&path) {
            return Ok((Arc::clone(text), *number));
        }
        if self.known.len() >= MAX_FILES {
            let message = format!("a workflow has at most {MAX_FILES} of them");
            return Err(io::Error::other(message));
        }
        let text = files.get(&path, || self.on_disk(folder, &name.value))?;
        let number = problems.add_file(&path.display().to_string());
        self.known.insert(path, (Arc::clone(&text), number));
        Ok((text, number))
    }
}

impl LuaFiles {
    fn on_disk(&mut self, folder: &Path, name: &str) -> io::Result<Vec<u8>> {
        let dir = match self.folders.entry(folder.to_owned()) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let here = match folder.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => folder,
                };
                new.insert(Dir::open_ambient_dir(here, ambient_authority()).ok())
            }
        };
        match dir {
            Some(dir) => text_of(dir, name),
            None => Err(io::Error::other("there is no folder that it could be in")),
        }
    }
}

/// The text of a Lua file.
fn text_of(dir: &Dir, name: &str) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its other end.
    if !dir.metadata(name)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    dir.open(name)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("it has more than the {MAX_FILE} bytes that a Lua file may have");
        return Err(io::Error::other(message));
    }
    Ok(bytes)
}

/// The modules of a workflow and of the subgraphs in it, by name.
pub(crate) fn modules(model: &Model, problems: &mut Problems) -> BTreeMap<String, Chunk<'static>> {
    let mut named: BTreeMap<&str, &LuaText> = BTreeMap::new();
    for part in parts::of(model) {
        for (name, source) in &part.model.modules {
            let known = named.entry(name).or_insert(source);
            if let (true, Some(file)) = (known.place != source.place, &source.file) {
                let message = format!(
                    "the module `{name}` is another file in the workflow that uses this one"
                );
                problems.error(Code::ModuleConflict, file.place, message);
            }
        }
    }
    let chunk = |source: &LuaText| {
        let file = source.file.as_ref().map_or("", |file| &file.value);
        Chunk::body(source.text.to_vec()).named(file.to_owned())
    };
    let modules = named.into_iter();
    modules
        .map(|(name, source)| (name.to_owned(), chunk(source)))
        .collect()
}
