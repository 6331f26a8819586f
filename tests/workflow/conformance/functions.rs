//! Host functions that the cases use.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use moonfork::{Grants, Pool, PoolBuilder};
use serde_json::{Value, json};

/// A pool with all of them, and room for `slots` branches.
pub(crate) fn pool(slots: u32, metered: bool) -> Pool {
    builder(slots, metered).build().expect("a pool")
}

/// The same before it is built.
pub(crate) fn builder(slots: u32, metered: bool) -> PoolBuilder {
    let calls = Mutex::new(HashMap::<String, usize>::new());
    let count = move |key: String| {
        let mut calls = calls.lock().unwrap();
        let count = calls.entry(key).or_default();
        *count += 1;
        *count
    };
    let count = std::sync::Arc::new(count);
    let counted = count.clone();
    let inside = AtomicUsize::new(0);
    let together = move |(): ()| {
        let mut most = inside.fetch_add(1, Ordering::SeqCst) + 1;
        // Long enough for others to come in, if any are let in.
        for _ in 0..200 {
            std::thread::yield_now();
            most = most.max(inside.load(Ordering::SeqCst));
        }
        inside.fetch_sub(1, Ordering::SeqCst);
        Ok(most)
    };
    let fail_once = move |(key,): (String,)| match counted(format!("fail_once {key}")) {
        1 => Err("the first call fails".into()),
        _ => Ok("fine"),
    };
    let builder = common_builder()
        .max_branches(slots)
        .function("add", |(a, b): (i64, i64)| Ok(a + b))
        .function("greet", |(text,): (String,)| Ok(format!("{text}!")))
        .function("describe", |(value,): (Value,)| Ok(json!({"got": value})))
        .function("add_up", move |(key,): (String,)| Ok(count(key)))
        .function("fail_once", fail_once)
        .function("together", together)
        .grants(Grants::none().all_functions());
    match metered {
        true => builder.metered(),
        false => builder,
    }
}

fn common_builder() -> PoolBuilder {
    crate::common::builder()
}
