//! Changes to Lua's own sources: the patches in guest/lua/, which docs/guest-lua.md explains.
//!
//! A patch is a unified diff with a head above it, as that of a mail: what it is, whether it is
//! for speed or part of the guest's contract, what it relies on, and the tests that would notice.
//! What doesn't fit is refused, never fitted: Lua's interpreter isn't the place for a guess.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use diffy::patch_set::{FileOperation, ParseOptions, PatchKind, PatchSet};
use diffy::{Hunk, Line};

/// Where the patches are.
pub(crate) const FOLDER: &str = "guest/lua";

/// How a patch's file name ends.
const EXTENSION: &str = "patch";

/// Why a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The guest promises what it does: no build is without it.
    Contract,
    /// Scripts see no difference but in time: a build without it passes the same tests.
    Speed,
}

/// One change to Lua, for one purpose.
#[derive(Debug)]
pub(crate) struct Patch {
    /// The name of its file.
    name: String,
    /// Why it is made.
    kind: Kind,
    /// What the compiler is told besides, by the name of the source file.
    flags: BTreeMap<String, Vec<String>>,
    /// The tests that would notice: paths, relative to the workspace.
    tested_by: Vec<PathBuf>,
    /// The diff.
    diff: String,
}

/// All changes, in the order in which they are made.
#[derive(Debug)]
pub(crate) struct Series(Vec<Patch>);

/// Which of the patches a build has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    All,
    /// Without those that are for speed.
    Contract,
}

impl Series {
    /// Reads the patches of the workspace's guest.
    pub(crate) fn read(workspace: &Path) -> Result<Series> {
        let folder = workspace.join(FOLDER);
        let entries = fs::read_dir(&folder);
        let entries = entries.with_context(|| format!("listing {}", folder.display()))?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == EXTENSION) {
                files.push(path);
            }
        }
        files.sort();
        let patches = files.iter().map(|file| {
            let text = fs::read_to_string(file);
            let text = text.with_context(|| format!("reading {}", file.display()))?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            Patch::parse(&name, &text)
        });
        let series = Series::new(patches.collect::<Result<_>>()?)?;
        for patch in &series.0 {
            for test in &patch.tested_by {
                ensure!(
                    workspace.join(test).exists(),
                    "{FOLDER}/{} names a test that isn't there: {}",
                    patch.name,
                    test.display()
                );
            }
        }
        Ok(series)
    }

    /// # Errors
    ///
    /// When a patch of the contract comes after one for speed: it would have to fit the sources
    /// with that one and without it.
    fn new(patches: Vec<Patch>) -> Result<Series> {
        if let Some(pair) = patches.windows(2).find(|pair| pair[0].kind > pair[1].kind) {
            bail!(
                "{} is part of the contract and comes after {}, which builds may leave out",
                pair[1].name,
                pair[0].name
            );
        }
        Ok(Series(patches))
    }

    /// The patches of a build, in their order.
    fn selected(&self, selection: Selection) -> impl Iterator<Item = &Patch> {
        let wanted = move |kind| selection == Selection::All || kind == Kind::Contract;
        self.0.iter().filter(move |patch| wanted(patch.kind))
    }

    /// Writes all of the folder `sources` to the folder `to`, which is emptied first, with the
    /// patches applied.
    ///
    /// # Errors
    ///
    /// When a patch doesn't fit: with its name, the file and the hunk.
    pub(crate) fn apply(&self, selection: Selection, sources: &Path, to: &Path) -> Result<()> {
        let mut files = BTreeMap::new();
        let entries = fs::read_dir(sources);
        for entry in entries.with_context(|| format!("listing {}", sources.display()))? {
            let path = entry?.path();
            let text = fs::read_to_string(&path);
            let text = text.with_context(|| format!("reading {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            files.insert(name.into_owned(), text);
        }
        for patch in self.selected(selection) {
            let applied = patch.apply(&mut files);
            applied.with_context(|| format!("{FOLDER}/{}", patch.name))?;
        }
        if to.exists() {
            fs::remove_dir_all(to).with_context(|| format!("emptying {}", to.display()))?;
        }
        fs::create_dir_all(to)?;
        for (name, text) in files {
            let path = to.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    /// What the compiler is told besides, by the name of the source file.
    pub(crate) fn flags(&self, selection: Selection) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (file, flags) in self.selected(selection).flat_map(|patch| &patch.flags) {
            all.entry(file.clone())
                .or_default()
                .extend_from_slice(flags);
        }
        all
    }
}

impl Patch {
    /// Reads a patch: a head of lines such as `Kind: speed`, an empty line, text in plain words,
    /// and a unified diff.
    fn parse(name: &str, text: &str) -> Result<Patch> {
        let parsed = Self::parse_parts(name, text);
        parsed.with_context(|| format!("{FOLDER}/{name}"))
    }

    fn parse_parts(name: &str, text: &str) -> Result<Patch> {
        let (head, rest) = text.split_once("\n\n").context("there is no head")?;
        let mut fields = read_head(head)?;
        let mut take = |field| match fields.remove(field) {
            Some(value) if !value.is_empty() => Ok(value),
            _ => bail!("the head has no '{field}'"),
        };
        // These two are for readers.
        take("Subject")?;
        take("Relies-on")?;
        let kind = take("Kind")?;
        let tested_by = take("Tested-by")?;
        let flags = fields.remove("Flags").unwrap_or_default();
        if let Some(field) = fields.keys().next() {
            bail!("the head has an unknown '{field}'");
        }
        let diff = rest.find("\n--- ").context("there is no diff")? + 1;
        let (why, diff) = rest.split_at(diff);
        ensure!(!why.trim().is_empty(), "there are no words that say why");
        Ok(Patch {
            name: name.to_owned(),
            kind: match &*kind {
                "contract" => Kind::Contract,
                "speed" => Kind::Speed,
                other => bail!("'{other}' is no kind of patch: contract or speed"),
            },
            flags: read_flags(&flags)?,
            tested_by: tested_by.split_whitespace().map(PathBuf::from).collect(),
            diff: diff.to_owned(),
        })
    }

    /// Makes the change to `files`, which are by name.
    fn apply(&self, files: &mut BTreeMap<String, String>) -> Result<()> {
        let mut hunks = 0;
        for patch in PatchSet::parse(&self.diff, ParseOptions::unidiff()) {
            let patch = patch.context("the diff can't be read")?;
            let name = match patch.operation().strip_prefix(1) {
                FileOperation::Modify { original, modified } if original == modified => {
                    original.into_owned()
                }
                other => bail!("{other:?}: patches change files of Lua's, and do nothing else"),
            };
            let PatchKind::Text(changes) = patch.patch() else {
                bail!("the change to {name} is none of text");
            };
            let text = files.get_mut(&name);
            let text = text.with_context(|| format!("Lua has no file {name}"))?;
            *text = patched(text, changes.hunks()).with_context(|| name)?;
            hunks += changes.hunks().len();
        }
        // What comes behind a diff is skipped by whoever reads diffs: mails have signatures there.
        let written = self.diff.lines().filter(|line| line.starts_with("@@ "));
        let written = written.count();
        ensure!(hunks == written, "{hunks} of {written} hunks can be read");
        Ok(())
    }
}

/// The head's fields. A line that begins with a space goes on with the field before it.
fn read_head(head: &str) -> Result<BTreeMap<&str, String>> {
    let mut fields: BTreeMap<&str, String> = BTreeMap::new();
    let mut last = None;
    for line in head.lines() {
        match (line.strip_prefix(' '), line.split_once(':'), last) {
            (Some(more), _, Some(name)) => {
                let value = fields.entry(name).or_default();
                value.push(' ');
                value.push_str(more.trim());
            }
            (None, Some((name, value)), _) => {
                let before = fields.insert(name, value.trim().to_owned());
                ensure!(before.is_none(), "the head has '{name}' twice");
                last = Some(name);
            }
            _ => bail!("'{line}' is no line of a head, as 'Kind: speed' is"),
        }
    }
    Ok(fields)
}

/// Flags for one file: its name, and what the compiler is told.
fn read_flags(text: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let mut words = text.split_whitespace().map(str::to_owned);
    let Some(file) = words.next() else {
        return Ok(BTreeMap::new());
    };
    let is_source = Path::new(&file).extension().is_some_and(|end| end == "c");
    ensure!(
        is_source,
        "'Flags' begins with the name of a file of C, not '{file}'"
    );
    Ok([(file, words.collect())].into())
}

/// `text` with all hunks applied.
///
/// A hunk's lines have to be there as they are, at the place that it names or, since the hunks
/// of patches before it move what is behind them, at exactly one other.
fn patched(text: &str, hunks: &[Hunk<'_, str>]) -> Result<String> {
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let mut result = String::with_capacity(text.len());
    let mut done = 0;
    for (number, hunk) in (1..).zip(hunks) {
        let at = place(&lines, done, hunk).with_context(|| {
            format!(
                "hunk {number}, of line {}, doesn't fit",
                hunk.old_range().start()
            )
        })?;
        result.extend(lines[done..at].iter().copied());
        result.extend(hunk.lines().iter().filter_map(|line| match line {
            Line::Context(text) | Line::Insert(text) => Some(*text),
            Line::Delete(_) => None,
        }));
        done = at + hunk.old_range().len();
    }
    result.extend(lines[done..].iter().copied());
    Ok(result)
}

/// The line, counted from zero, that a hunk begins at.
fn place(lines: &[&str], from: usize, hunk: &Hunk<'_, str>) -> Result<usize> {
    let old = hunk.lines().iter().filter_map(|line| match line {
        Line::Context(text) | Line::Delete(text) => Some(*text),
        Line::Insert(_) => None,
    });
    let old: Vec<&str> = old.collect();
    ensure!(!old.is_empty(), "it has no line of Lua's to be found by");
    let fits = |at: usize| {
        lines
            .get(at..at + old.len())
            .is_some_and(|there| there == old)
    };
    let named = hunk.old_range().start().saturating_sub(1);
    if named >= from && fits(named) {
        return Ok(named);
    }
    let mut places = (from..lines.len()).filter(|at| fits(*at));
    match (places.next(), places.next()) {
        (Some(at), None) => Ok(at),
        (Some(first), Some(second)) => bail!(
            "its lines are elsewhere, and more than once: at lines {} and {}",
            first + 1,
            second + 1
        ),
        (None, _) => {
            let there = lines.get(named..).unwrap_or_default();
            let pairs = old.iter().zip(there).find(|(old, there)| old != there);
            match pairs {
                Some((old, there)) => bail!("it expects {old:?} where there is {there:?}"),
                None => bail!("it goes on behind the end of the file"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::{Kind, Patch, Selection, Series};

    const HEAD: &str = "\
Subject: Two is a digit
Kind: speed
Flags: lvm.c -O3 -g
Relies-on: nothing
Tested-by: tests/one.rs
 tests/two.rs

Why.

";
    const DIFF: &str = "\
--- a/lvm.c
+++ b/lvm.c
@@ -1,3 +1,3 @@
 one
-two
+2
 three
";

    fn patch(diff: &str) -> Patch {
        Patch::parse("a.patch", &format!("{HEAD}{diff}")).expect("a patch")
    }

    fn patched(patch: &Patch, text: &str) -> Result<String, String> {
        let mut files = BTreeMap::from([("lvm.c".to_owned(), text.to_owned())]);
        let applied = patch.apply(&mut files);
        applied.map_err(|error| format!("{error:#}"))?;
        Ok(files.remove("lvm.c").unwrap_or_default())
    }

    #[test]
    fn a_head_says_what_a_patch_is() {
        let patch = patch(DIFF);
        assert_eq!(patch.kind, Kind::Speed);
        assert_eq!(patch.flags["lvm.c"], ["-O3", "-g"]);
        assert_eq!(
            patch.tested_by,
            [Path::new("tests/one.rs"), Path::new("tests/two.rs")]
        );
    }

    #[test]
    fn heads_that_leave_something_out_are_refused() {
        let whole = format!("{HEAD}{DIFF}");
        for line in [
            "Subject: Two is a digit\n",
            "Kind: speed\n",
            "Relies-on: nothing\n",
            "Why.\n",
        ] {
            assert!(whole.contains(line), "{line}");
            let without = Patch::parse("a.patch", &whole.replace(line, ""));
            assert!(without.is_err(), "{line}");
        }
        let odd = Patch::parse("a.patch", &whole.replace("Kind: speed", "Kind: fun"));
        let odd = format!("{:#}", odd.expect_err("no kind"));
        assert!(
            odd.contains("guest/lua/a.patch: 'fun' is no kind of patch"),
            "{odd}"
        );
    }

    #[test]
    fn lines_that_have_moved_are_found() {
        assert_eq!(
            patched(&patch(DIFF), "one\ntwo\nthree\n").as_deref(),
            Ok("one\n2\nthree\n")
        );
        let moved = patched(&patch(DIFF), "zero\none\ntwo\nthree\nfour\n");
        assert_eq!(moved.as_deref(), Ok("zero\none\n2\nthree\nfour\n"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let other = patched(&patch(DIFF), "one\ntwo\nthird\n").expect_err("another context");
        assert_eq!(
            other,
            r#"lvm.c: hunk 1, of line 1, doesn't fit: it expects "three\n" where there is "third\n""#
        );
        let twice = "zero\none\ntwo\nthree\none\ntwo\nthree\n";
        let twice = patched(&patch(DIFF), twice).expect_err("two places");
        assert!(
            twice.contains("more than once: at lines 2 and 5"),
            "{twice}"
        );
        let short = patched(&patch(DIFF), "one\ntwo\n").expect_err("an end");
        assert!(short.contains("behind the end"), "{short}");
        let missing = patched(&patch(&DIFF.replace("lvm.c", "lvm.h")), "one\ntwo\nthree\n");
        assert_eq!(missing, Err("Lua has no file lvm.h".to_owned()));
    }

    #[test]
    fn a_hunk_that_cannot_be_read_is_an_error() {
        let broken = format!("{DIFF}\n@@ -9,2 +9,2 @@ no such thing\n nine\n-ten\n");
        assert!(patched(&patch(&broken), "one\ntwo\nthree\n").is_err());
    }

    #[test]
    fn the_contract_comes_first() {
        let speed = || patch(DIFF);
        let contract = || Patch {
            kind: Kind::Contract,
            ..patch(DIFF)
        };
        assert!(Series::new(vec![contract(), speed()]).is_ok());
        assert!(Series::new(vec![speed(), contract()]).is_err());
    }

    #[test]
    fn builds_leave_out_what_is_for_speed() {
        let contract = Patch {
            kind: Kind::Contract,
            flags: BTreeMap::new(),
            ..patch(DIFF)
        };
        let series = Series::new(vec![contract, patch(DIFF)]).expect("a series");
        assert_eq!(series.selected(Selection::All).count(), 2);
        assert_eq!(series.selected(Selection::Contract).count(), 1);
        assert!(series.flags(Selection::Contract).is_empty());
        assert_eq!(series.flags(Selection::All)["lvm.c"], ["-O3", "-g"]);
    }

    /// Their heads are whole, and the tests that they name are there.
    #[test]
    fn the_guests_patches_can_be_read() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("a workspace");
        let series = Series::read(workspace).expect("a series");
        assert!(series.selected(Selection::Contract).count() > 0);
        assert!(
            series
                .selected(Selection::All)
                .any(|patch| patch.kind == Kind::Speed)
        );
    }
}
