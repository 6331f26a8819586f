//! The files that a workflow is made of: read from disk, and kept, so that another process can be given them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec;

/// Files by their paths.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Whether these are all there are.
    is_given: bool,
    known: BTreeMap<String, Bytes>,
}

impl Files {
    /// These, and none from disk.
    pub(crate) fn given(known: BTreeMap<String, Bytes>) -> Files {
        Files {
            is_given: true,
            known,
        }
    }

    /// What is in a file, which `read` gets from disk.
    ///
    /// # Errors
    /// If it can't be had.
    pub(crate) fn get(
        &mut self,
        path: &Path,
        read: impl FnOnce() -> io::Result<Vec<u8>>,
    ) -> io::Result<Arc<[u8]>> {
        let name = path.to_string_lossy();
        if self.is_given {
            let known = self.known.get(&*name);
            let known = known.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            return Ok(Arc::clone(&known.0));
        }
        let bytes: Arc<[u8]> = read()?.into();
        self.known
            .insert(name.into_owned(), codec::Bytes(Arc::clone(&bytes)));
        Ok(bytes)
    }

    /// All that were read.
    pub(crate) fn into_known(self) -> BTreeMap<String, Bytes> {
        self.known
    }
}

/// What a workflow was read from, whole: its text, that of its overlays, and its other files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sources {
    /// Names with texts: the first is the workflow's own. Of one that is a file the text is among the files.
    pub(crate) documents: Vec<(String, Option<String>)>,
    pub(crate) files: BTreeMap<String, Bytes>,
}

/// What is in a file, or is as large.
pub(crate) type Bytes = codec::Bytes<Arc<[u8]>>;
