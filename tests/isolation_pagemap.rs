//! No instance's memory is reset by what the kernel's page map says of it.
//!
//! wasmtime can ask the kernel which pages an ended instance wrote to, and write over those alone.
//! It asks for pages that are present, and one that is swapped out or being moved isn't: it would be
//! neither written over nor given back. A process that has asked keeps the page map open. This
//! file has one test, since what other tests do in the same process would be seen here.

#![cfg(target_os = "linux")]

use std::fs;

use moonfork::Pool;

#[test]
fn the_page_map_is_never_opened() {
    let pool = Pool::builder().max_branches(2).build().unwrap();
    for _ in 0..1000 {
        let mut branch = pool.branch().unwrap();
        assert_eq!(branch.eval::<i64>("return 1 + 1").unwrap(), 2);
    }
    let open: Vec<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .collect();
    assert!(!open.is_empty(), "no open file is listed");
    let page_map = open.iter().find(|path| path.ends_with("pagemap"));
    assert_eq!(page_map, None);
}
