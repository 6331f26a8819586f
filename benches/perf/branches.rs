//! Branches and calls: what a sandbox costs before a script does any work.

use mlua::{Lua, LuaSerdeExt, Value as LuaValue};
use moonfork::{Branch, Pool};
use serde_json::{Value, json};

use crate::Result;
use crate::measure::once;
use crate::table::{Goal, Table};

/// Sums up the prices of an order.
const CHUNK: &str = "local total = 0 \
    for _, item in ipairs(state.items) do total = total + item.price * item.count end \
    return {id = state.id, total = total}";

/// Makes 200 KB of garbage, in 2,500 tables of two numbers: most of it behind what of an instance's memory
/// is copied when it ends, so that the kernel has to give pages, and takes them back.
const GARBAGE: &str = "local made = 0 \
    for i = 1, 2500 do local pair = {i, i + 1} made = made + #pair end \
    return made";

pub(crate) fn rows(table: &mut Table) -> Result<()> {
    let pool = Pool::builder().build()?;
    table.time(
        "make a branch and drop it",
        Goal::AtMost(0.15),
        &mut once(|| pool.branch()),
        &mut once(|| Ok::<_, mlua::Error>(Lua::new())),
    )?;
    table.time(
        "fresh branch + `return 1 + 1`",
        Goal::None,
        &mut once(|| pool.branch()?.eval::<i64>("return 1 + 1")),
        &mut once(|| Lua::new().load("return 1 + 1").eval::<i64>()),
    )?;

    // Making the value is the same work for both.
    let order = order();
    assert_eq!(
        fresh_chunk(pool.branch()?, &order)?,
        native_chunk(&Lua::new(), &order)?
    );
    table.time(
        "fresh branch + a small chunk with JSON in and out",
        Goal::AtMost(0.25),
        &mut once(|| fresh_chunk(pool.branch()?, &order)),
        &mut once(|| native_chunk(&Lua::new(), &order)),
    )?;

    assert_eq!(pool.branch()?.eval::<i64>(GARBAGE)?, 5000);
    table.time(
        "fresh branch + a script that makes 200 KB of garbage",
        Goal::None,
        &mut once(|| pool.branch()?.eval::<i64>(GARBAGE)),
        &mut once(|| Lua::new().load(GARBAGE).eval::<i64>()),
    )?;

    let (mut live, native) = (pool.main()?, Lua::new());
    live.eval::<()>("function add(a, b) return a + b end")?;
    native.load("function add(a, b) return a + b end").exec()?;
    let add: mlua::Function = native.globals().get("add")?;
    assert_eq!(
        live.call::<_, i64>("add", &(2, 3))?,
        add.call::<i64>((2, 3))?
    );
    table.time(
        "call a known function with two numbers",
        Goal::AtMost(3.0),
        &mut once(|| live.call::<_, i64>("add", &(2, 3))),
        &mut once(|| add.call::<i64>((2, 3))),
    )
}

fn order() -> Value {
    let items: Vec<Value> = (1..=8)
        .map(|n| json!({"name": format!("item {n}"), "price": 1.5, "count": n}))
        .collect();
    json!({"id": 7, "items": items})
}

fn fresh_chunk(mut branch: Branch, order: &Value) -> moonfork::Result<Value> {
    branch.eval_with(CHUNK, order)
}

fn native_chunk(lua: &Lua, order: &Value) -> Result<Value> {
    lua.globals().set("state", lua.to_value(order)?)?;
    let result: LuaValue = lua.load(CHUNK).eval()?;
    Ok(lua.from_value(result)?)
}
