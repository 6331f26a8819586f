//! Capabilities: what an instance may do besides computing.

pub(crate) mod clock;
pub(crate) mod driver;
pub(crate) mod files;
pub(crate) mod function;
pub(crate) mod granted;
pub(crate) mod host_call;
pub(crate) mod host_error;
pub(crate) mod lineage;
pub(crate) mod module;
pub(crate) mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::capability::{Access, Capability};
use crate::chunk::Chunk;
use crate::grants::clock::Clock;
use crate::grants::files::Folder;
use crate::grants::lineage::Lineage;
use crate::{Error, Result};

/// What an instance may do besides computing. Everything is denied unless it is granted here.
///
/// Grants are given to a pool, for every instance it makes
/// ([`PoolBuilder::grants`](crate::PoolBuilder::grants)), or to one instance
/// ([`RunOptions::grants`](crate::RunOptions::grants)), in place of the pool's.
///
/// ```
/// use moonfork::{Clock, Grants, Pool, RunOptions};
/// # fn main() -> moonfork::Result<()> {
/// let pool = Pool::builder()
///     .function("add", |(a, b): (i64, i64)| Ok(a + b))
///     .build()?;
/// let grants = Grants::none().function("add").clock(Clock::system());
/// let mut trusted = pool.branch_with(&RunOptions::new().grants(grants))?;
/// assert_eq!(trusted.eval::<i64>("add(2, 3)")?, 5);
///
/// let error = pool.branch()?.eval::<i64>("add(2, 3)").unwrap_err();
/// assert!(error.is_denied());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Grants {
    functions: Names,
    modules: Names,
    /// Modules of the instance's own, which its pool doesn't have.
    own_modules: BTreeMap<String, Arc<Chunk<'static>>>,
    clock: Option<Clock>,
    seed: Option<u64>,
    variables: BTreeMap<String, Value>,
    folders: BTreeMap<String, Folder>,
    output: Option<Sink>,
}

/// Some of what a pool has by name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    All,
    Some(BTreeSet<String>),
}

impl Default for Names {
    fn default() -> Names {
        Names::Some(BTreeSet::new())
    }
}

impl Names {
    fn add(&mut self, name: String) {
        if let Names::Some(names) = self {
            names.insert(name);
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Names::All => true,
            Names::Some(names) => names.contains(name),
        }
    }

    /// What `self` has and `wider` has not.
    fn beyond(&self, wider: &Names) -> Option<String> {
        match (self, wider) {
            (_, Names::All) => None,
            (Names::All, Names::Some(_)) => Some("all of them".to_owned()),
            (Names::Some(some), Names::Some(wider)) => some.difference(wider).next().cloned(),
        }
    }
}

/// What a text names that asks for a capability.
enum Named<'n> {
    Clock,
    Variables,
    Modules,
    Folders,
    Module(&'n str),
    Folder(&'n str),
    Function(&'n str),
}

impl From<Named<'_>> for Capability {
    fn from(named: Named<'_>) -> Capability {
        match named {
            Named::Clock => Capability::Clock,
            Named::Variables => Capability::Variables,
            Named::Modules => Capability::Modules,
            Named::Folders => Capability::Folders,
            Named::Module(name) => Capability::Module(name.to_owned()),
            Named::Folder(name) => Capability::Folder {
                name: name.to_owned(),
                access: Access::ReadOnly,
            },
            Named::Function(name) => Capability::Function(name.to_owned()),
        }
    }
}

#[cfg(feature = "workflow")]
impl Capability {
    /// What a name stands for, as for [`Grants::only`].
    pub(crate) fn named(name: &str) -> Capability {
        Named::by(name).into()
    }
}

impl Named<'_> {
    fn by(text: &str) -> Named<'_> {
        match text {
            "clock" => Named::Clock,
            "variables" => Named::Variables,
            "modules" => Named::Modules,
            "folders" => Named::Folders,
            _ => match text.split_once(' ') {
                Some(("module", name)) => Named::Module(name),
                Some(("folder", name)) => Named::Folder(name),
                _ => Named::Function(text),
            },
        }
    }
}

impl Grants {
    /// Nothing.
    pub fn none() -> Grants {
        Grants::default()
    }

    /// The host function that the pool has under this name, as a global.
    #[must_use]
    pub fn function(mut self, name: impl Into<String>) -> Self {
        self.functions.add(name.into());
        self
    }

    /// All host functions that the pool has.
    #[must_use]
    pub fn all_functions(mut self) -> Self {
        self.functions = Names::All;
        self
    }

    /// `require` of the module that the pool has under this name.
    #[must_use]
    pub fn module(mut self, name: impl Into<String>) -> Self {
        self.modules.add(name.into());
        self
    }

    /// `require` of all modules that the pool has.
    #[must_use]
    pub fn all_modules(mut self) -> Self {
        self.modules = Names::All;
        self
    }

    /// `require` of a module of the instance's own, by this name: Lua source that no other
    /// instance of the pool has. It comes before a module that the pool has under that name. Errors
    /// name it as its [`Chunk`] is named, or else `module 'NAME'`.
    ///
    /// ```
    /// use moonfork::{Grants, Pool, RunOptions};
    /// # fn main() -> moonfork::Result<()> {
    /// let pool = Pool::builder().build()?;
    /// let grants = Grants::none().own_module("tax", "return {rate = 0.19}");
    /// let mut branch = pool.branch_with(&RunOptions::new().grants(grants))?;
    /// assert_eq!(branch.eval::<f64>("require('tax').rate")?, 0.19);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn own_module<'c>(mut self, name: impl Into<String>, source: impl Into<Chunk<'c>>) -> Self {
        let source = source.into().into_owned();
        self.own_modules.insert(name.into(), Arc::new(source));
        self
    }

    /// `os.time`, `os.date`, `os.clock` and `os.difftime`, by this clock, in UTC. `os.clock`
    /// counts from when the instance was made.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Random numbers from this seed, the same in every run, in place of fresh ones.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// An entry of the read-only global `variables`.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// A folder, as `name/...` in the paths of `fs`.
    #[must_use]
    pub fn folder(mut self, name: impl Into<String>, folder: Folder) -> Self {
        self.folders.insert(name.into(), folder);
        self
    }

    /// What is printed goes to `sink` as well, when it is printed: a line at a time as a
    /// rule, as bytes, since Lua strings may hold anything. Without this it is captured only.
    /// What is beyond [`Limits::output`](crate::Limits::output) goes nowhere.
    ///
    /// Called on the thread that runs the script; a panic there ends the instance.
    #[must_use]
    pub fn output(mut self, sink: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.output = Some(Sink(Arc::new(sink)));
        self
    }

    /// What is printed goes to where `other` sends it as well, if anywhere.
    #[must_use]
    pub fn output_of(mut self, other: &Grants) -> Self {
        self.output.clone_from(&other.output);
        self
    }

    /// Whether the host function of this name is granted, if the pool has one.
    pub fn grants_function(&self, name: &str) -> bool {
        self.functions.has(name)
    }

    /// Whether the pool's module of this name is granted, if it has one.
    pub fn grants_module(&self, name: &str) -> bool {
        self.modules.has(name)
    }

    /// The clock that is granted.
    pub fn granted_clock(&self) -> Option<&Clock> {
        self.clock.as_ref()
    }

    /// The seed that random numbers come from, where it is given.
    pub fn granted_seed(&self) -> Option<u64> {
        self.seed
    }

    /// The variables that are granted, by name.
    pub fn granted_variables(&self) -> &BTreeMap<String, Value> {
        &self.variables
    }

    /// The folders that are granted, by name.
    pub fn granted_folders(&self) -> &BTreeMap<String, Folder> {
        &self.folders
    }

    /// The part of these that is named, for a run that is to have less: a host function by its
    /// name; `clock`, `modules`, `folders` and `variables` for all there is of them; `module
    /// NAME` and `folder NAME` for one. What isn't granted here isn't in the result either, nor
    /// are a seed and an output.
    ///
    /// ```
    /// use moonfork::Grants;
    /// let all = Grants::none().function("add").function("sub").module("tax");
    /// let some = all.only(["add", "module tax", "clock"]);
    /// assert!(some.covers("add") && some.covers("module tax"));
    /// assert!(!some.covers("sub") && !some.covers("clock"));
    /// ```
    pub fn only<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Grants {
        let mut some = Grants::none();
        for name in names.into_iter().filter(|name| self.covers(name)) {
            match Named::by(name) {
                Named::Clock => some.clock.clone_from(&self.clock),
                Named::Variables => some.variables.clone_from(&self.variables),
                Named::Modules => {
                    some.modules.clone_from(&self.modules);
                    some.own_modules.clone_from(&self.own_modules);
                }
                Named::Folders => some.folders.clone_from(&self.folders),
                Named::Module(name) => match self.own_modules.get(name) {
                    Some(source) => {
                        some.own_modules.insert(name.to_owned(), Arc::clone(source));
                    }
                    None => some.modules.add(name.to_owned()),
                },
                Named::Folder(name) => {
                    let folder = self.folders.get(name).cloned();
                    some.folders
                        .extend(folder.map(|folder| (name.to_owned(), folder)));
                }
                Named::Function(name) => some.functions.add(name.to_owned()),
            }
        }
        some
    }

    /// Whether what is named, as for [`only`](Self::only), is granted, or some of it.
    pub fn covers(&self, name: &str) -> bool {
        match Named::by(name) {
            Named::Clock => self.clock.is_some(),
            Named::Variables => !self.variables.is_empty(),
            Named::Modules => self.modules != Names::default() || !self.own_modules.is_empty(),
            Named::Folders => !self.folders.is_empty(),
            Named::Module(name) => self.modules.has(name) || self.own_modules.contains_key(name),
            Named::Folder(name) => self.folders.contains_key(name),
            Named::Function(name) => self.functions.has(name),
        }
    }

    /// Refuses folders to write to that hold one of `kept`, are one of them or lie in it: folders
    /// of machine code that this process runs.
    pub(crate) fn check_folders(&self, kept: &[Lineage]) -> Result<()> {
        for (name, folder) in &self.folders {
            let overlaps = |kept: &&Lineage| folder.lineage().is_some_and(|it| it.overlaps(kept));
            if let Some(kept) = kept.iter().find(overlaps) {
                return Err(Error::options(format_args!(
                    "the folder '{name}' is granted for writing, and whoever writes to it could \
                     replace the compiled code in {}, which is run as it is: grant another folder, \
                     grant it for reading, or keep compiled code elsewhere",
                    kept.path().display()
                )));
            }
        }
        Ok(())
    }

    /// Refuses more than `granted`, which an instance has since it was made.
    pub(crate) fn check_narrower(&self, granted: &Grants) -> Result<()> {
        let refuse = |what: String| {
            Err(Error::options(format_args!(
                "{what} was not granted to the instance; grants can only be narrowed"
            )))
        };
        if let Some(name) = self.functions.beyond(&granted.functions) {
            return refuse(format!("the host function '{name}'"));
        }
        if let Some(name) = self.modules.beyond(&granted.modules) {
            return refuse(format!("the module '{name}'"));
        }
        if self.clock.is_some() && granted.clock.is_none() {
            return refuse("a clock".into());
        }
        for (name, folder) in &self.folders {
            let wider = granted.folders.get(name);
            if wider.is_none_or(|wider| wider.access() < folder.access()) {
                return refuse(format!("the folder '{name}' ({:?})", folder.access()));
            }
        }
        let fixed = [
            ("an own module", !self.own_modules.is_empty()),
            ("the random seed", self.seed.is_some()),
            ("a variable", !self.variables.is_empty()),
            ("an output", self.output.is_some()),
        ];
        if let Some((what, _)) = fixed.iter().find(|(_, set)| *set) {
            return Err(Error::options(format_args!(
                "{what} is granted when an instance is made; for a call it would have no effect"
            )));
        }
        Ok(())
    }
}

type TakeText = dyn Fn(&[u8]) + Send + Sync;

/// Where printed text goes besides.
#[derive(Clone)]
pub(crate) struct Sink(Arc<TakeText>);

impl Sink {
    pub(crate) fn push(&self, text: &[u8]) {
        (self.0)(text);
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Access;

    #[test]
    fn narrower_grants_are_accepted_and_wider_ones_refused() {
        let granted = Grants::none().function("a").function("b");
        Grants::none()
            .function("a")
            .check_narrower(&granted)
            .unwrap();
        granted
            .check_narrower(&Grants::none().all_functions())
            .unwrap();
        for wider in [
            Grants::none().function("c"),
            Grants::none().all_functions(),
            Grants::none().clock(Clock::system()),
            Grants::none().module("m"),
            Grants::none().seed(1),
            Grants::none().variable("x", 1),
        ] {
            assert!(wider.check_narrower(&granted).is_err(), "{wider:?}");
        }
    }

    #[test]
    fn a_folder_may_be_narrowed_to_reading() {
        let folder = tempfile::tempdir().unwrap();
        let grants = |access| {
            let folder = Folder::open(folder.path(), access).unwrap();
            Grants::none().folder("data", folder)
        };
        let (reads, writes) = (grants(Access::ReadOnly), grants(Access::ReadWrite));
        reads.check_narrower(&writes).unwrap();
        assert!(writes.check_narrower(&reads).is_err());
    }
}
