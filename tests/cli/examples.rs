//! The small examples do what their first lines say.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::command::{Folder, moonfork, run};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

#[test]
fn approval() {
    let folder = Folder::new();
    let (file, checkpoints) = (example("approval.yaml"), folder.path("c"));
    let stopped = run(moonfork()
        .arg("run")
        .arg(&file)
        .args(["-i", r#"{"text": "Hello"}"#, "--checkpoint-dir"])
        .arg(&checkpoints));
    stopped.assert_failed(130, &["interrupted after `review`"]);
    let state = run(moonfork()
        .arg("resume")
        .arg(&checkpoints)
        .arg("--workflow")
        .arg(&file)
        .args(["-i", r#"{"approved": true}"#]))
    .json();
    assert_eq!(state["outcome"], json!("published"));
}

#[test]
fn retries() {
    let state = run(moonfork().arg("run").arg(example("retries.yaml"))).json();
    assert_eq!(state["attempts"], json!(3));
    assert_eq!(state["plan"], json!("b"));
    assert_eq!(state["__error__"]["node"], json!("careful"));
    assert_eq!(
        state["outcomes"],
        json!({"slow": "TimeoutError", "fine": "done"})
    );
}

#[test]
fn each_line() {
    let folder = Folder::new();
    folder.file("in.jsonl", "{\"n\": 3}\n{\"n\": 5}\n");
    let grant = format!("data={}:rw", folder.path("").display());
    let file = example("each_line.yaml");
    let state = run(moonfork().arg("run").arg(file).args(["--folder", &grant])).json();
    assert_eq!(state["sum"], json!(34.0));
    let out = std::fs::read_to_string(folder.path("out.txt")).unwrap();
    assert_eq!(out, "the sum is 34.0\n");
}
