//! The guest's interpreter does most instructions in a function that Lua doesn't have
//! (guest/lua/lvm_ahead.h). What it does is what native Lua does: each script here works through
//! operands, tables, calls or loops, and gives the log of what came of it.

use moonfork::{Limits, Pool};
use rstest::rstest;

/// What every script begins with: `note` writes a line of the log, with how many values it has.
/// Where in memory something is differs.
pub(crate) const LOG: &str = "local log = {} \
    local function note(...) \
      local values = table.pack(...) \
      for n = 1, values.n do values[n] = tostring(values[n]):gsub('0x%x+', 'address') end \
      log[#log + 1] = values.n .. ': ' .. table.concat(values, ' ') \
    end ";

#[rstest]
#[case::operators(include_str!("operators.lua"))]
#[case::tables(include_str!("tables.lua"))]
#[case::calls(include_str!("calls.lua"))]
#[case::loops(include_str!("loops.lua"))]
#[case::collector(include_str!("collector.lua"))]
#[case::patterns(include_str!("patterns.lua"))]
#[case::texts(include_str!("texts.lua"))]
fn a_script_gives_what_it_gives_natively(#[case] script: &str) {
    let script = format!("{LOG}{script}");
    let pool = Pool::builder().max_branches(1).limits(Limits::unlimited());
    let pool = pool.build().unwrap();
    let ours: String = pool.branch().unwrap().eval(&*script).unwrap();

    let lua = mlua::Lua::new();
    let native: String = lua.load(&*script).set_name("=eval").eval().unwrap();

    assert_same_log(&ours, &native, 50);
}

/// Both logs are the same, and have more lines than these.
#[track_caller]
pub(crate) fn assert_same_log(ours: &str, native: &str, least: usize) {
    let lines = native.lines().count();
    assert!(lines > least, "{lines} lines are no log");
    for (number, (ours, native)) in ours.lines().zip(native.lines()).enumerate() {
        assert_eq!(ours, native, "line {} of the log", number + 1);
    }
    assert_eq!(ours.lines().count(), lines);
}
