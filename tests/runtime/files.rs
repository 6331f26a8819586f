//! Folders that were granted: what scripts can do there, and that no path leads out.

use std::fs;
use std::path::{Path, PathBuf};

use moonfork::{Access, Branch, Error, Folder, Grants, Limits, RunOptions};
use rstest::{fixture, rstest};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common;

/// A folder with some files, beside one that is nobody's business.
struct Site {
    all: TempDir,
}

#[fixture]
fn site() -> Site {
    let all = tempfile::tempdir().unwrap();
    let data = all.path().join("data");
    fs::create_dir_all(data.join("sub")).unwrap();
    fs::write(data.join("hello.txt"), "hello").unwrap();
    fs::write(data.join("sub/bytes"), [0, 255, b'\n', 128]).unwrap();
    fs::write(all.path().join("secret.txt"), "secret").unwrap();
    Site { all }
}

impl Site {
    fn data(&self) -> PathBuf {
        self.all.path().join("data")
    }

    fn branch(&self, access: Access) -> Branch {
        let folder = Folder::open(self.data(), access).unwrap();
        let grants = Grants::none().folder("data", folder);
        common::pool()
            .branch_with(&RunOptions::new().grants(grants))
            .unwrap()
    }

    fn reads(&self, code: &str) -> Result<Value, Error> {
        self.branch(Access::ReadOnly).eval(code)
    }

    fn writes(&self, code: &str) -> Result<Value, Error> {
        self.branch(Access::ReadWrite).eval(code)
    }
}

#[rstest]
#[case("fs.read('data/hello.txt')", json!("hello"))]
#[case("fs.read('data/./sub/../hello.txt')", json!("hello"))]
#[case("#fs.read('data/sub/bytes')", json!(4))]
#[case("{fs.read('data/sub/bytes'):byte(1, -1)}", json!([0, 255, 10, 128]))]
#[case("fs.list('data')", json!(["hello.txt", "sub"]))]
#[case("fs.list('data/sub')", json!(["bytes"]))]
#[case("fs.stat('data/hello.txt')", json!({"type": "file", "size": 5}))]
#[case("fs.stat('data/sub').type", json!("folder"))]
#[case("fs.stat('data/absent')", Value::Null)]
fn a_folder_can_be_read(site: Site, #[case] code: &str, #[case] expected: Value) {
    assert_eq!(site.reads(code).unwrap(), expected);
    assert_eq!(site.writes(code).unwrap(), expected);
}

#[rstest]
fn a_folder_can_be_written(site: Site) {
    let code = "
        fs.mkdir('data/new')
        fs.write('data/new/a', 'one\\n')
        fs.append('data/new/a', 'two\\n')
        fs.append('data/new/b', '\\0\\255')
        fs.write('data/hello.txt', 'bye')
        fs.remove('data/sub/bytes')
        fs.remove('data/sub')
        return fs.list('data')";
    assert_eq!(site.writes(code).unwrap(), json!(["hello.txt", "new"]));
    let data = site.data();
    assert_eq!(fs::read(data.join("new/a")).unwrap(), b"one\ntwo\n");
    assert_eq!(fs::read(data.join("new/b")).unwrap(), [0, 255]);
    assert_eq!(fs::read(data.join("hello.txt")).unwrap(), b"bye");
    assert!(!data.join("sub").exists());
}

#[rstest]
fn a_folder_for_reading_is_not_written(
    site: Site,
    #[values(
        "fs.write('data/hello.txt', 'x')",
        "fs.append('data/hello.txt', 'x')",
        "fs.write('data/new', 'x')",
        "fs.remove('data/hello.txt')",
        "fs.mkdir('data/new')"
    )]
    code: &str,
) {
    let error = site.reads(code).unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(error.to_string().contains("for reading only"), "{error}");
    assert_eq!(fs::read(site.data().join("hello.txt")).unwrap(), b"hello");
    assert!(!site.data().join("new").exists());
}

#[rstest]
fn no_path_leads_out(
    site: Site,
    #[values(
        "data/../secret.txt",
        "data/sub/../../secret.txt",
        "data//etc/passwd",
        "data/../data/../secret.txt",
        "../secret.txt",
        "/etc/passwd",
        "",
        "data/link",
        "data/link_to_folder/secret.txt",
        "data/absolute_link"
    )]
    path: &str,
    #[values(
        "fs.read(PATH)",
        "fs.write(PATH, 'overwritten')",
        "fs.append(PATH, 'x')"
    )]
    code: &str,
) {
    let data = site.data();
    symlink("../secret.txt", &data.join("link"));
    symlink("..", &data.join("link_to_folder"));
    symlink(
        site.all.path().join("secret.txt").to_str().unwrap(),
        &data.join("absolute_link"),
    );
    let code = code.replace("PATH", &format!("'{path}'"));
    let error = site.writes(&code).unwrap_err();
    assert!(error.is_denied() || error.is_script(), "{error}");
    assert!(!error.to_string().contains("secret\n"), "{error}");
    let secret = fs::read_to_string(site.all.path().join("secret.txt")).unwrap();
    assert_eq!(secret, "secret");
}

#[rstest]
fn a_link_made_while_a_script_runs_leads_nowhere_either(site: Site) {
    let data = site.data();
    let target = data.join("late");
    let pool = common::builder()
        .function("link_it", move |()| {
            symlink("../secret.txt", &target);
            Ok(())
        })
        .build()
        .unwrap();
    let grants = Grants::none()
        .all_functions()
        .folder("data", Folder::open(&data, Access::ReadWrite).unwrap());
    let mut branch = pool.branch_with(&RunOptions::new().grants(grants)).unwrap();
    let code = "
        fs.write('data/late', 'mine')
        fs.remove('data/late')
        link_it()
        return fs.read('data/late')";
    let error = branch.eval::<String>(code).unwrap_err();
    assert!(error.is_denied(), "{error}");
    // The link itself is in the folder, and may be removed; what it leads to stays.
    branch.eval::<()>("fs.remove('data/late')").unwrap();
    assert!(site.all.path().join("secret.txt").exists());
}

#[rstest]
fn links_inside_of_the_folder_work(site: Site) {
    symlink("hello.txt", &site.data().join("link"));
    assert_eq!(site.reads("fs.read('data/link')").unwrap(), json!("hello"));
}

#[rstest]
#[case("fs.read('data/absent')", "eval:1: data/absent: ")]
#[case("fs.read('data/sub')", "it is not a file but a folder")]
#[case("fs.write('data/sub', 'x')", "it is not a file but a folder")]
#[case("fs.write('data/no/such/folder', 'x')", "data/no/such/folder: ")]
#[case("fs.list('data/hello.txt')", "data/hello.txt: ")]
#[case("fs.mkdir('data/sub')", "data/sub: ")]
#[case("fs.remove('data')", "data: ")]
#[case("fs.read('data/a\\0b')", "")]
#[case("fs.read('data/\\255')", "the name is not UTF-8")]
#[case(
    "fs.read(1)",
    "bad argument #1 to 'read' (string expected, got number)"
)]
#[case(
    "fs.write('data/x')",
    "bad argument #2 to 'write' (string expected, got no value)"
)]
fn what_can_not_be_done_says_why(site: Site, #[case] code: &str, #[case] message: &str) {
    let error = site
        .writes(&format!("local x = {code} return x"))
        .unwrap_err();
    assert!(error.is_script(), "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

#[rstest]
fn another_folder_than_those_granted_is_denied(site: Site) {
    let error = site.reads("fs.read('other/x')").unwrap_err();
    assert!(error.is_denied(), "{error}");
    assert!(
        error.to_string().contains("no folder 'other' is granted"),
        "{error}"
    );
}

#[rstest]
#[case::kept(2048, true)]
#[case::broken(2049, false)]
fn a_file_is_held_to_the_size_of_a_value(site: Site, #[case] size: usize, #[case] fits: bool) {
    fs::write(site.data().join("large"), vec![b'x'; size]).unwrap();
    let options = RunOptions::new().value(2048);
    let read = site
        .branch(Access::ReadOnly)
        .with(&options)
        .eval::<usize>("#fs.read('data/large')");
    assert_eq!(read.is_ok(), fits, "{read:?}");
}

#[rstest]
fn a_pipe_is_not_waited_for(site: Site) {
    let pipe = site.data().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let error = site.reads("fs.read('data/pipe')").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is not a file but a special file"),
        "{error}"
    );
}

#[test]
fn a_folder_that_is_not_there_can_not_be_granted() {
    let error = Folder::open("/no/such/folder", Access::ReadOnly).unwrap_err();
    assert!(error.to_string().contains("/no/such/folder"), "{error}");
}

fn symlink(to: &str, at: &Path) {
    std::os::unix::fs::symlink(to, at).unwrap();
}

#[rstest]
#[case::kept(2048, true)]
#[case::broken(2049, false)]
fn what_is_written_is_held_to_the_size_of_a_value(
    site: Site,
    #[case] size: usize,
    #[case] fits: bool,
    #[values("write", "append")] how: &str,
) {
    let options = RunOptions::new().value(2048);
    let written = site
        .branch(Access::ReadWrite)
        .with(&options)
        .eval::<()>(format!("fs.{how}('data/large', ('x'):rep({size}))"));
    assert_eq!(written.is_ok(), fits, "{written:?}");
    assert_eq!(site.data().join("large").exists(), fits);
}

#[rstest]
fn a_value_may_be_as_large_as_can_be_counted(site: Site) {
    let limits = Limits::default().value(usize::MAX);
    let folder = Folder::open(site.data(), Access::ReadOnly).unwrap();
    let pool = common::builder()
        .limits(limits)
        .grants(Grants::none().folder("data", folder))
        .build()
        .unwrap();
    let mut branch = pool.branch().unwrap();
    let text: String = branch.eval("fs.read('data/hello.txt')").unwrap();
    assert_eq!(text, "hello");
    let names: Value = branch.eval("fs.list('data')").unwrap();
    assert_eq!(names, json!(["hello.txt", "sub"]));
}

/// A denial is known by its message, which has to pass whole.
#[rstest]
#[case("fs.read('other/' .. LONG)")]
#[case("fs.read(LONG)")]
#[case("fs.write('data/' .. LONG, '')")]
fn a_denial_is_one_however_long_the_path(site: Site, #[case] code: &str) {
    let code = code.replace("LONG", "('a\u{e4}'):rep(100000)");
    let error = site.reads(&code).unwrap_err();
    assert!(error.is_denied(), "{}", error.code());
    assert!(error.to_string().len() < 4096);
}

#[rstest]
#[case("data/.")]
#[case("data/")]
#[case("data/sub/..")]
fn the_folder_itself_stays(site: Site, #[case] path: &str) {
    let empty = "fs.remove('data/sub/bytes') fs.remove('data/hello.txt')";
    let error = site
        .writes(&format!("{empty} fs.remove('{path}')"))
        .unwrap_err();
    assert!(error.is_script(), "{error}");
    assert!(site.data().exists());
}
