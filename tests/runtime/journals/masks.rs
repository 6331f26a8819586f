//! What nobody should see is taken out of a journal, and replays say so.

use moonfork::{Access, Folder, Grants, HostError, Journal, Pool, ReplayEnd, RunOptions};
use serde_json::json;

use super::{recording, replay, same, taken};
use crate::common;

const SECRET: &str = "s3cr3t-t0ken";

fn pool() -> Pool {
    common::builder()
        .max_branches(4)
        .function("login", |(user,): (String,)| {
            Ok::<_, HostError>(json!({"user": user, "token": format!("Bearer {SECRET}")}))
        })
        .function("fetch", |(url, token): (String, String)| {
            if url == "bad" {
                return Err(HostError::from(format!("{token} was refused")));
            }
            Ok(format!("{url} for {token}"))
        })
        .build()
        .unwrap()
}

/// Whether a file has the secret anywhere.
fn has_secret(folder: &std::path::Path) -> bool {
    let files = std::fs::read_dir(folder).unwrap();
    files.into_iter().any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes
            .windows(SECRET.len())
            .any(|it| it == SECRET.as_bytes())
    })
}

#[test]
fn nothing_of_it_is_in_the_file() {
    let pool = pool();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), format!("key={SECRET}\n")).unwrap();
    let data = Folder::open(folder.path(), Access::ReadWrite).unwrap();
    let grants = Grants::none()
        .all_functions()
        .folder("data", data)
        .variable("token", SECRET);
    let mut branch = pool.branch_with(&recording(grants)).unwrap();
    let code = "token = login('ann').token print(token, variables.token)
                fs.write('data/copy', fs.read('data/key')) fs.remove('data/copy')
                local body = fetch('good', token) pcall(fetch, 'bad', token)
                return {body = body, [token] = state.key}";
    branch
        .eval_with::<_, serde_json::Value>(code, &json!({"key": SECRET}))
        .unwrap();
    assert!(branch.eval::<()>("error(token)").is_err());
    assert!(branch.eval::<()>("error {token = token}").is_err());
    assert!(branch.eval::<()>("fetch('bad', token)").is_err());
    let mut fork = branch
        .fork_with(&RunOptions::new().journal(Journal::BYTES))
        .unwrap();
    fork.eval::<String>("return 'of a fork: ' .. token")
        .unwrap();
    for (name, branch) in [("a", &mut branch), ("b", &mut fork)] {
        let mut journal = taken(branch);
        let own = tempfile::tempdir().unwrap();
        let file = own.path().join(name);
        journal.write(&file).unwrap();
        assert!(has_secret(own.path()), "it is there to be masked");
        let count = journal.mask(["unused", SECRET, ""]);
        assert!(count > 0 && journal.masked() == count);
        std::fs::remove_dir_all(own.path()).unwrap();
        std::fs::create_dir(own.path()).unwrap();
        journal.write(&file).unwrap();
        assert!(!has_secret(own.path()));
        let replay = replay(&Journal::read(&file).unwrap());
        let shown = replay.to_string();
        assert!(
            shown.contains(&format!("masked in {count} places")),
            "{shown}"
        );
        assert!(shown.contains("***") && !shown.contains(SECRET), "{shown}");
    }
}

#[test]
fn what_passes_it_on_goes_the_same_way() {
    let pool = pool();
    let mut branch = pool
        .branch_with(&recording(Grants::none().all_functions()))
        .unwrap();
    let code = "local token = login('ann').token return fetch('good', token)";
    branch.eval::<String>(code).unwrap();
    let mut journal = taken(&mut branch);
    assert_eq!(journal.mask([SECRET]), 4);
    let shown = same(&journal).to_string();
    assert!(shown.contains("\"token\": \"Bearer ***\""), "{shown}");
    assert!(shown.contains("fetch(\"good\", \"Bearer ***\")"), "{shown}");
}

#[test]
fn what_looks_into_it_goes_another_way() {
    let pool = pool();
    let mut branch = pool
        .branch_with(&recording(Grants::none().all_functions()))
        .unwrap();
    let code = "local token = login('ann').token return fetch('good', token:sub(8, 10))";
    branch.eval::<String>(code).unwrap();
    let mut journal = taken(&mut branch);
    assert_eq!(journal.mask([SECRET]), 1);
    let replay = replay(&journal);
    let ReplayEnd::Diverged(error) = replay.end() else {
        panic!("{replay}");
    };
    assert!(
        error
            .to_string()
            .contains("call 2 of the host was fetch(\"good\", \"s3c\")"),
        "{error}"
    );
    assert!(
        replay.to_string().contains("may go another way"),
        "{replay}"
    );
}

#[test]
fn nothing_to_hide_changes_nothing() {
    let pool = pool();
    let mut branch = pool
        .branch_with(&recording(Grants::none().all_functions()))
        .unwrap();
    branch.eval::<String>("return fetch('a', 'b')").unwrap();
    let mut journal = taken(&mut branch);
    let before = journal.clone();
    assert_eq!(journal.mask(["", "absent"]), 0);
    assert_eq!(journal, before);
    same(&journal);
}
