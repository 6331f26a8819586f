//! Branches that begin with what another instance has.

use std::process::Command;
use std::thread;
use std::time::Instant;

use mlua::Lua;
use moonfork::workflow::{RunSettings, Workflow};
use moonfork::{Branch, Pool, Snapshot};
use serde_json::{Map, Value, json};

use crate::Result;
use crate::measure::{Pair, median, once};
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
    many_forks(table)?;
    workflow_branches(table)
}

/// Forks that are made in a row.
const FORKS: usize = 1_000;

/// Forks by two workers, in a process of its own: memory that something else had before would be used again.
fn many_forks(table: &mut Table) -> Result<()> {
    let time = "1,000 forks of a main of 4 MB by one worker, for by two";
    let memory = "· memory of the two, for live forks times heap and 32 MiB";
    if !table.wants(time) && !table.wants(memory) {
        return Ok(());
    }
    let output = Command::new(std::env::current_exe()?)
        .arg("--many-forks")
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let numbers: std::result::Result<Vec<f64>, _> =
        text.split_whitespace().map(str::parse).collect();
    let [one, two, used, allowed] = numbers?[..] else {
        return Err(format!("four numbers are expected, not {text}").into());
    };
    let pair = |ours, native| Pair {
        ours,
        native,
        ratio: ours / native,
    };
    if table.wants(time) {
        table.add_times(time, Goal::AtLeast(1.7), pair(one, two));
    }
    if table.wants(memory) {
        table.add(memory, Goal::AtMost(1.0), pair(used, allowed), "MiB");
    }
    Ok(())
}

/// Makes them, and prints seconds by one and by two workers, and MiB that these took and might take.
///
/// An instance is forked by one thread at a time, so each worker has a fork of main, which it forks.
pub(crate) fn hold_many() -> Result<()> {
    const MIB: f64 = (1 << 20) as f64;
    const ROUNDS: usize = 5;

    let pool = Pool::builder().memory(64 << 20).build()?;
    let mut main = pool.main()?;
    main.exec(of_kilobytes(4 << 10))?;
    let mut parents = [main.fork()?, main.fork()?];
    let seconds = |workers: &mut [Branch]| {
        let times = FORKS / workers.len();
        let start = Instant::now();
        thread::scope(|scope| {
            for parent in workers {
                scope.spawn(move || {
                    for _ in 0..times {
                        let mut fork = parent.fork().expect("it can be forked");
                        assert_eq!(fork.eval::<i64>(LITTLE).expect("it runs"), 2);
                    }
                });
            }
        });
        start.elapsed().as_secs_f64()
    };
    seconds(&mut parents);
    let before = memory("VmRSS:")?;
    // What the process had at the most, from here on.
    std::fs::write("/proc/self/clear_refs", "5")?;
    seconds(&mut parents);
    let used = (memory("VmHWM:")? - before).max(0.0);
    let (mut one, mut two) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        one.push(seconds(&mut parents[..1]));
        two.push(seconds(&mut parents));
    }
    let heap = main.take_report().peak_memory as f64 / MIB;
    let allowed = 2.0 * heap + 32.0;
    println!(
        "{} {} {} {allowed}",
        median(one),
        median(two),
        used / 1024.0
    );
    Ok(())
}

/// KiB of memory, by the name that the kernel has for it.
fn memory(name: &str) -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"));
    Ok(line
        .ok_or("it isn't in /proc/self/status")?
        .trim()
        .parse()?)
}

/// Branches that touch little of a large state, beside such over a small one.
fn workflow_branches(table: &mut Table) -> Result<()> {
    const FEW: usize = 100;
    const MANY: usize = 600;
    const ROUNDS: usize = 9;

    let pool = Pool::builder().build()?;
    for (start, goal) in [("fork", Goal::AtMost(2.0)), ("fresh", Goal::None)] {
        let dot = if start == "fork" { "" } else { "· " };
        let name = format!("{dot}branch of a workflow over 1 MB, `start: {start}`, for over 1 KB");
        if !table.wants(&name) {
            continue;
        }
        let workflow = Workflow::parse(
            &format!(
                "
settings: {{parallel: {{max_workers: 1, start: {start}}}}}
nodes:
  - name: each
    type: dynamic_parallel
    items: '{{{{ range(state.count) | list }}}}'
    run: 'return {{n = #state.rows}}'
"
            ),
            "w.yaml",
        )?;
        let seconds = |branches: usize, rows: &Value| {
            let input = Map::from_iter([
                ("count".to_owned(), branches.into()),
                ("rows".to_owned(), rows.clone()),
            ]);
            let start = Instant::now();
            workflow
                .run(&pool, input, &RunSettings::new())
                .map_err(|error| error.to_string())?;
            Ok::<_, Box<dyn std::error::Error>>(start.elapsed().as_secs_f64())
        };
        // What comes once for all of them is no branch's.
        let each = |rows| {
            let (few, many) = (seconds(FEW, rows)?, seconds(MANY, rows)?);
            Ok::<_, Box<dyn std::error::Error>>((many - few) / (MANY - FEW) as f64)
        };
        let (large, small) = (rows_of(1_000_000), rows_of(1_000));
        let (mut ours, mut native, mut ratios) = (vec![], vec![], vec![]);
        for _ in 0..table.effort().rounds.min(ROUNDS) {
            let (a, b) = (each(&large)?, each(&small)?);
            ours.push(a);
            native.push(b);
            ratios.push(a / b);
        }
        let pair = Pair {
            ours: median(ours),
            native: median(native),
            ratio: median(ratios),
        };
        table.add_times(&name, goal, pair);
    }
    Ok(())
}

/// Rows that are about so many bytes of JSON.
fn rows_of(bytes: usize) -> Value {
    let row = |id: usize| json!({"id": id, "name": format!("name {id}"), "amount": id as f64 / 8.0, "tags": ["a", "b"]});
    let each = row(1_000).to_string().len() + 1;
    (0..bytes / each).map(row).collect()
}

/// A snapshot of records that take about so much of Lua's memory.
fn of_size(pool: &Pool, kilobytes: usize) -> moonfork::Result<Snapshot> {
    let mut parent = pool.branch()?;
    parent.exec(of_kilobytes(kilobytes))?;
    parent.snapshot()
}

/// Makes records that take about so much of Lua's memory.
fn of_kilobytes(kilobytes: usize) -> String {
    format!(
        "records = {{}} while collectgarbage('count') < {kilobytes} do local i = #records + 1 \
         records[i] = {{id = i, price = i * 0.25, tags = {{'a', 'b'}}}} end"
    )
}
