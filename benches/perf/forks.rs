//! Branches that begin with what another instance has.

use mlua::Lua;
use moonfork::{Pool, Snapshot};

use crate::Result;
use crate::measure::once;
use crate::table::{Goal, Table};

/// Makes so many records, as a script does that loads data.
fn build(records: usize) -> String {
    format!(
        "records = {{}} for i = 1, {records} do \
         records[i] = {{id = i, name = 'article ' .. i, price = i * 0.25, tags = {{'a', 'b'}}}} end"
    )
}

/// Looks at one record.
const LOOK: &str = "return records[500].price";

/// Touches next to nothing.
const LITTLE: &str = "return 1 + 1";

pub(crate) fn rows(table: &mut Table) -> Result<()> {
    let pool = Pool::builder().memory(256 << 20).build()?;
    for (records, fork, start) in [
        (1_000, Goal::None, Goal::None),
        (20_000, Goal::AtMost(0.1), Goal::None),
        (200_000, Goal::None, Goal::None),
    ] {
        let code = build(records);
        let mut parent = pool.branch()?;
        parent.exec(&code)?;
        assert_eq!(parent.fork()?.eval::<f64>(LOOK)?, 125.0);
        let rebuild = || {
            let lua = Lua::new();
            lua.load(&code).exec()?;
            lua.load(LOOK).eval::<f64>()
        };
        table.time(
            &format!("fork of {records} records, for making them natively"),
            fork,
            &mut once(|| parent.fork()?.eval::<f64>(LOOK)),
            &mut once(rebuild),
        )?;
        let snapshot = parent.snapshot()?;
        table.time(
            &format!("start from a snapshot of {records} records, likewise"),
            start,
            &mut once(|| snapshot.branch()?.eval::<f64>(LOOK)),
            &mut once(rebuild),
        )?;
    }
    for (size, kilobytes) in [("64 KB", 64), ("4 MB", 4 << 10), ("64 MB", 64 << 10)] {
        let snapshot = of_size(&pool, kilobytes)?;
        table.time(
            &format!("start from a snapshot of {size}, for a fresh start"),
            Goal::AtMost(1.5),
            &mut once(|| snapshot.branch()?.eval::<i64>(LITTLE)),
            &mut once(|| pool.branch()?.eval::<i64>(LITTLE)),
        )?;
        table.time(
            &format!("· that and a fresh start in turn, {size}"),
            Goal::AtMost(1.5),
            &mut || {
                snapshot.branch()?.eval::<i64>(LITTLE)?;
                pool.branch()?.eval::<i64>(LITTLE)?;
                Ok(2)
            },
            &mut once(|| pool.branch()?.eval::<i64>(LITTLE)),
        )?;
    }
    Ok(())
}

/// A snapshot of records that take about so much of Lua's memory.
fn of_size(pool: &Pool, kilobytes: usize) -> moonfork::Result<Snapshot> {
    let mut parent = pool.branch()?;
    parent.exec(format!(
        "records = {{}} while collectgarbage('count') < {kilobytes} do local i = #records + 1 \
         records[i] = {{id = i, price = i * 0.25, tags = {{'a', 'b'}}}} end"
    ))?;
    parent.snapshot()
}
