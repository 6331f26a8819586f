//! What a sandboxed branch costs, beside what it replaces: a native Lua state without any
//! sandbox. `cargo bench` prints both and their ratio, from one run, in turn.
//!
//! As shipped: epochs on, all limits in force. The compiled guest, the engine and the pool are
//! made once and not part of what is timed, as the loaded Lua library isn't on the other side.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use mlua::{Lua, LuaSerdeExt, Value as LuaValue};
use moonfork::{Branch, Handle, Main, Pool};
use serde_json::{Value, json};

/// mlua's errors can't move between threads, which rules out `anyhow`.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Rounds in which both sides are timed, one after the other.
const ROUNDS: usize = 31;
/// How long each side runs in a round.
const SLICE: Duration = Duration::from_millis(20);

fn main() -> Result<()> {
    let pool = Pool::builder().build()?;
    let (mut live, native) = (pool.main()?, Lua::new());
    println!(
        "median of {ROUNDS} rounds of {} ms a side; native: mlua, the same Lua, no sandbox\n",
        SLICE.as_millis()
    );
    println!(
        "{:<52} {:>10} {:>10} {:>7}",
        "", "moonfork", "native", "ratio"
    );
    row(
        "make a branch and drop it",
        &mut || pool.branch(),
        &mut || Ok(Lua::new()),
    )?;
    row(
        "fresh branch + `return 1 + 1`",
        &mut || fresh_sum(pool.branch()?),
        &mut || Ok(Lua::new().load("return 1 + 1").eval::<i64>()?),
    )?;
    row(
        "fresh branch + a small chunk with JSON in and out",
        &mut || fresh_chunk(pool.branch()?),
        &mut || native_chunk(&Lua::new()),
    )?;
    live.eval::<()>("function add(a, b) return a + b end")?;
    native.load("function add(a, b) return a + b end").exec()?;
    let add: mlua::Function = native.globals().get("add")?;
    row(
        "call a known function with two numbers",
        &mut || call(&mut live),
        &mut || Ok(add.call::<i64>((2, 3))?),
    )?;
    Ok(())
}

fn fresh_sum(mut branch: Branch) -> moonfork::Result<i64> {
    branch.eval("return 1 + 1")
}

fn call(main: &mut Main) -> moonfork::Result<i64> {
    main.call("add", &(2, 3))
}

/// Sums up the prices of an order.
const CHUNK: &str = "local total = 0 \
    for _, item in ipairs(state.items) do total = total + item.price * item.count end \
    return {id = state.id, total = total}";

fn order() -> Value {
    let items: Vec<Value> = (1..=8)
        .map(|n| json!({"name": format!("item {n}"), "price": 1.5, "count": n}))
        .collect();
    json!({"id": 7, "items": items})
}

fn fresh_chunk(mut branch: Branch) -> moonfork::Result<Value> {
    branch.eval_with(CHUNK, &order())
}

fn native_chunk(lua: &Lua) -> Result<Value> {
    lua.globals().set("state", lua.to_value(&order())?)?;
    let result: LuaValue = lua.load(CHUNK).eval()?;
    Ok(lua.from_value(result)?)
}

/// Times both sides in turn and prints their medians and the ratio.
fn row<A, B>(
    name: &str,
    ours: &mut dyn FnMut() -> moonfork::Result<A>,
    native: &mut dyn FnMut() -> Result<B>,
) -> Result<()> {
    let (mut times, mut native_times, mut ratios) = (vec![], vec![], vec![]);
    for round in 0..=ROUNDS {
        let (a, b) = (time(ours)?, time(native)?);
        // The first round warms both up.
        if round > 0 {
            times.push(a);
            native_times.push(b);
            ratios.push(a / b);
        }
    }
    println!(
        "{name:<52} {:>7.2} us {:>7.2} us {:>7.3}",
        median(times),
        median(native_times),
        median(ratios)
    );
    Ok(())
}

/// Microseconds that one call takes, as the mean over a slice of time.
fn time<T, E>(work: &mut dyn FnMut() -> std::result::Result<T, E>) -> Result<f64>
where
    Box<dyn Error>: From<E>,
{
    let start = Instant::now();
    let mut calls = 0_u32;
    while start.elapsed() < SLICE {
        for _ in 0..16 {
            black_box(work()?);
        }
        calls += 16;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
