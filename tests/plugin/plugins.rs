//! Folders of plugins for the tests, and hosts of them.

#![allow(dead_code, reason = "not every test file needs everything")]

use std::path::{Path, PathBuf};

use moonfork::Pool;
use moonfork::diagnostics::LoadError;
use moonfork::plugin::{PluginHost, PluginHostBuilder};

/// A folder of plugins.
pub(crate) struct Plugins(tempfile::TempDir);

impl Plugins {
    /// A folder with these files in it, by paths and texts.
    pub(crate) fn new<P: AsRef<Path>, T: AsRef<[u8]>>(
        files: impl IntoIterator<Item = (P, T)>,
    ) -> Plugins {
        let plugins = Plugins(tempfile::tempdir().expect("a folder for temporary files"));
        for (path, text) in files {
            let path = plugins.path(path);
            std::fs::create_dir_all(path.parent().expect("it is in the folder")).unwrap();
            std::fs::write(path, text).unwrap();
        }
        plugins
    }

    /// One plugin in one file: `<name>.lua`, with `manifest` behind the name and the version.
    pub(crate) fn one(name: &str, manifest: &str, lua: &str) -> Plugins {
        Plugins::new([(format!("{name}.lua"), one_file(name, manifest, lua))])
    }

    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(path)
    }

    /// A host of all of them, with further settings.
    pub(crate) fn host(
        &self,
        pool: &Pool,
        settings: impl FnOnce(PluginHostBuilder) -> PluginHostBuilder,
    ) -> Result<PluginHost, LoadError> {
        settings(PluginHost::builder(pool))
            .path(self.0.path())
            .load()
    }

    /// What is wrong with them, a line each, without the folder's own path.
    #[track_caller]
    pub(crate) fn problems(
        &self,
        pool: &Pool,
        settings: impl FnOnce(PluginHostBuilder) -> PluginHostBuilder,
    ) -> String {
        let error = self.host(pool, settings).expect_err("something is wrong");
        let prefix = format!("{}{}", self.0.path().display(), std::path::MAIN_SEPARATOR);
        error.to_string().replace(&prefix, "")
    }
}

/// The text of a plugin in one file. Its Lua begins on a line of its own.
pub(crate) fn one_file(name: &str, manifest: &str, lua: &str) -> String {
    format!("--[==[ plugin\nname = \"{name}\"\nversion = \"1.0.0\"\n{manifest}\n]==]\n{lua}\n")
}

/// No further settings.
pub(crate) fn plain(builder: PluginHostBuilder) -> PluginHostBuilder {
    builder
}

/// Settings that allow as many kept instances as any test needs.
pub(crate) fn keeping(builder: PluginHostBuilder) -> PluginHostBuilder {
    builder.max_kept(32)
}
