//! What a state holds several times passes once, and scripts can't tell: every place has a table of its own.
//!
//! The same scripts run on a state that says of some of its values that they are the same, and on
//! one that has each in full. What they return has to be the same text, also in its order.

use moonfork::{Limits, Pool};
use rstest::rstest;
use serde::ser::{SerializeMap, SerializeTuple};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::common;

/// What host/wire.rs has for a number.
struct Numbered(i8, u32);

impl Serialize for Numbered {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Bytes([u8; 4]);

        impl Serialize for Bytes {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(&self.0)
            }
        }

        let extension = (self.0, Bytes(self.1.to_be_bytes()));
        serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &extension)
    }
}

/// A value that goes by a number from here on.
struct Definition<T>(u32, T);

impl<T: Serialize> Serialize for Definition<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&Numbered(1, self.0))?;
        pair.serialize_element(&self.1)?;
        pair.end()
    }
}

fn reference(number: u32) -> Numbered {
    Numbered(2, number)
}

fn row() -> Value {
    json!({"id": 7, "tags": ["x", "y"], "note": null})
}

/// A value of all kinds, in which `row` is the row.
struct Whole<R>(R, R);

impl<R: Serialize> Serialize for Whole<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("row", &self.0)?;
        map.serialize_entry("rows", &(json!({"id": 1}), &self.1, json!(null), 3))?;
        for (key, value) in [
            ("list", json!([1, 2, null, 4, null])),
            ("numbers", json!([9, 8, 7, 6, 5, 4, 3, 2, 1])),
            ("empty_list", json!([])),
            ("empty", json!({})),
            ("float", json!(1.5)),
            ("zero", json!(-0.0)),
            ("null", json!(null)),
            ("yes", json!(true)),
            (
                "text",
                json!("a text that is so long that Lua has it by itself"),
            ),
            // What would be metamethods, if this were a metatable.
            ("__index", json!({"missing": "found"})),
            ("__newindex", json!({})),
            ("__len", json!(5)),
            ("__eq", json!(1)),
            ("__name", json!("name")),
            ("__mode", json!("kv")),
            ("__gc", json!(1)),
            ("__close", json!(1)),
            ("__call", json!(1)),
            ("__pairs", json!(1)),
            ("__metatable", json!("mine")),
            ("__tostring", json!("mine")),
            ("1", json!("one")),
        ] {
            map.serialize_entry(key, &value)?;
        }
        map.end()
    }
}

/// A state with the same value in several places; in `deep` even the parts of it.
#[derive(Serialize)]
struct State<A, B, R> {
    a: A,
    b: B,
    deep: (B, R, i32),
    text: B,
}

fn in_full() -> impl Serialize {
    let whole = || Whole(row(), row());
    State {
        a: whole(),
        b: whole(),
        deep: (whole(), row(), 1),
        text: whole(),
    }
}

fn numbered() -> impl Serialize {
    /// The row, which is defined where it is met first.
    struct Either(bool);

    impl Serialize for Either {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                true => Definition(2, row()).serialize(serializer),
                false => reference(2).serialize(serializer),
            }
        }
    }

    Definition(
        0,
        State {
            a: Definition(1, Whole(Either(true), Either(false))),
            b: reference(1),
            deep: (reference(1), reference(2), 1),
            text: reference(1),
        },
    )
}

/// What a script returns, or fails with.
fn result(state: &impl Serialize, script: &str) -> String {
    let script = format!(
        "local function show() {script}\nend\n\
         local ok, value = pcall(show)\n\
         return json.encode {{ok, value == nil and 'nothing' or value, state}}"
    );
    let mut branch = common::pool().branch().unwrap();
    match branch.eval_with::<_, String>(script.as_str(), state) {
        Ok(text) => text,
        Err(error) => panic!("{script}: {error}"),
    }
}

#[rstest]
#[case::read("return {state.a.float, state.b.row.id, state.deep[1].rows[2].tags[2], state.a.zero}")]
#[case::read_what_is_not_there(
    "return {state.a.missing, state.b.nothing, state.a[1], state.b['1']}"
)]
#[case::read_by_variables(
    "local r = {} for _, k in ipairs {'row', 'float', 1, 2.0, true, 'no'} do r[#r + 1] = tostring(state.a[k] ~= nil) end return r"
)]
#[case::read_a_list_by_index(
    "return {state.a.numbers[3], state.b.list[4], state.b.list[5], state.a.numbers[10], state.a.numbers[0], state.a.numbers[2.0]}"
)]
#[case::a_table_is_the_same_each_time(
    "return {state.a == state.a, state.a.row == state.a.row, rawequal(state.b.rows, state.b.rows)}"
)]
#[case::places_have_tables_of_their_own(
    "return {state.a == state.b, state.a.row == state.b.row, state.a.row == state.a.rows[2], state.deep[2] == state.deep[1].row}"
)]
#[case::write("state.a.float = 2 state.b.row.id = 8 state.deep[2].new = {1}")]
#[case::write_over_a_table("state.a.row = 1 state.b.rows[2] = {}")]
#[case::write_nil(
    "state.a.row = nil state.b.float = nil state.deep[1].list[2] = nil state.deep[2].id = nil"
)]
#[case::write_nil_after_reading("local r = state.a.row state.a.row = nil return {r, state.a.row}")]
#[case::write_nil_where_nothing_is("state.a.nothing = nil state.b[1] = nil")]
#[case::write_a_null_over("state.a.null = 1 state.b.row.note = 'x'")]
#[case::write_by_number(
    "state.a.numbers[3] = 'x' state.b.numbers[10] = 0 state.deep[1].empty_list[1] = 1 state.deep[1].empty[1] = 1"
)]
#[case::write_by_variable(
    "for _, k in ipairs {'x', 1, 2.5, true} do pcall(function() state.a.row[k] = k end) end state.a.row[2.5] = nil state.a.row[true] = nil return state.a.row.x"
)]
#[case::write_while_reading("for k, v in pairs(state.a) do state.a[k] = 1 state.b[k] = nil end")]
#[case::length(
    "return {#state.a, #state.a.numbers, #state.b.list, #state.b.empty_list, #state.a.rows, #state.a.row.tags}"
)]
#[case::pairs("local r = {} for k, v in pairs(state.a) do r[#r + 1] = k .. type(v) end return r")]
#[case::next_by_itself(
    "local r = {} for k, v in next, state.b do r[#r + 1] = k .. type(v) end return r"
)]
#[case::next_called(
    "local r, k, v = {} repeat k, v = next(state.a.row, k) r[#r + 1] = tostring(k) until k == nil return r"
)]
#[case::pairs_of_a_list(
    "local r = {} for k, v in pairs(state.a.numbers) do r[#r + 1] = k * v end for k, v in next, state.b.list do r[#r + 1] = k * v end return r"
)]
#[case::ipairs(
    "local r = {} for k, v in ipairs(state.a.numbers) do r[#r + 1] = v end for k, v in ipairs(state.b.rows) do r[#r + 1] = v.id end for k, v in ipairs(state.b.list) do r[#r + 1] = v end return r"
)]
#[case::nothing_to_iterate(
    "local n = 0 for _ in pairs(state.a.empty) do n = n + 1 end for _ in next, state.a.empty_list do n = n + 1 end return n"
)]
#[case::raw(
    "return {rawget(state.a, 'float'), rawget(state.a.numbers, 2), rawlen(state.a.numbers), rawget(state.b, 'row').id, rawget(state.b, 'missing')}"
)]
#[case::raw_write(
    "rawset(state.a, 'x', 1) rawset(state.b.numbers, 1, 5) rawset(state.deep[2], 'id', nil)"
)]
#[case::insert(
    "table.insert(state.a.numbers, 1) table.insert(state.b.numbers, 1, 'x') table.insert(state.a.rows, {}) table.insert(state.b.empty_list, 2)"
)]
#[case::remove(
    "return {table.remove(state.a.numbers), table.remove(state.b.numbers, 1), table.remove(state.a.empty_list), #state.a.numbers}"
)]
#[case::sort("table.sort(state.a.numbers) return state.b.numbers")]
#[case::concat("return table.concat(state.a.numbers, ',') .. table.concat(state.b.row.tags)")]
#[case::unpack("return {table.unpack(state.a.numbers)}")]
#[case::move_(
    "table.move(state.a.numbers, 1, 3, 4) table.move(state.b.numbers, 1, 3, 1, state.b.empty)"
)]
#[case::no_metatable(
    "return {getmetatable(state.a), tostring(getmetatable(state.a.row)), type(state.a), (tostring(state.b):gsub('0x%x+', ''))}"
)]
#[case::set_a_metatable(
    "setmetatable(state.a, {__index = {missing = 'there'}, __len = function() return 77 end}) return {state.a.missing, #state.a, state.a.float, state.a.row.id, state.b.missing}"
)]
#[case::set_and_take_a_metatable(
    "setmetatable(setmetatable(state.a, {}), nil) return state.a.row.id"
)]
#[case::as_a_metatable(
    "local t = setmetatable({}, state.a.row) return {getmetatable(t) == state.a.row, t.x, getmetatable(t).tags}"
)]
#[case::as_a_metatable_with_an_index(
    "local t = setmetatable({}, {__index = state.a}) return {t.float, t.row.id, t.nothing, t.missing, t.row == state.a.row}"
)]
#[case::as_a_class(
    "state.row2 = nil local class = state.b.row class.__index = class local o = setmetatable({}, class) class.__index = nil return {o.id == nil}"
)]
#[case::where_writes_go(
    "local t = setmetatable({}, {__newindex = state.a}) t.float = 3 t.new = 1 t.row = nil return {rawget(t, 'float') == nil, t.new == nil}"
)]
#[case::compare(
    "return {state.a == state.b, state.a ~= state.b, pcall(function() return state.a < state.b end)}"
)]
#[case::call("return {pcall(function() return state.a() end)}")]
#[case::add("return {pcall(function() return state.a + 1 end)}")]
#[case::join("return {pcall(function() return state.a .. '' end)}")]
#[case::index_a_number("return {pcall(function() return state.a.float.x end)}")]
#[case::index_nothing("return {pcall(function() return state.a.nothing.x end)}")]
#[case::method("return {pcall(function() return state.a:row() end)}")]
#[case::close("return {pcall(function() local x <close> = state.a end)}")]
#[case::nil_key(
    "return {pcall(function() state.a[nil] = 1 end), pcall(function() state.b.row[0/0] = 1 end)}"
)]
#[case::as_keys(
    "local t = {[state.a] = 1, [state.b] = 2, [state.a.row] = 3} return {t[state.a], t[state.b], t[state.a.row], t[state.b.row] == nil}"
)]
#[case::marked_as_a_list(
    "json.array(state.a.empty) json.array(state.b.row.tags) json.array(state.a.row)"
)]
#[case::json("return {json.encode(state.a), json.encode(state.b.row), json.encode(state.a.rows)}")]
#[case::json_of_what_was_read(
    "local _ = state.a.row.tags, state.b.rows[1], state.b.empty_list return {json.encode(state.a), json.encode(state.b)}"
)]
#[case::moved_about(
    "state.x = state.a state.a = nil state.x.row.id = 1 state.b.row = state.x.row return state.b.row.id"
)]
#[case::nested_in_itself(
    "state.a.row.self = state.a local ok, why = pcall(json.encode, state.a) state.a.row.self = nil return why"
)]
#[case::in_coroutines(
    "local co = coroutine.wrap(function() for k in pairs(state.a) do coroutine.yield(k) end end) return {co(), co(), co()}"
)]
#[case::written_in_a_coroutine("coroutine.wrap(function() state.a.row.id = 'co' end)()")]
#[case::collected(
    "for i = 1, 20000 do local t = {i} if i % 100 == 0 then state.a.row['k' .. i] = {t, state.b.row.tags[1]} state.deep[1].rows[i // 100] = {} end end return state.b.row.id"
)]
#[case::weak(
    "local t = setmetatable({}, {__mode = 'k'}) t[state.a.row] = 1 for i = 1, 20000 do local _ = {i} end return {t[state.a.row]}"
)]
#[case::finalizer(
    "local n = 0 do local t = setmetatable({}, {__gc = function() n = n + state.a.row.id end}) end for i = 1, 20000 do local _ = {i} end return n"
)]
#[case::select_and_pack("return table.pack(state.a.row, nil, state.b.row)")]
#[case::a_function_of_a_table(
    "local function f(t) t.row.id = t.row.id + 1 return t.row.id end return {f(state.a), f(state.a), f(state.b)}"
)]
#[case::counting_loop(
    "local sum = 0 for i = 1, #state.a.numbers do sum = sum + state.a.numbers[i] * state.b.numbers[i] end return sum"
)]
fn scripts_see_tables_of_their_own(#[case] script: &str) {
    assert_eq!(
        result(&numbered(), script),
        result(&in_full(), script),
        "{script}"
    );
}

/// What has been read, in any order, can be changed, in any order, and nothing else changes.
#[test]
fn what_was_read_before_makes_no_difference() {
    let places = [
        "state.a.row",
        "state.b.row",
        "state.a.rows[2]",
        "state.deep[1].row",
        "state.deep[2]",
    ];
    let read = [
        "",
        "local _ = {p}",
        "local _ = {p}.tags",
        "for _ in pairs({p}) do end",
        "local _ = #{p}.tags",
    ];
    let write = [
        "{p}.id = 'new'",
        "{p}.tags[1] = nil",
        "{p}.tags = nil",
        "rawset({p}, 'note', 1)",
        "{p}.tags[3] = {}",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    let (full, shared) = (in_full(), numbered());
    for _ in 0..60 {
        let mut script = String::new();
        for _ in 0..random.usize(1..8) {
            let place = places[random.usize(..places.len())];
            let step = match random.bool() {
                true => read[random.usize(..read.len())],
                false => write[random.usize(..write.len())],
            };
            let step = step.replace("{p}", place);
            script += &format!("pcall(function() {step} end) ");
        }
        assert_eq!(result(&shared, &script), result(&full, &script), "{script}");
    }
}

/// What is there a thousand times takes the memory of one, also when all are read; and a script that changes all
/// gets an error that it can catch, as elsewhere, and what it has is whole.
#[test]
fn memory_runs_out_as_for_other_tables() {
    let rows: Vec<Value> = (0..1000)
        .map(|id| json!({"id": id, "text": "x".repeat(50)}))
        .collect();
    struct Many<'r>(&'r [Value]);

    impl Serialize for Many<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("first", &Definition(1, self.0))?;
            for index in 0..1000 {
                map.serialize_entry(&format!("k{index}"), &reference(1))?;
            }
            map.end()
        }
    }

    let mut limits = Limits::default();
    limits.memory = 16 << 20;
    let pool: Pool = common::builder().limits(limits).build().unwrap();
    let state = Definition(0, Many(&rows));
    let read = "local n = 0 for _, rows in pairs(state) do n = n + #rows end return n";
    assert_eq!(
        pool.branch()
            .unwrap()
            .eval_with::<_, u64>(read, &state)
            .unwrap(),
        1_001_000
    );
    let write = "
        local last
        local ok, why = pcall(function()
            for key, rows in pairs(state) do last = rows for _, row in ipairs(rows) do row.id = key end end
        end)
        assert(not ok and why:find('not enough memory'), why)
        local kept = last
        state, last = nil, nil
        local n = 0
        for _, row in ipairs(kept) do n = n + #row.text end
        return n";
    assert_eq!(
        pool.branch()
            .unwrap()
            .eval_with::<_, u64>(write, &state)
            .unwrap(),
        50_000
    );
}

/// A value so many levels deep, with another at its end.
struct Nested<'v, T>(usize, &'v T);

impl<T: Serialize> Serialize for Nested<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => self.1.serialize(serializer),
            levels => serializer.collect_seq([Nested(levels - 1, self.1)]),
        }
    }
}

/// A number stands for as many levels as what it stands for.
#[rstest]
#[case::fits(39, true)]
#[case::does_not(40, false)]
fn what_a_number_stands_for_is_nested_no_deeper_than_other_values(
    #[case] levels: usize,
    #[case] fits: bool,
) {
    let deep = Nested(60, &1);
    let full = (&deep, Nested(levels, &deep));
    let numbered = Definition(0, (Definition(1, &deep), Nested(levels, &reference(1))));
    let script = "return json.encode(state)";
    let mut branch = common::pool().branch().unwrap();
    let by_number = branch.eval_with::<_, String>(script, &numbered);
    let in_full = branch.eval_with::<_, String>(script, &full);
    assert_eq!(by_number.is_ok(), fits);
    assert_eq!(in_full.is_ok(), fits);
    if let (Err(one), Err(other)) = (by_number, in_full) {
        for error in [one, other] {
            let error = error.to_string();
            assert!(error.contains("nested too deeply"), "{error}");
        }
    }
}
