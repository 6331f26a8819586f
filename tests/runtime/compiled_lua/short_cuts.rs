//! What the interpreter has short cuts for takes no longer translated, by the fuel that it burns.

use moonfork::{Chunk, PoolBuilder};
use rstest::rstest;

use super::has_places;
use crate::common;

fn builder() -> PoolBuilder {
    common::interpreting_builder().metered()
}

fn burnt(builder: PoolBuilder, code: &str) -> u64 {
    let mut branch = builder.build().unwrap().branch().unwrap();
    branch.eval::<serde_json::Value>(Chunk::new(code)).unwrap();
    branch.take_report().fuel.unwrap()
}

#[rstest]
#[case::byte("local s, n = ('text'):rep(500), 0 for i = 1, #s do n = n + s:byte(i) end return n")]
#[case::sub(
    "local s, n = ('text'):rep(500), 0 for i = 1, #s do if s:sub(i, i) == 'x' then n = n + 1 end end return n"
)]
#[case::floor(
    "local floor, n = math.floor, 0 for i = 1, 2000 do n = n + floor(i * 0.25) end return n"
)]
#[case::max("local max, n = math.max, 0 for i = 1, 2000 do n = max(n, i) end return n")]
// The interpreter goes on with the rest of a function where this gives no float to one that calculates with it.
#[case::operators(
    "local t = setmetatable({}, { __mul = function(t) return t end })
     local function same(t) return t end
     local n = 0
     for i = 1, 2000 do if same(t * 0.5) == t then n = n + i % 3 end end
     return n"
)]
// A class whose objects get their fields one by one.
#[case::new_fields(
    "local class = { x = 1 } class.__index = class
     for i = 1, 500 do
       local t = setmetatable({ a = 1, b = 2, c = 3, d = 4 }, class)
       t.a, t.b, t.c, t.d = nil, nil, nil, nil
       t.e, t.f, t.g = i, i, i
     end"
)]
fn short_cuts_are_as_short_translated(#[case] code: &str) {
    if !has_places() {
        return;
    }
    let interpreted = burnt(builder(), code);
    let translated = burnt(builder().compile(code), code);
    assert!(translated < interpreted, "{translated}, not {interpreted}");
}
