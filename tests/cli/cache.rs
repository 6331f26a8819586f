//! The folder of compiled code: private, and no reason to fail.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::command::{Folder, moonfork, run};

/// Evaluates something with this folder as the cache.
#[track_caller]
fn eval_with_cache(folder: &Path) {
    let ran = run(moonfork()
        .env("MOONFORK_CACHE_DIR", folder)
        .args(["eval", "1 + 1"]));
    assert_eq!(ran.json(), json!(2));
    assert_eq!(ran.stderr, "");
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder)
        .expect("the folder can be read")
        .next()
        .is_none()
}

#[test]
fn it_is_made_for_the_user_alone() {
    let folder = Folder::new().path("made/here");
    eval_with_cache(&folder);
    let mode = fs::metadata(&folder)
        .expect("the folder is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    assert!(!is_empty(&folder));
}

#[test]
fn without_a_name_it_is_in_the_users_cache() {
    let home = Folder::new();
    let mut command = moonfork();
    command
        .env_remove("MOONFORK_CACHE_DIR")
        .env("XDG_CACHE_HOME", home.path(""));
    command.env("HOME", home.path(""));
    run(command.args(["eval", "1"])).json();
    let has_moonfork = |entry: &Path| entry.ends_with("moonfork");
    let found = fs::read_dir(home.path("")).expect("the folder can be read");
    let found = found.flatten().any(|entry| has_moonfork(&entry.path()));
    assert!(found || home.path("Library/Caches/moonfork").exists());
}

#[test]
fn a_folder_that_others_can_write_to_is_not_used() {
    let parent = Folder::new();
    let folder = parent.path("open");
    fs::create_dir(&folder).expect("the folder can be made");
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("it is ours");
    eval_with_cache(&folder);
    assert!(is_empty(&folder));
}

#[test]
fn a_folder_that_cannot_be_made_is_done_without() {
    let parent = Folder::new();
    let file = parent.file("file", "not a folder");
    eval_with_cache(&file);
    eval_with_cache(&file.join("inside"));
}

#[test]
fn processes_that_start_at_once_share_it() {
    let parent = Folder::new();
    let folder = parent.path("shared");
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| eval_with_cache(&folder));
        }
    });
    let files: Vec<_> = fs::read_dir(&folder)
        .expect("the folder can be read")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    let [file] = &*files else {
        panic!("one file, not {files:?}");
    };
    let written = || fs::metadata(file).and_then(|it| it.modified());
    let before = written().expect("it is there");
    eval_with_cache(&folder);
    assert_eq!(written().expect("it is there"), before);
}

#[test]
fn a_damaged_file_is_replaced_without_a_word() {
    let folder = Folder::new();
    let folder = folder.path("kept");
    eval_with_cache(&folder);
    let file = fs::read_dir(&folder)
        .expect("the folder can be read")
        .next();
    let file = file.expect("a file").expect("it can be read").path();
    fs::remove_file(&file).expect("it is ours");
    fs::write(&file, "damaged").expect("it is ours");
    eval_with_cache(&folder);
    let length = fs::metadata(&file).expect("it is there").len();
    assert!(length > 1000, "{length} bytes");
}

/// Whoever made the folder that the command runs in could have put code there.
#[test]
fn a_relative_path_is_refused() {
    let folder = Folder::new();
    let run_in = |variable: &str, value: &str| {
        let mut command = moonfork();
        command
            .env_remove("MOONFORK_CACHE_DIR")
            .env_remove("XDG_CACHE_HOME");
        command.current_dir(folder.path("")).env(variable, value);
        run(command.args(["eval", "1 + 1"]))
    };
    run_in("MOONFORK_CACHE_DIR", "relative").assert_failed(2, &["no absolute path"]);
    let ran = run_in("HOME", "relative");
    assert_eq!(ran.json(), json!(2));
    assert_eq!(ran.stderr.matches("no absolute path").count(), 1, "{ran:?}");
    assert!(is_empty(&folder.path("")));
    let ran = run_in("HOME", folder.path("home").to_str().unwrap());
    assert_eq!((ran.json(), ran.stderr.as_str()), (json!(2), ""));
    assert!(!is_empty(&folder.path("home")));
}

/// A script that could write there could place machine code.
#[test]
fn a_folder_to_write_to_is_not_where_the_cache_is() {
    let folder = Folder::new();
    let cache = folder.path("home/cache");
    let inside = folder.path("home/cache/inside");
    fs::create_dir_all(&inside).unwrap();
    let beside = folder.path("home/data");
    fs::create_dir(&beside).unwrap();
    std::os::unix::fs::symlink(&cache, folder.path("link")).unwrap();
    let granted = |path: &Path, access: &str| {
        let grant = format!("d={}{access}", path.display());
        run(moonfork()
            .env("MOONFORK_CACHE_DIR", &cache)
            .args(["eval", "1", "--folder", &grant]))
    };
    for held in [&cache, &inside, &folder.path("home"), &folder.path("link")] {
        granted(held, ":rw").assert_failed(2, &["can't be granted for writing", "compiled code"]);
        granted(held, "").json();
    }
    granted(&beside, ":rw").json();
}
