//! The order holds; and small trees that break it in every spelling are noticed.

use std::collections::BTreeMap;
use std::path::Path;

use rstest::rstest;

use super::{KNOWN, LONGER, length, problems, read};

#[test]
fn imports_in_the_host_run_one_way() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let file = |file: &Path| std::fs::read_to_string(workspace.join("host").join(file)).ok();
    let graph = read(&file).unwrap();
    // Of nothing, nothing would be wrong.
    assert!(graph.needs.len() > 400, "{}", graph.needs.len());
    let problems = problems(&graph, KNOWN);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let problems = length::problems(workspace, LONGER).unwrap();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // Those that are known to be are found.
    let found = length::problems(workspace, &[]).unwrap();
    assert_eq!(found.len(), LONGER.len(), "{}", found.join("\n"));
}

#[test]
fn a_file_that_is_shorter_by_now_is_taken_off_the_list() {
    let workspace = tempfile::tempdir().unwrap();
    let host = workspace.path().join("host");
    std::fs::create_dir(&host).unwrap();
    let write = |lines: usize| {
        std::fs::write(host.join("lib.rs"), "\n".repeat(lines)).unwrap();
        let known = [("host/lib.rs", "it is a test's")];
        [&[], &known[..]].map(|known| length::problems(workspace.path(), known).unwrap().len())
    };
    assert_eq!(write(500), [0, 1]);
    assert_eq!(write(501), [1, 0]);
}

/// A small house in order. `sync` is below `pool`.
const HOUSE: &[(&str, &str)] = &[
    (
        "lib.rs",
        "mod error; mod pool; mod plugin; mod sync; mod workflow; pub use pool::Pool;",
    ),
    ("error.rs", "pub struct Error;"),
    (
        "pool/mod.rs",
        "pub mod slots; pub struct Pool; pub trait Taken {} \
         fn f(pool: &crate::sync::Cancel) { pool.cancel() }",
    ),
    (
        "pool/slots.rs",
        "use std::sync::Mutex; use crate::sync::{self, wait::{Until as End}}; use crate::error::Error; \
         pub struct Slot(sync::Cancel, End); pub fn take() -> Result<Mutex<u8>, Error> { Err(Error) }",
    ),
    ("sync/mod.rs", "pub mod wait; pub struct Cancel;"),
    ("sync/wait.rs", "use std::time::*; pub enum Until { Free }"),
    (
        "workflow.rs",
        "use crate::Pool; use crate::sync::wait::Until::*;",
    ),
    ("plugin.rs", "pub struct Plugin(crate::Pool);"),
    ("main.rs", "mod cli; fn main() { cli::main() }"),
    ("cli.rs", "use moonfork::Pool; pub fn main() {}"),
];

/// What is wrong when these files are as they are here.
fn found(files: &[(&str, &str)], known: &[(&str, &str)]) -> String {
    let mut house: BTreeMap<&str, &str> = HOUSE.iter().copied().collect();
    house.extend(files.iter().copied());
    let file = |path: &Path| {
        let text = house.get(path.to_str()?)?;
        Some((*text).to_owned())
    };
    problems(&read(&file).unwrap(), known).join("\n")
}

#[rstest]
#[case::nothing("")]
#[case::what_tests_need("#[cfg(test)] mod tests { use crate::pool::Pool; }")]
#[case::a_test("#[test] fn f() { crate::pool::slots::take(); }")]
#[case::a_variable("fn f(pool: u8) -> u8 { pool }")]
#[case::text("fn f() { println!(\"crate::pool::Pool\"); }")]
#[case::a_comment("//! crate::pool::Pool")]
#[case::others("use std::pool::Pool; fn f() { pool::take() }")]
#[case::who_may_see("pub(in crate::pool) struct S;")]
fn what_is_in_order_is_no_problem(#[case] more: &str) {
    let sync = format!("{more}\npub mod wait; pub struct Cancel;");
    assert_eq!(found(&[("sync/mod.rs", &sync)], &[]), "");
}

#[rstest]
#[case::use_of_a_path("use crate::pool::Pool;")]
#[case::super_of_it("use super::pool::Pool;")]
#[case::re_export("use crate::Pool;")]
#[case::group("use crate::{error::Error, pool::{self, slots::{Slot}}};")]
#[case::renamed("use crate::Pool as P;")]
#[case::renamed_module("use crate::pool as basin; fn f(_: basin::Pool) {}")]
#[case::everything("use crate::pool::*;")]
#[case::exported_again("pub use crate::pool::slots::Slot;")]
#[case::full_path_of_a_type("fn f(_: &[crate::pool::Pool]) {}")]
#[case::full_path_of_a_function("fn f() { crate::pool::slots::take(); }")]
#[case::full_path_of_a_trait("impl crate::pool::Taken for Cancel {}")]
#[case::full_path_of_a_bound("fn f<T>() where T: super::pool::Taken {}")]
#[case::full_path_in_a_path("fn f() { Vec::<crate::pool::Pool>::new(); }")]
#[case::qualified("fn f() { <Cancel as crate::pool::Taken>::f(); }")]
#[case::pattern("fn f(it: u8) { if let crate::pool::SIZE = it {} }")]
#[case::inside_of_a_function("fn f() { use crate::pool::Pool; }")]
#[case::inside_of_a_method("impl Cancel { fn f() { super::pool::slots::take(); } }")]
#[case::macro_call("fn f() { println!(\"{}\", (1, crate::pool::slots::take())); }")]
#[case::macro_of_ours("macro_rules! m { () => { $crate::pool::slots::take() } }")]
#[case::attribute("#[derive(crate::pool::Taken)] struct S;")]
#[case::text_of_an_attribute("struct S { #[serde(default = \"crate::pool::slots::take\")] n: u8 }")]
#[case::inner_module("mod inner { use super::super::pool::Pool; }")]
#[case::through_an_inner_module("mod inner { pub use crate::pool; } fn f(_: inner::pool::Pool) {}")]
#[case::through_another_import("use super::pool; use pool::slots; fn f(_: slots::Slot) {}")]
#[case::raw_name("use crate::r#pool::Pool;")]
#[case::the_crate_by_a_name("extern crate self as it; use it::pool::Pool;")]
#[case::what_a_macro_defines("use crate::pool::MadeByAMacro;")]
#[case::file_by_a_path("#[path = \"../pool/slots.rs\"] mod slots; use slots::Slot;")]
#[case::included("include!(\"../pool/slots.rs\");")]
fn what_is_above_is_noticed(#[case] how: &str) {
    let sync = format!("pub mod wait;\n{how}\npub struct Cancel;");
    let found = found(&[("sync/mod.rs", &sync)], &[]);
    assert!(
        found.contains("host/sync/mod.rs:2: ") && found.contains("`pool` is above `sync`"),
        "{found}"
    );
}

#[test]
fn everything_of_the_root_is_noticed() {
    let found = found(
        &[("sync/wait.rs", "use crate::*; pub enum Until { Free }")],
        &[],
    );
    assert!(
        found.contains("host/sync/wait.rs:1: `crate` is in host/lib.rs"),
        "{found}"
    );
}

#[test]
fn who_needs_it_by_way_of_another_is_noticed_as_well() {
    let files = [
        ("error.rs", "pub struct Error; pub use crate::pool::Pool;"),
        ("sync/wait.rs", "use crate::error::Pool as Until;"),
    ];
    let found = found(&files, &[]);
    assert!(
        found.contains(
            "host/error.rs:1: `crate::pool::Pool` is in host/pool/mod.rs: `error` is a leaf"
        ),
        "{found}"
    );
    assert!(
        found.contains(
            "host/sync/wait.rs:1: `crate::error::Pool` is in host/pool/mod.rs: `pool` is above"
        ),
        "{found}"
    );
}

#[rstest]
#[case::beside(
    "workflow.rs",
    "use crate::plugin::Plugin;",
    "`plugin` is beside `workflow`"
)]
#[case::leaf(
    "error.rs",
    "pub struct Error(crate::sync::Cancel);",
    "`error` is a leaf"
)]
#[case::wasmtime(
    "workflow.rs",
    "use wasmtime::Engine;",
    "only the runtime knows of wasmtime"
)]
#[case::wasmtime_by_path("cli.rs", "pub fn main() { wasmtime_wasi::f() }", "only the runtime")]
#[case::unknown(
    "lib.rs",
    "mod pool; mod sync; mod error; mod odd;",
    "`odd` has no place"
)]
fn other_rules_are_kept(#[case] file: &str, #[case] text: &str, #[case] why: &str) {
    let found = found(&[(file, text), ("odd.rs", "use crate::sync::Cancel;")], &[]);
    assert!(found.contains(why), "{found}");
}

#[rstest]
#[case::use_of_a_path("use crate::sync::Cancel;")]
#[case::super_of_it("use super::Cancel;")]
#[case::full_path("fn f(_: super::Cancel) {}")]
#[case::everything("use super::*;")]
#[case::macro_call("fn f() { println!(\"{}\", super::Cancel) }")]
fn a_circle_of_two_files_is_noticed(#[case] how: &str) {
    let files = [
        (
            "sync/mod.rs",
            "pub mod wait; pub struct Cancel(wait::Until);",
        ),
        ("sync/wait.rs", &*format!("{how} pub struct Until;")),
    ];
    let found = found(&files, &[]);
    assert!(found.contains("in a circle:"), "{found}");
    assert!(found.contains("host/sync/wait.rs:1: "), "{found}");
}

/// Three files in a circle, the last need by way of a re-export.
const CIRCLE: &[(&str, &str)] = &[
    (
        "sync/mod.rs",
        "mod a; mod b; mod c; pub mod wait; pub use a::A; pub struct Cancel;",
    ),
    ("sync/a.rs", "use super::b::B; pub struct A(B);"),
    ("sync/b.rs", "use super::c::C; pub struct B(C);"),
    ("sync/c.rs", "use crate::sync::A; pub struct C(Box<A>);"),
];

#[test]
fn a_circle_of_three_files_is_noticed() {
    let found = found(CIRCLE, &[]);
    assert!(
        found.contains("`crate::sync::A` is in host/sync/a.rs"),
        "{found}"
    );
    assert_eq!(found.lines().count(), 4, "{found}");
}

#[test]
fn what_is_known_is_no_problem_as_long_as_it_is_there_and_wrong() {
    assert_eq!(found(CIRCLE, &[("sync/c.rs", "sync/a.rs")]), "");
    let no_longer = |known| {
        let found = found(&[], &[known]);
        assert!(found.contains("take it off the list"), "{found}");
    };
    // It isn't there.
    no_longer(("sync/c.rs", "sync/a.rs"));
    no_longer(("sync/wait.rs", "pool/mod.rs"));
    // It is in order.
    no_longer(("pool/slots.rs", "sync/mod.rs"));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let file = |text: &'static str| {
        move |path: &Path| (path == Path::new("lib.rs")).then(|| text.to_owned())
    };
    let missing = read(&file("mod gone;")).err().unwrap();
    assert!(
        missing.to_string().contains("`gone` has no file"),
        "{missing}"
    );
    let wrong = read(&file("mod {")).err().unwrap();
    assert!(
        wrong.to_string().contains("lib.rs can't be parsed"),
        "{wrong}"
    );
}
