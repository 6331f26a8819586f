//! Large values: a megabyte of nested JSON into Lua and out again.

use mlua::{Lua, LuaSerdeExt, Value as LuaValue};
use moonfork::Pool;
use serde_json::{Value, json};

use crate::Result;
use crate::measure::once;
use crate::table::{Goal, Table};

pub(crate) fn rows(table: &mut Table) -> Result<()> {
    let document = document();
    let pool = Pool::builder().build()?;
    let (mut branch, lua) = (pool.branch()?, Lua::new());

    let mut ours = || branch.eval_with::<_, Value>("return state", &document);
    let native = || -> Result<Value> {
        lua.globals().set("state", lua.to_value(&document)?)?;
        let result: LuaValue = lua.load("return state").eval()?;
        Ok(lua.from_value(result)?)
    };
    assert_eq!(ours()?, document);
    assert_eq!(native()?, document);
    table.time(
        "1 MB of nested JSON in and out",
        Goal::AtMost(1.5),
        &mut once(ours),
        &mut once(native),
    )
}

/// A list of orders whose JSON text has about a megabyte.
fn document() -> Value {
    let order = |n: u32| {
        json!({
            "id": n,
            "customer": {"name": format!("customer {n}"), "address": {"street": "Main Street", "number": n % 200}},
            "tags": ["new", "paid", format!("batch {}", n / 10)],
            "items": (1..=4).map(|i| json!({
                "sku": format!("sku-{n}-{i}"),
                "price": f64::from(n * i) / 8.0,
                "count": i,
                "gift": i % 2 == 0,
            })).collect::<Vec<_>>(),
        })
    };
    let orders: Vec<Value> = (0..2700).map(order).collect();
    let document = Value::from(orders);
    let size = document.to_string().len();
    assert!((900_000..1_100_000).contains(&size), "{size} bytes");
    document
}
