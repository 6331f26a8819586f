//! `moonfork run --journal` and `moonfork replay`: one failed branch, run again alone and offline.

use std::path::Path;

use crate::command::{Folder, Ran, moonfork, run};

const FLOW: &str = "
nodes:
  - {name: split, run: 'return {n = 1}'}
  - name: good
    run: |
      local text = fs.read('data/in.txt')
      print('read', #text)
      return {good = text}
  - name: bad
    run: |
      local text = fs.read('data/in.txt')
      local list = fs.list('data')
      error('no luck with ' .. text)
  - {name: join, run: 'return {seen = #state.parallel_results}'}
edges:
  - {from: split, parallel: [good, bad], fan_in: join}
";

/// A run that keeps journals, and the folder that they are in; what it has read is gone.
fn ran(flow: &str, more: &[&str]) -> (Folder, Ran) {
    let folder = Folder::new();
    let file = folder.file("w.yaml", flow);
    std::fs::create_dir(folder.path("data")).unwrap();
    folder.file("data/in.txt", "twelve bytes");
    let grant = format!("data={}:rw", folder.path("data").display());
    let ran = run(moonfork()
        .arg("run")
        .arg(file)
        .args(["--folder", &grant, "--journal"])
        .arg(folder.path("journals"))
        .args(more));
    std::fs::remove_dir_all(folder.path("data")).unwrap();
    (folder, ran)
}

fn replay(journal: &Path, more: &[&str]) -> Ran {
    run(moonfork().arg("replay").arg(journal).args(more))
}

#[test]
fn a_failed_branch_is_run_again_from_what_it_was_told() {
    let (folder, ran) = ran(FLOW, &["--quiet"]);
    assert_eq!(ran.json()["seen"], 2);
    let journals = std::fs::read_dir(folder.path("journals")).unwrap();
    let mut names: Vec<_> = journals
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["bad.journal", "good.journal", "main.journal"]);

    let bad = folder.path("journals/bad.journal");
    let again = replay(&bad, &[]);
    assert_eq!(
        (again.code, again.stderr.as_str()),
        (Some(0), ""),
        "{again:?}"
    );
    for line in [
        "journal of branch bad, instance ",
        "granted: ",
        "1. run node 'bad' (from line ",
        " with state = {\"n\": 1}",
        "   node 'bad':11: fs.read(\"data/in.txt\") -> \"twelve bytes\"\n",
        "   node 'bad':12: fs.list(\"data\") -> ",
        "   failed (script): node 'bad':13: no luck with twelve bytes\n",
        "\nthe same as recorded\n",
    ] {
        assert!(again.stdout.contains(line), "{line}: {}", again.stdout);
    }
    assert_eq!(replay(&bad, &[]).stdout, again.stdout);
    let good = replay(&folder.path("journals/good.journal"), &[]);
    assert!(good.stdout.contains("printed \"read\\t12\\n\""), "{good:?}");
    assert!(
        good.stdout
            .contains("returned {\"good\": \"twelve bytes\"}"),
        "{good:?}"
    );
    let main = replay(&folder.path("journals/main.journal"), &[]);
    assert_eq!(main.code, Some(0), "{main:?}");
    assert!(main.stdout.contains(". run node 'split'"), "{main:?}");
    assert!(main.stdout.contains(". run node 'join'"), "{main:?}");
}

#[cfg(unix)]
#[test]
fn journals_are_this_users_alone() {
    use std::os::unix::fs::MetadataExt;
    let (folder, _) = ran(FLOW, &[]);
    let mode = |name: &str| std::fs::metadata(folder.path(name)).unwrap().mode() & 0o777;
    assert_eq!(mode("journals"), 0o700);
    assert_eq!(mode("journals/bad.journal"), 0o600);
}

#[test]
fn failures_and_the_report_name_the_file() {
    let (folder, ran) = ran(FLOW, &[]);
    let file = folder.path("journals/bad.journal").display().to_string();
    let hint = format!("  journal: moonfork replay {file}\n");
    assert!(ran.stderr.contains(&hint), "{ran:?}");
    let flow = "nodes: [{name: a, run: 'error(7)'}]\n";
    let folder = Folder::new();
    let ran = run(moonfork()
        .arg("run")
        .arg(folder.file("w.yaml", flow))
        .arg("--journal")
        .arg(folder.path("j"))
        .arg("--report")
        .arg(folder.path("report.json")));
    let file = folder.path("j/main.journal").display().to_string();
    ran.assert_failed(1, &[&format!("  journal: moonfork replay {file}\n")]);
    let report = std::fs::read_to_string(folder.path("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["instances"][0]["journal"], file);
}

#[test]
fn it_stops_at_a_line() {
    let (folder, _) = ran(FLOW, &["--quiet"]);
    let bad = folder.path("journals/bad.journal");
    for until in ["12", "node 'bad':12"] {
        let stopped = replay(&bad, &["--until", until]);
        assert_eq!(stopped.code, Some(0), "{stopped:?}");
        let out = &stopped.stdout;
        assert!(
            out.contains("fs.read(\"data/in.txt\")") && !out.contains("fs.list"),
            "{out}"
        );
        assert!(
            out.ends_with("   stopped at node 'bad':12\n     node 'bad':12: in main chunk\n"),
            "{out}"
        );
    }
    for never in ["99", "node 'good':12"] {
        let ended = replay(&bad, &["--until", never]);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended.stderr.contains("no script came to the line"),
            "{ended:?}"
        );
        assert!(ended.stdout.contains("no luck with"), "{ended:?}");
    }
    for wrong in ["x", "0", ":3"] {
        assert_eq!(replay(&bad, &["--until", wrong]).code, Some(2));
    }
}

#[test]
fn a_changed_script_goes_another_way() {
    let (folder, _) = ran(FLOW, &["--quiet"]);
    let bad = folder.path("journals/bad.journal");
    let same = folder.file(
        "same.lua",
        "local text = fs.read('data/in.txt')\nlocal list = fs.list('data')\nerror('no luck with ' .. text)\n",
    );
    let with = |file: &Path| format!("bad={}", file.display());
    let again = replay(&bad, &["--script", &with(&same)]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let mended = folder.file(
        "mended.lua",
        "local text = fs.read('data/in.txt')\nfs.list('data')\nreturn text\n",
    );
    let mended = replay(&bad, &["--script", mended.to_str().unwrap()]);
    assert_eq!(mended.code, Some(1), "{mended:?}");
    assert!(
        mended.stdout.contains("returned \"twelve bytes\""),
        "{mended:?}"
    );
    assert!(
        mended
            .stdout
            .contains("differs: call 1: it had failed (script): "),
        "{mended:?}"
    );
    let other = folder.file(
        "other.lua",
        "local text = fs.read('data/in.txt')\n\nfs.write('data/x', text)\n",
    );
    let other = replay(&bad, &["--script", &with(&other)]);
    assert_eq!(other.code, Some(1), "{other:?}");
    let said = "error: the script goes another way: call 2 of the host was fs.list(\"data\"), and is \
                fs.write(\"data/x\", \"twelve bytes\") (at node 'bad':13)\n";
    assert_eq!(other.stderr, said);
    assert!(!folder.path("data").exists(), "nothing is written");
}

#[test]
fn secrets_are_masked() {
    let flow = "
nodes:
  - {name: write, uses: write_file, output: wrote, with: {path: 'data/{{ secrets.token }}', content: 'for {{ secrets.token }}'}}
  - {name: look, run: \"return {text = fs.read('data/s3cret-name')}\"}
";
    let folder = Folder::new();
    let file = folder.file("w.yaml", flow);
    let secret = folder.file("token", "s3cret-name");
    std::fs::create_dir(folder.path("data")).unwrap();
    let grant = format!("data={}:rw", folder.path("data").display());
    let ran = run(moonfork()
        .arg("run")
        .arg(file)
        .args(["--folder", &grant, "--journal"])
        .arg(folder.path("j"))
        .arg("--secret")
        .arg(format!("token=@{}", secret.display())));
    assert_eq!(
        ran.json()["text"],
        "for s3cret-name",
        "the script has read it from a file"
    );
    let journal = folder.path("j/main.journal");
    let bytes = std::fs::read(&journal).unwrap();
    // The code of the workflow is its author's, and stays.
    let code = b"return {text = fs.read('data/s3cret-name')}";
    let found = |text: &[u8]| bytes.windows(text.len()).filter(|it| it == &text).count();
    assert!(found(code) > 0);
    assert_eq!(found(b"s3cret-name"), found(code));
    let again = replay(&journal, &["--full"]);
    assert!(again.stdout.contains("masked in "), "{again:?}");
    let line = "the host called write_file({\"content\": \"for ***\", \"path\": \"data/***\"}) -> ";
    assert!(again.stdout.contains(line), "{again:?}");
    // The name that the script asks for is the secret itself.
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again.stderr.contains("was fs.read(\"data/***\"), and is "),
        "{again:?}"
    );
}

#[test]
fn a_journal_has_its_bounds() {
    let flow = "
nodes:
  - name: a
    run: |
      for i = 1, 2000 do fs.stat('data/in.txt') end
";
    let (folder, ran) = ran(flow, &["--journal-size", "20KiB"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let again = replay(&folder.path("journals/main.journal"), &[]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again
            .stdout
            .contains("the journal was full and ends here (at node 'a':5)"),
        "{again:?}"
    );
    let size = run(moonfork().args(["run", "x.yaml", "--journal-size", "1KiB"]));
    size.assert_failed(2, &["--journal <DIR>"]);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let folder = Folder::new();
    let file = folder.file("a.txt", "something else\n");
    replay(&file, &[]).assert_failed(1, &["a.txt can't be used: it is no journal of moonfork's"]);
    replay(&folder.path("none"), &[]).assert_failed(1, &["none"]);
    let flow = folder.file("w.yaml", "nodes: [{name: a}]\n");
    let ran = run(moonfork().arg("run").arg(flow).arg("--journal").arg(&file));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr
            .contains("journals can't be written to the folder"),
        "{ran:?}"
    );
}

#[test]
fn nothing_that_is_there_is_replaced() {
    let flow = "nodes: [{name: a, run: 'return {x = 1}'}]\n";
    let folder = Folder::new();
    let file = folder.file("w.yaml", flow);
    for _ in 0..3 {
        let ran = run(moonfork()
            .arg("run")
            .arg(&file)
            .arg("--journal")
            .arg(folder.path("j")));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    for name in ["main", "main-2", "main-3"] {
        let again = replay(&folder.path(&format!("j/{name}.journal")), &[]);
        assert!(again.stdout.contains("returned {\"x\": 1}"), "{again:?}");
    }
}

#[test]
fn branches_in_other_processes_keep_journals_too() {
    let (folder, ran) = ran(FLOW, &["--workers", "local:2"]);
    assert_eq!(ran.json()["seen"], 2, "{ran:?}");
    let file = folder.path("journals/bad.journal");
    let hint = format!("  journal: moonfork replay {}\n", file.display());
    assert!(ran.stderr.contains(&hint), "{ran:?}");
    let again = replay(&file, &[]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again.stdout.contains("no luck with twelve bytes"),
        "{again:?}"
    );
}
