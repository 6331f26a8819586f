//! Journals in files: what is no journal, damaged, or of another version or guest is refused, with the reason.

use std::fs;
use std::path::PathBuf;

use moonfork::{Grants, Journal, ReplayOptions};
use tempfile::TempDir;

use super::{recording, same, taken};
use crate::common;

fn written() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.journal");
    let mut branch = common::pool()
        .branch_with(&recording(Grants::none()))
        .unwrap();
    branch
        .eval::<String>("print('x') return 'é\\xff' ~= '' and 'fine'")
        .unwrap();
    let mut journal = taken(&mut branch);
    journal.label("branch", "fetch");
    journal.write(&file).unwrap();
    assert_eq!(Journal::read(&file).unwrap(), journal);
    (folder, file)
}

#[test]
fn it_comes_back_whole() {
    let (_folder, file) = written();
    let journal = Journal::read(&file).unwrap();
    assert_eq!(journal.labels()["branch"], "fetch");
    let shown = same(&journal).to_string();
    assert!(
        shown.starts_with("journal of branch fetch, instance "),
        "{shown}"
    );
    // Through serde as well, in whatever format.
    let json = serde_json::to_string(&journal).unwrap();
    assert_eq!(serde_json::from_str::<Journal>(&json).unwrap(), journal);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_it() {
    use std::os::unix::fs::MetadataExt;
    let (_folder, file) = written();
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn any_byte_that_is_changed_or_lacking_is_noticed() {
    let (_folder, file) = written();
    let whole = fs::read(&file).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 4;
        fs::write(&file, &changed).unwrap();
        assert!(
            Journal::read(&file).is_err(),
            "byte {at} of {}",
            whole.len()
        );
        fs::write(&file, &whole[..at]).unwrap();
        let error = Journal::read(&file).unwrap_err();
        assert!(error.is_options(), "{error}");
    }
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let error = Journal::read(&file).unwrap_err().to_string();
    assert!(
        error.contains("damaged or cut off") && error.contains("a.journal"),
        "{error}"
    );
}

#[test]
fn what_is_something_else_is_refused() {
    let (folder, file) = written();
    let read = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        Journal::read(&file).unwrap_err().to_string()
    };
    assert!(read(b"a text\n").contains("it is no journal of moonfork's"));
    assert!(read(b"").contains("it is no journal of moonfork's"));
    let error = read(b"moonfork journal 77\nwhatever");
    assert!(
        error.contains("layout 77") && error.contains("with the version that"),
        "{error}"
    );
    let missing = Journal::read(folder.path().join("none")).unwrap_err();
    assert!(missing.to_string().contains("none"), "{missing}");
    assert!(Journal::read(folder.path()).is_err());
}

/// The journal with something else in its JSON form.
fn changed(from: &str, to: &str) -> Journal {
    let (_folder, file) = written();
    let json = serde_json::to_string(&Journal::read(file).unwrap()).unwrap();
    assert!(json.contains(from), "{json}");
    serde_json::from_str(&json.replacen(from, to, 1)).unwrap()
}

#[test]
fn one_of_another_version_is_refused() {
    let version = env!("CARGO_PKG_VERSION");
    let journal = changed(
        &format!("\"version\":\"{version}\""),
        "\"version\":\"99.0.0\"",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other");
    journal.write(&file).unwrap();
    let error = Journal::read(&file).unwrap_err().to_string();
    assert!(error.contains("moonfork 99.0.0 has recorded it"), "{error}");
    assert!(error.contains("replay it with that version"), "{error}");
}

#[test]
fn one_of_another_guest_is_refused() {
    let journal = changed("\"guest_sha256\":\"", "\"guest_sha256\":\"00");
    let error = common::pool()
        .replay(&journal, &ReplayOptions::new())
        .unwrap_err();
    assert!(error.is_options(), "{error}");
    assert!(
        error.to_string().contains("another guest module"),
        "{error}"
    );
}

#[test]
fn a_pool_of_other_settings_is_refused() {
    let (_folder, file) = written();
    let journal = Journal::read(file).unwrap();
    let options = ReplayOptions::new();
    let metered = common::builder().metered().build().unwrap();
    let error = metered.replay(&journal, &options).unwrap_err().to_string();
    assert!(error.contains("for_replay"), "{error}");
    let small = common::builder().memory(8 << 20).build().unwrap();
    let error = small.replay(&journal, &options).unwrap_err().to_string();
    assert!(
        error.contains("memory") && error.contains("for_replay"),
        "{error}"
    );
}

#[test]
fn what_somebody_made_up_does_no_harm() {
    for (from, to) in [
        ("\"op\":1", "\"op\":0"),
        ("\"op\":1", "\"op\":6"),
        ("\"op\":1", "\"op\":4000000000"),
        ("\"seed\":[", "\"seed\":[1,"),
        ("\"request\":[", "\"request\":[255,255,255,"),
        ("\"memory\":67108864", "\"memory\":1"),
    ] {
        let (_folder, file) = written();
        let json = serde_json::to_string(&Journal::read(file).unwrap()).unwrap();
        let Ok(journal) = serde_json::from_str::<Journal>(&json.replacen(from, to, 1)) else {
            continue;
        };
        // An error of whatever kind, and no panic.
        if let Ok(replay) = common::pool().replay(&journal, &ReplayOptions::new()) {
            assert!(!replay.is_same(), "{from}: {replay}");
        }
    }
}
