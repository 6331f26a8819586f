//! Memory that was copied says which translated functions it has: copies of an instance have them, or have
//! them interpreted, and never call others.

use moonfork::{Branch, Chunk, Pool, RunOptions};

use super::has_places;
use crate::common;

/// A chunk that makes a global function of this name, and what that gives for `n`.
fn chunk(name: &str, factor: i64) -> Chunk<'static> {
    let code = format!(
        "function {name}(n)
           local sum = 0
           for i = 1, n do sum = sum + i * {factor} end
           return sum
         end"
    );
    Chunk::body(code).named(name.to_owned())
}

fn expected(n: i64, factor: i64) -> i64 {
    n * (n + 1) / 2 * factor
}

/// What a call gives, and the fuel that it burnt.
fn call(branch: &mut Branch, name: &str) -> (i64, u64) {
    branch.take_report();
    let sum = branch.call(name, &[1000]).unwrap();
    (sum, branch.take_report().fuel.unwrap())
}

fn pool() -> Pool {
    let builder = common::interpreting_builder().metered();
    let builder = (0..20).fold(builder, |builder, n| {
        builder.compile(chunk(&format!("f{n}"), n))
    });
    builder.build().unwrap()
}

/// Whether it was translated functions that burnt this: interpreted they burn several times that.
#[track_caller]
fn is_translated(fuel: u64) -> bool {
    let pool = common::interpreting_builder().metered().build().unwrap();
    let mut branch = pool.branch().unwrap();
    branch.exec(chunk("f", 2)).unwrap();
    let (_, interpreted) = call(&mut branch, "f");
    assert!(
        fuel < interpreted / 2 || fuel > interpreted / 4 * 3,
        "{fuel} of {interpreted}"
    );
    fuel < interpreted / 2
}

#[test]
fn forks_have_what_their_parents_have() {
    if !has_places() {
        return;
    }
    let pool = pool();
    let mut parent = pool.branch().unwrap();
    parent.exec(chunk("f2", 2)).unwrap();
    parent.exec(chunk("f3", 3)).unwrap();
    let (sum, fuel) = call(&mut parent, "f2");
    assert_eq!(sum, expected(1000, 2));
    assert!(is_translated(fuel));
    let mut fork = parent.fork().unwrap();
    let mut forks_fork = fork.fork().unwrap();
    for branch in [&mut fork, &mut forks_fork] {
        let (forks, fuel) = call(branch, "f2");
        assert_eq!(forks, sum);
        assert!(is_translated(fuel));
        assert_eq!(call(branch, "f3").0, expected(1000, 3));
    }
}

#[test]
fn what_a_fork_runs_besides_is_apart_from_what_it_has() {
    if !has_places() {
        return;
    }
    let pool = pool();
    let mut parent = pool.branch().unwrap();
    parent.exec(chunk("f2", 2)).unwrap();
    let mut forks = [5, 7].map(|n| {
        let mut fork = parent.fork().unwrap();
        fork.exec(chunk(&format!("f{n}"), n)).unwrap();
        (n, fork)
    });
    parent.exec(chunk("f9", 9)).unwrap();
    assert_eq!(call(&mut parent, "f9").0, expected(1000, 9));
    for (n, fork) in &mut forks {
        assert_eq!(call(fork, "f2").0, expected(1000, 2));
        assert_eq!(call(fork, &format!("f{n}")).0, expected(1000, *n));
        assert!(fork.global::<Option<bool>>("f9").is_ok());
    }
}

#[test]
fn a_copy_without_them_has_them_interpreted() {
    if !has_places() {
        return;
    }
    let pool = pool();
    let mut parent = pool.branch().unwrap();
    parent.exec(chunk("f2", 2)).unwrap();
    let (sum, fuel) = call(&mut parent, "f2");
    // It keeps a journal, and so has no translated functions.
    let options = RunOptions::new().journal(1 << 20);
    let mut recorded = parent.fork_with(&options).unwrap();
    // What leaves the pool says no places at all.
    let bytes = parent.snapshot().unwrap().to_bytes().unwrap();
    let snapshot = pool.snapshot_from_bytes(&bytes).unwrap();
    let mut begun = snapshot.branch().unwrap();
    for branch in [&mut recorded, &mut begun] {
        let (interpreted, more) = call(branch, "f2");
        assert_eq!(interpreted, sum);
        assert!(is_translated(fuel) && !is_translated(more));
    }
    // Where its own are translated afterwards, they are its own.
    begun.exec(chunk("f3", 3)).unwrap();
    assert_eq!(call(&mut begun, "f3").0, expected(1000, 3));
    assert_eq!(call(&mut begun, "f2").0, sum);
    begun.exec(chunk("f2", 2)).unwrap();
    let (again, fuel) = call(&mut begun, "f2");
    assert_eq!(again, sum);
    assert!(is_translated(fuel));
}

#[test]
fn what_begins_with_a_snapshot_has_what_that_has() {
    if !has_places() {
        return;
    }
    let pool = pool();
    let mut parent = pool.branch().unwrap();
    parent.exec(chunk("f2", 2)).unwrap();
    let snapshot = parent.snapshot().unwrap();
    drop(parent);
    let mut begun = snapshot.branch().unwrap();
    begun.exec(chunk("f3", 3)).unwrap();
    let mut fork = begun.fork().unwrap();
    let mut begun_again = begun.snapshot().unwrap().branch().unwrap();
    for branch in [&mut begun, &mut fork, &mut begun_again] {
        for n in [2, 3] {
            let (sum, fuel) = call(branch, &format!("f{n}"));
            assert_eq!(sum, expected(1000, n));
            assert!(is_translated(fuel), "f{n}");
        }
        // Others of the pool's get places besides.
        branch.exec(chunk("f9", 9)).unwrap();
        assert_eq!(call(branch, "f9").0, expected(1000, 9));
        assert_eq!(call(branch, "f2").0, expected(1000, 2));
    }
    // Who keeps a journal has none, and does the same.
    let options = RunOptions::new().journal(1 << 20);
    let mut recorded = snapshot.branch_with(&options).unwrap();
    let (sum, fuel) = call(&mut recorded, "f2");
    assert_eq!(sum, expected(1000, 2));
    assert!(!is_translated(fuel));
}

#[test]
fn a_prelude_is_translated_for_all_instances() {
    if !has_places() {
        return;
    }
    let builder = || {
        common::interpreting_builder()
            .metered()
            .prelude(chunk("f2", 2))
    };
    let interpreting = builder().build().unwrap();
    let compiling = builder().compile_prelude().build().unwrap();
    assert_eq!(interpreting.compiled_lua().len(), 0);
    assert_eq!(compiling.compiled_lua()[0].functions(), 2);
    for (pool, translated) in [(&interpreting, false), (&compiling, true)] {
        let mut branch = pool.branch().unwrap();
        let mut fork = branch.fork().unwrap();
        for branch in [&mut branch, &mut fork] {
            let (sum, fuel) = call(branch, "f2");
            assert_eq!(sum, expected(1000, 2));
            assert_eq!(is_translated(fuel), translated);
        }
    }
}

#[test]
fn a_snapshot_is_of_use_to_a_pool_that_has_other_functions_at_its_places() {
    if !has_places() {
        return;
    }
    let mut parent = pool().branch().unwrap();
    parent.exec(chunk("f2", 2)).unwrap();
    let bytes = parent.snapshot().unwrap().to_bytes().unwrap();
    let other = common::interpreting_builder()
        .metered()
        .compile(chunk("f7", 7))
        .compile(chunk("f8", 8))
        .compile(chunk("f9", 9))
        .build()
        .unwrap();
    let mut branch = other.snapshot_from_bytes(&bytes).unwrap().branch().unwrap();
    for n in [7, 8, 9] {
        branch.exec(chunk(&format!("f{n}"), n)).unwrap();
    }
    assert_eq!(call(&mut branch, "f2").0, expected(1000, 2));
}

#[test]
fn an_instance_has_so_many_chunks_translated_and_the_rest_interpreted() {
    if !has_places() {
        return;
    }
    let pool = pool();
    let mut branch = pool.branch().unwrap();
    for n in 0..20 {
        branch.exec(chunk(&format!("f{n}"), n)).unwrap();
    }
    let fuel = [0, 15, 16, 19].map(|n| {
        let (sum, fuel) = call(&mut branch, &format!("f{n}"));
        assert_eq!(sum, expected(1000, n));
        is_translated(fuel)
    });
    assert_eq!(fuel, [true, true, false, false]);
}

#[test]
fn a_pool_has_so_many_places_and_the_rest_is_interpreted() {
    if !has_places() {
        return;
    }
    let functions = |count: usize, name: &str| {
        let one = |n: usize| format!("{name}[{n}] = function() return {n} end ");
        let all: String = (1..=count).map(one).collect();
        Chunk::body(format!("{name} = {{}} {all} return #{name}")).named(name.to_owned())
    };
    let pool = common::interpreting_builder()
        .compile(functions(300, "one"))
        .compile(functions(300, "two"))
        .build()
        .unwrap();
    let chunks = pool.compiled_lua();
    let translated: usize = chunks.iter().map(|chunk| chunk.functions()).sum();
    let refused: Vec<_> = chunks.iter().flat_map(|it| it.interpreted()).collect();
    assert_eq!((translated, refused.len()), (512, 602 - 512));
    assert!(
        refused
            .iter()
            .all(|(_, why)| why == "there is no place for it")
    );
    let mut branch = pool.branch().unwrap();
    for name in ["one", "two"] {
        assert_eq!(branch.eval::<i64>(functions(300, name)).unwrap(), 300);
        let all = format!("for n = 1, 300 do assert({name}[n]() == n) end");
        branch.exec(&*all).unwrap();
    }
}
