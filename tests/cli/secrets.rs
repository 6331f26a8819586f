//! Secrets and environment variables: given to host functions, and seen nowhere else.

use serde_json::json;

use crate::command::{Folder, moonfork, run};

/// Writes a secret and a variable to a file, and keeps what the action answered.
const WORKFLOW: &str = "
nodes:
  - {name: write, uses: write_file, output: wrote, with: {path: 'out/{{ secrets.token }}', content: '{{ env.PLACE }}'}}
  - {name: look, run: 'return {seen = secrets ~= nil or env ~= nil or state.secrets ~= nil}'}
";

#[test]
fn a_secret_reaches_the_function_and_nothing_else() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", WORKFLOW);
    let secret = folder.file("token", "s3cret-name\n");
    std::fs::create_dir(folder.path("out")).unwrap();
    let grant = format!("out={}:rw", folder.path("out").display());
    let ran = run(moonfork()
        .arg("run")
        .arg(&file)
        .args(["--folder", &grant, "--env", "PLACE", "--report"])
        .arg(folder.path("report.json"))
        .arg("--checkpoint-dir")
        .arg(folder.path("checkpoints"))
        .arg("--secret")
        .arg(format!("token=@{}", secret.display()))
        .env("PLACE", "a place of some length"));
    let wrote = json!({"path": "out/***", "bytes": 22});
    assert_eq!(ran.json(), json!({"seen": false, "wrote": wrote}));
    let written = std::fs::read_to_string(folder.path("out/s3cret-name")).unwrap();
    assert_eq!(written, "a place of some length");
    let mut kept = vec![folder.path("report.json")];
    let checkpoints = std::fs::read_dir(folder.path("checkpoints")).unwrap();
    kept.extend(checkpoints.map(|entry| entry.unwrap().path()));
    assert!(kept.len() > 1, "{kept:?}");
    for file in kept.iter().filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(!text.contains("s3cret"), "{}: {text}", file.display());
    }
}

#[test]
fn an_error_of_the_function_does_not_show_it() {
    let folder = Folder::new();
    let text = "nodes: [{name: a, uses: read_file, with: {path: 'out/{{ secrets.token }}'}}]\n";
    let file = folder.file("w.yaml", text);
    let grant = format!("out={}", folder.path("").display());
    let ran = run(moonfork()
        .arg("run")
        .arg(&file)
        .args(["--folder", &grant, "--secrets-env", "MY_"])
        .env("MY_token", "s3cret-name"));
    ran.assert_failed(1, &["`out/***`"]);
    assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
}

#[test]
fn without_a_grant_the_workflow_does_not_begin() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", WORKFLOW);
    std::fs::create_dir(folder.path("out")).unwrap();
    let grant = format!("out={}:rw", folder.path("out").display());
    let ran = run(moonfork().arg("run").arg(&file).args(["--folder", &grant]));
    let said = [
        "`secrets.token`",
        "--secret token=@FILE grants it",
        "`env.PLACE`",
        "--env PLACE grants it",
    ];
    ran.assert_failed(1, &said);
    assert_eq!(std::fs::read_dir(folder.path("out")).unwrap().count(), 0);
}

#[test]
fn where_it_would_get_into_the_state_it_is_refused() {
    let folder = Folder::new();
    let text = "nodes: [{name: a, run: {type: expression, value: '{{ secrets.token }}', output_key: x}}]\n";
    let file = folder.file("w.yaml", text);
    run(moonfork().arg("validate").arg(&file)).assert_failed(1, &["[INVALID_TEMPLATE]", "`with`"]);
}

#[test]
fn a_value_does_not_stand_on_the_command_line() {
    let folder = Folder::new();
    let file = folder.file("w.yaml", "nodes: [{name: a}]\n");
    for (flags, said) in [
        (["--secret", "token=abc"], "NAME=@FILE"),
        (["--secret", "token=@missing"], "the secret 'token'"),
        (
            ["--secrets-env", "NO_SUCH_PREFIX_"],
            "no environment variable begins with that",
        ),
        (["--env", "NO_SUCH_VARIABLE"], "there is no such variable"),
    ] {
        let ran = run(moonfork().arg("run").arg(&file).args(flags));
        assert!(ran.code == Some(1) || ran.code == Some(2), "{ran:?}");
        assert!(ran.stderr.contains(said), "no {said:?} in {ran:?}");
    }
}
