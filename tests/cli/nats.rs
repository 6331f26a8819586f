//! `run --workers nats://…`, `worker --nats` and `workers`.

#[path = "../common/nats_server.rs"]
mod nats_server;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command::{Folder, moonfork, run};
use nats_server::Server;

const SUM: &str = "
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{ range(200) | list }}'
    reduce: {sum: sum, lines: append}
    collect: none
    run: return {sum = state.item, lines = {fs.read('data/in.txt')}}
outputs: [sum, lines]
";

/// A worker with these flags, which is killed when this is dropped.
struct Worker(Child);

impl Worker {
    fn start(server: &Server, flags: &[&str]) -> Worker {
        let mut command = moonfork();
        command
            .args(["worker", "--nats", &server.url()])
            .args(flags);
        let child = command.stdout(Stdio::null()).spawn();
        Worker(child.expect("the binary can be started"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn workers(server: &Server) -> Value {
    let mut command = moonfork();
    command.args(["workers", "--json", "--nats", &server.url()]);
    run(&mut command).json()
}

/// Looks at who is there until this is so.
#[track_caller]
fn wait_for(server: &Server, is_so: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let shown = workers(server);
        if is_so(&shown) {
            return shown;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{shown}");
    }
}

#[test]
fn branches_run_on_workers_with_their_grants() {
    let Some(server) = Server::start() else {
        return;
    };
    let folder = Folder::new();
    let file = folder.file("w.yaml", SUM);
    folder.file("in.txt", "x");
    let data = format!("data={}", folder.path("").display());
    let _worker = Worker::start(&server, &["--slots", "2", "--folder", &data]);
    let report = folder.path("report.json");
    let run_it = |flags: &[&str]| {
        let mut command = moonfork();
        command
            .arg("run")
            .arg(&file)
            .args(["--workers", &server.url()]);
        run(command.args(flags).arg("--report").arg(&report))
    };
    let ran = run_it(&["--folder", &data]);
    assert_eq!(ran.json()["sum"], json!(199 * 100));
    assert_eq!(ran.json()["lines"], json!(vec!["x"; 200]));
    let report = std::fs::read_to_string(&report).expect("the report");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let instances = report["instances"].as_array().expect("a list").iter();
    let of_worker = instances.filter(|it| it["worker"].is_string());
    assert_eq!(of_worker.count(), 200);
    // What the run grants and no worker does is refused.
    let other = format!("{data}:rw");
    let ran = run_it(&["--folder", &other]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("the workers lack what the run grants"),
        "{ran:?}"
    );
}

#[test]
fn a_worker_that_is_told_to_stop_ends_its_branch_and_then_itself() {
    let Some(server) = Server::start() else {
        return;
    };
    let folder = Folder::new();
    // Each goes on until there is a file.
    let text = "
nodes:
  - name: each
    parallel_each: [1, 2]
    run: |
      repeat
        for i = 1, 1000000 do end
      until pcall(fs.read, 'data/go')
";
    let file = folder.file("w.yaml", text);
    let data = format!("data={}", folder.path("").display());
    let terms = ["--folder", &data, "--wall", "10m"];
    let flags = [&["--slots", "1", "--grace", "10m"][..], &terms].concat();
    let mut worker = Worker::start(&server, &flags);
    let mut command = moonfork();
    command
        .arg("run")
        .arg(&file)
        .args(["--workers", &server.url()])
        .args(terms);
    let running = std::thread::spawn(move || run(&mut command));
    let is_busy = |shown: &Value| {
        let worker = &shown["workers"][0]["busy"];
        worker.as_array().is_some_and(|busy| !busy.is_empty())
    };
    wait_for(&server, is_busy);
    let pid = worker.0.id().to_string();
    Command::new("kill").arg(&pid).status().expect("kill");
    // The other branch is run by another.
    let _other = Worker::start(&server, &flags);
    let are_so_many = |shown: &Value, count: usize| {
        let workers = shown["workers"].as_array();
        workers.is_some_and(|it| it.len() == count)
    };
    wait_for(&server, |shown| are_so_many(shown, 2));
    folder.file("go", "");
    let status = worker.0.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    let ran = running.join().expect("no panic").json();
    let entries = ran["parallel_results"].as_array().expect("a list");
    let workers: Vec<_> = entries.iter().map(|it| &it["report"]["worker"]).collect();
    assert!(
        entries.iter().all(|it| it["success"] == json!(true)),
        "{ran}"
    );
    assert_ne!(workers[0], workers[1]);
    wait_for(&server, |shown| are_so_many(shown, 1));
}

#[test]
fn who_is_there_is_shown() {
    let Some(server) = Server::start() else {
        return;
    };
    let shown = |server: &Server| {
        let mut command = moonfork();
        run(command.args(["workers", "--nats", &server.url()])).stdout
    };
    assert_eq!(shown(&server), "no workers\n");
    let _worker = Worker::start(&server, &["--slots", "3", "--pool", "gpu"]);
    wait_for(&server, |shown| {
        shown["workers"].as_array().is_some_and(|it| !it.is_empty())
    });
    let text = shown(&server);
    assert!(text.contains("in the pool gpu, of version "), "{text}");
    assert!(text.contains("0 of 3 slots busy, 0 branches in "), "{text}");
}

#[test]
fn what_cannot_be_is_said() {
    let folder = Folder::new();
    let file = folder.file(
        "w.yaml",
        "nodes: [{name: each, parallel_each: [1], run: return 1}]",
    );
    let file = file.to_str().expect("UTF-8");
    // Nobody listens there.
    let nobody = "nats://127.0.0.1:1";
    let cases: [(&[&str], i32, &str); 7] = [
        (
            &["run", file, "--workers", nobody],
            1,
            "no connection to `nats://127.0.0.1:1`",
        ),
        (
            &["run", file, "--workers", "http://x"],
            2,
            "write `local:N`",
        ),
        (&["run", file, "--nats-creds", "x"], 2, "there is none"),
        (&["worker", "--nats", nobody], 1, "no connection to"),
        (
            &["worker", "--nats", "127.0.0.1"],
            2,
            "write `nats://HOST:PORT`",
        ),
        (
            &["worker", "--nats", nobody, "--pool", "a.b"],
            2,
            "can't be the name of a pool",
        ),
        (
            &["workers", "--nats", "nats://me:secret@127.0.0.1:1"],
            1,
            "at 127.0.0.1:1",
        ),
    ];
    for (arguments, code, said) in cases {
        let ran = run(moonfork().args(arguments));
        ran.assert_failed(code, &[said]);
        assert!(!ran.stderr.contains("secret"), "{ran:?}");
    }
}

/// The block of this kind in the page.
fn block(language: &str) -> &'static str {
    const PAGE: &str = include_str!("../../docs/scaling.md");
    let (_, block) = PAGE
        .split_once(&format!("```{language}\n"))
        .expect("the page has it");
    block.split_once("\n```").expect("it ends").0
}

/// Whether a worker takes these arguments: then it fails for want of a server, and not of them.
#[track_caller]
fn assert_taken(arguments: &[String]) {
    let nobody = |it: &String| match it.starts_with("nats://") {
        true => "nats://127.0.0.1:1".to_owned(),
        false => it.clone(),
    };
    let ran = run(moonfork().args(arguments.iter().map(nobody)));
    assert_eq!(ran.code, Some(1), "{arguments:?}: {ran:?}");
}

#[test]
fn workers_in_containers_have_arguments_that_there_are() {
    let dockerfile = block("dockerfile");
    let last = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("CMD "));
    let arguments: Vec<String> = serde_json::from_str(last.expect("a command")).expect("JSON");
    assert_taken(&arguments);
    let version = include_str!("../../rust-toolchain.toml");
    let version = version
        .lines()
        .find_map(|line| line.strip_prefix("channel = \"1.95"));
    assert!(version.is_some() && dockerfile.contains("FROM rust:1.95-"));
    let deployment: serde_yaml::Value = serde_yaml::from_str(block("yaml")).expect("YAML");
    let pod = &deployment["spec"]["template"];
    assert_eq!(
        deployment["spec"]["selector"]["matchLabels"],
        pod["metadata"]["labels"]
    );
    let arguments = pod["spec"]["containers"][0]["args"].clone();
    let arguments: Vec<String> = serde_yaml::from_value(arguments).expect("texts");
    // The file is that of the secret.
    let at = arguments
        .iter()
        .position(|it| it == "--nats-creds")
        .expect("it has one");
    assert_eq!(arguments[at + 1], "/secrets/worker.creds");
    assert_taken(&[&arguments[..at], &arguments[at + 2..]].concat());
    let grace = arguments.iter().skip_while(|it| *it != "--grace").nth(1);
    let grace: u64 = grace
        .and_then(|it| it.trim_end_matches('s').parse().ok())
        .expect("seconds");
    let given = pod["spec"]["terminationGracePeriodSeconds"]
        .as_u64()
        .expect("a number");
    assert!(grace < given);
}
