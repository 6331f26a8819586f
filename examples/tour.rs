//! A tour of the library: `cargo run --example tour`.
//!
//! Each stop is a few lines that can be copied; `main` walks from one to the next.

use std::time::Duration;

use moonfork::{Cancel, Clock, Grants, HostCall, Limits, Pool, Result, RunOptions};
use serde::{Deserialize, Serialize};

fn main() -> Result<()> {
    values()?;
    main_and_branches()?;
    limits()?;
    stopping_from_outside()?;
    grants()?;
    errors()?;
    reports()
}

/// Values pass both ways as serde types.
fn values() -> Result<()> {
    #[derive(Serialize)]
    struct Order {
        price: f64,
        count: u32,
    }
    #[derive(Deserialize)]
    struct Bill {
        total: f64,
        note: Option<String>,
    }

    let pool = Pool::builder().build()?;
    let mut branch = pool.branch()?;
    branch.eval::<()>("function bill(order) return {total = order.price * order.count} end")?;
    let order = Order {
        price: 2.5,
        count: 4,
    };
    let bill: Bill = branch.call("bill", &(order,))?;
    println!("total {}, note {:?}", bill.total, bill.note);
    Ok(())
}

/// Main lasts; every branch is fresh, and alone.
fn main_and_branches() -> Result<()> {
    let pool = Pool::builder().build()?;
    pool.main()?.eval::<()>("visits = 1")?;
    pool.main()?.eval::<()>("visits = visits + 1")?;
    let visits: u32 = pool.main()?.global("visits")?;
    let seen = std::thread::scope(|scope| {
        let worker = scope.spawn(|| pool.runtime()?.global::<Option<u32>>("visits"));
        worker.join().expect("nothing panics there")
    })?;
    println!("main saw {visits} visits, the branch {seen:?}");
    Ok(())
}

/// A pool has limits, and a run may have narrower ones.
fn limits() -> Result<()> {
    let pool = Pool::builder().limits(Limits::strict()).build()?;
    let mut branch = pool.branch()?;
    let error = branch
        .eval::<String>("return ('x'):rep(1 << 30)")
        .unwrap_err();
    println!("{error}; is the instance still there? {}", branch.is_live());

    let quick = RunOptions::new().wall(Duration::from_millis(100));
    let error = branch
        .with(&quick)
        .eval::<()>("\n\nwhile true do pcall(function() while true do end end) end")
        .unwrap_err();
    println!("{error}; and now? {}", branch.is_live());
    Ok(())
}

/// Any thread may stop a run, and no other run stops with it.
fn stopping_from_outside() -> Result<()> {
    let pool = Pool::builder().build()?;
    let cancel = Cancel::new();
    let mut branch = pool.branch_with(&RunOptions::new().cancel_handle(&cancel))?;
    let error = std::thread::scope(|scope| {
        scope.spawn(|| cancel.cancel());
        branch.eval::<()>("while true do end").unwrap_err()
    });
    println!("cancelled? {}", error.is_cancelled());
    Ok(())
}

/// Everything is denied unless it is granted.
fn grants() -> Result<()> {
    let pool = Pool::builder()
        .function("stock", |(item,): (String,)| match item.as_str() {
            "apples" => Ok(12),
            other => Err(format!("we don't sell {other}").into()),
        })
        .function_with("patience", |call: &HostCall, ()| {
            Ok(call.remaining().map(|left| left.as_secs()))
        })
        .module("fruit", "return {sort = table.sort}")
        .build()?;
    let grants = Grants::none()
        .function("stock")
        .module("fruit")
        .clock(Clock::fixed(Duration::from_secs(1_000_000_000)))
        .variable("region", "eu");
    let mut branch = pool.branch_with(&RunOptions::new().grants(grants))?;
    let told: String = branch.eval(
        "local ok, message = pcall(stock, 'bricks')
         return ('%d apples in %s on %s; %s'):format(
           stock('apples'), variables.region, os.date('%Y-%m-%d'), message)",
    )?;
    println!("{told}");
    let error = branch.eval::<u64>("patience()").unwrap_err();
    println!("denied? {}: {error}", error.is_denied());
    Ok(())
}

/// Errors say whose fault they are, and where.
fn errors() -> Result<()> {
    let pool = Pool::builder().build()?;
    let mut branch = pool.branch()?;
    let error = branch
        .eval::<()>("local function f() error({code = 404}) end\nf()")
        .unwrap_err();
    println!(
        "a script's? {}; raised with {}",
        error.is_script(),
        error.value().expect("a table")
    );
    println!("{}", error.traceback().unwrap_or_default());
    Ok(())
}

/// Every run has a report.
fn reports() -> Result<()> {
    let pool = Pool::builder().metered().build()?;
    let mut branch = pool.branch()?;
    branch.eval::<()>("print('hello')")?;
    let report = branch.take_report();
    println!(
        "instance {} burnt {} units of fuel, had {} KiB at the most, printed {:?}",
        report.store_id,
        report.fuel.expect("it is metered"),
        report.peak_memory >> 10,
        report.output
    );
    Ok(())
}
