//! A function that is called by name again and again goes another way through the guest than one
//! that is called by a path: what comes out has to be the same.

use moonfork::{Chunk, Pool};
use rstest::rstest;
use serde_json::{Value, json};

use crate::common;

/// Calls of each, the first two of which are like any other.
const TIMES: usize = 5;

/// What came of a call: its value, or its error's code, message, and what was raised.
type Outcome = Result<Value, (String, String, Option<Value>)>;

/// What the function `f` that `code` defines gives, called by `path` several times in a row.
fn outcomes(pool: &Pool, code: &str, path: &str, args: &Value) -> Vec<Outcome> {
    let mut branch = pool.branch().unwrap();
    let code = format!("{code}\nlib = {{f = f}}");
    branch.eval::<()>(Chunk::body(&code).named("test")).unwrap();
    (0..TIMES)
        .map(|_| {
            branch.call(path, args).map_err(|error| {
                let value = error.value().cloned();
                (error.code().to_owned(), error.to_string(), value)
            })
        })
        .collect()
}

#[rstest]
#[case::nothing("function f() end", json!([]))]
#[case::nil("function f(a) return a end", json!([null]))]
#[case::yes("function f(a) return not a end", json!([false]))]
#[case::no("function f(a) return not a end", json!([true]))]
#[case::one_byte("function f(a) return a end", json!([127]))]
#[case::two_bytes("function f(a) return a end", json!([128]))]
#[case::negative("function f(a) return a end", json!([-1]))]
#[case::lowest("function f(a) return a end", json!([i64::MIN]))]
#[case::highest("function f(a) return a end", json!([i64::MAX]))]
#[case::beyond("function f(a) return a end", json!([u64::MAX]))]
#[case::fraction("function f(a) return a / 4 end", json!([-1.5]))]
#[case::negative_zero("function f() return -0.0 end", json!([]))]
#[case::infinity("function f() return 1 / 0 end", json!([]))]
#[case::not_a_number("function f() return 0 / 0 end", json!([]))]
#[case::text("function f(a) return a .. 'x' end", json!([1]))]
#[case::table("function f(a) return {a, {b = a}} end", json!([1]))]
#[case::null("function f() return json.null end", json!([]))]
#[case::lua_function("function f() return f end", json!([]))]
#[case::c_function("function f() return print end", json!([]))]
#[case::several("function f() return 1, {}, 'x' end", json!([]))]
#[case::many("function f() return table.unpack({}, 1, 1000) end", json!([]))]
#[case::text_passed("function f(a) return #a end", json!(["abc"]))]
#[case::table_passed("function f(a) return a[2] end", json!([[1, 2]]))]
#[case::eight("function f(...) return select('#', ...) end", json!([1, 2, 3, 4, 5, 6, 7, 8]))]
#[case::nine("function f(...) return select('#', ...) end", json!([1, 2, 3, 4, 5, 6, 7, 8, 9]))]
#[case::nils("function f(...) return select('#', ...) end", json!([null, null, 1, null]))]
#[case::of_lua("f = math.max", json!([3, 7.5, 5]))]
#[case::several_of_lua("f = math.modf", json!([3.5]))]
#[case::callable("f = setmetatable({}, {__call = function(_, a) return a + 1 end})", json!([1]))]
#[case::error("function f()\n error('no') end", json!([]))]
#[case::table_raised("function f(a) error({code = a}) end", json!([7]))]
#[case::nil_raised("function f() error() end", json!([]))]
#[case::error_of_lua("function f(a) return a.b.c end", json!([1]))]
#[case::error_of_a_library("function f(a) return ('x'):rep(a, nil, nil) .. {} end", json!([1]))]
#[case::argument_of_lua("f = math.floor", json!([null]))]
#[case::caught("function f(a) return select(2, pcall(error, a)) end", json!([5]))]
#[case::yield_outside("function f() coroutine.yield(1) end", json!([]))]
#[case::yield_inside(
    "function f(a) return coroutine.wrap(function() coroutine.yield(a) end)() end",
    json!([1])
)]
#[case::recursion("function f(a) if a == 0 then return 0 end return 1 + f(a - 1) end", json!([10_000]))]
#[case::endless_recursion("function f() return 1 + f() end", json!([]))]
#[case::large_stack(
    "function f(a) return select('#', table.unpack({}, 1, a)) end",
    json!([100_000])
)]
#[case::closing(
    "function f(a) local c <close> = setmetatable({}, {__close = function() a = 0 end}) return a end",
    json!([3])
)]
#[case::error_in_closing(
    "function f() local c <close> = setmetatable({}, {__close = function() error('shut') end}) end",
    json!([])
)]
#[case::counting("local n = 0 function f() n = n + 1 return n end", json!([]))]
#[case::redefining("function f() f = function() return 2 end lib.f = f return 1 end", json!([]))]
#[case::removing("function f() f = nil lib.f = nil return 1 end", json!([]))]
#[case::of_memory("function f() return #('x'):rep(1 << 30) end", json!([]))]
fn by_name_as_by_path(#[case] code: &str, #[case] args: Value) {
    let pool = common::pool();
    let by_path = outcomes(pool, code, "lib.f", &args);
    let by_name = outcomes(pool, code, "f", &args);
    for (name, path) in by_name.into_iter().zip(by_path) {
        // Messages name what was asked for.
        let path =
            path.map_err(|(code, message, value)| (code, message.replace("'lib.f'", "'f'"), value));
        assert_eq!(name, path);
    }
}

/// The same where fuel is counted: the way is another, but what it gives isn't.
#[rstest]
#[case::value("function f(a) return a * 2 end", json!([21]))]
#[case::error("function f(a) error({a}) end", json!([21]))]
fn where_fuel_is_counted(#[case] code: &str, #[case] args: Value) {
    let pool = common::builder().metered().build().unwrap();
    let by_path = outcomes(&pool, code, "lib.f", &args);
    assert_eq!(outcomes(&pool, code, "f", &args), by_path);
}

#[rstest]
#[case(1)]
#[case(7)]
#[case(8)]
#[case(9)]
#[case(16)]
#[case(40)]
#[case(41)]
#[case(64)]
#[case(65)]
fn names_of_any_length_that_differ_in_one_place(#[case] len: usize) {
    let mut branch = common::pool().branch().unwrap();
    let names: Vec<_> = (0..len)
        .map(|place| {
            let mut name = vec![b'a'; len];
            name[place] = b'b';
            String::from_utf8(name).unwrap()
        })
        .collect();
    for (number, name) in names.iter().enumerate() {
        let code = format!("function {name}() return {number} end");
        branch.eval::<()>(Chunk::body(&code)).unwrap();
    }
    for (number, name) in names.iter().enumerate() {
        for _ in 0..3 {
            assert_eq!(branch.call::<_, usize>(name, &()).unwrap(), number);
        }
        let other = &names[(number + 1) % len];
        let found = branch.call::<_, usize>(other, &()).unwrap();
        assert_eq!(found, (number + 1) % len, "{other} is not {name}");
        branch.call::<_, ()>(&format!("{name}x"), &()).unwrap_err();
    }
}
