"""The 79 tests that The Edge Agent has for its Lua runtime, rewritten from what they assert: one case each.

59 are of the runtime itself (creation, values, conditions, what isn't there, nodes, timeouts, telling Lua
from Python, its engine, both of its editions alike), 20 of the isolation of runtimes from each other. Its
engine isn't here: a stand-in does what of it concerns the runtime. Times aren't asserted.
"""

from __future__ import annotations

import copy
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moonfork import tea
from moonfork.tea import (
    LUPA_AVAILABLE,
    LuaRuntime,
    LuaRuntimeError,
    LuaTimeoutError,
    detect_lua_code,
)

State = dict[str, Any]


class Engine:
    """How The Edge Agent's engine uses the runtime: the main thread keeps one, and every other thread
    gets a fresh one each time; code is Lua if it says so or looks like it, and Python otherwise."""

    def __init__(self, lua_enabled: bool = True, lua_timeout: float = 30.0) -> None:
        self.lua_enabled = lua_enabled
        self.lua_timeout = lua_timeout
        self._kept: LuaRuntime | None = None

    def runtime(self) -> LuaRuntime:
        if threading.current_thread() is not threading.main_thread():
            return LuaRuntime(timeout=self.lua_timeout)
        if self._kept is None:
            self._kept = LuaRuntime(timeout=self.lua_timeout)
        return self._kept

    def node(self, code: str, state: State) -> State:
        """The state that a node makes of `state`."""
        if self.lua_enabled and detect_lua_code(code):
            update: State = self.runtime().execute_node_code(code, state)
        else:
            names: State = {}
            exec(f"def node(state):\n{textwrap.indent(code, '  ')}", names)
            update = names["node"](state)
        return state | update

    def run(self, codes: list[str], state: State) -> State:
        """One node after the other."""
        for code in codes:
            state = self.node(code, state)
        return state

    def fan_out(self, codes: list[str], state: State) -> list[State]:
        """Each node on a thread and a copy of the state of its own: what became of them."""
        with ThreadPoolExecutor(len(codes)) as threads:
            return list(threads.map(lambda code: self.node(code, copy.deepcopy(state)), codes))


@pytest.fixture(scope="module")
def runtime() -> LuaRuntime:
    return LuaRuntime()


# The runtime: 59.


@pytest.mark.parametrize(("options", "timeout"), [({}, 30.0), ({"timeout": 5.0}, 5.0)])
def test_creation(options: Any, timeout: float) -> None:
    assert LuaRuntime(**options).timeout == timeout


LOOP = "local r = {} for i, v in ipairs(state.items) do r[i] = v .. '!' end return r"
SUM = "local sum = 0 for _, v in pairs(state) do sum = sum + v end return sum"


@pytest.mark.parametrize(
    ("code", "state", "expected"),
    [
        # Plain values.
        ("return state == nil", None, True),
        ("return state", None, None),
        ("return state", True, True),
        ("return state", False, False),
        ("return state + 1", 41, 42),
        ("return state * 2", 3.14, pytest.approx(6.28)),
        ('return state .. "!"', "hello", "hello!"),
        # Lists and dicts.
        ("return state[1] + state[2] + state[3]", [1, 2, 3], 6),
        ("return state.name", {"name": "test", "value": 42}, "test"),
        ("return state.value * 2", {"name": "test", "value": 42}, 84),
        ("return state.outer.inner", {"outer": {"inner": 123}}, 123),
        # Results.
        ("return {1, 2, 3}", {}, [1, 2, 3]),
        ('return {name = "test", value = 42}', {}, {"name": "test", "value": 42}),
        ("return {{1, 2}, {3, 4}}", {}, [[1, 2], [3, 4]]),
        (LOOP, {"items": ["a", "b", "c"]}, ["a!", "b!", "c!"]),
        # What is there.
        ('return string.upper("hello")', {}, "HELLO"),
        ("return math.floor(3.7)", {}, 3),
        ('t = {}; table.insert(t, "a"); return t', {}, ["a"]),
        (SUM, {"a": 1, "b": 2, "c": 3}, 6),
        # Its marker's test.
        ("return 1 + 1", {}, 2),
    ],
)
def test_values(runtime: LuaRuntime, code: str, state: Any, expected: Any) -> None:
    result = runtime.execute(code, state)
    assert result == expected
    assert isinstance(result, bool) == isinstance(expected, bool)


@pytest.mark.parametrize(
    ("expression", "state", "expected"),
    [
        ("state.status", {"status": "success"}, "success"),
        ('state.value > 5 and "high" or "low"', {"value": 10}, "high"),
        ("state.missing", {}, None),
        ("state.active", {"active": True}, "true"),
        ("state.active", {"active": False}, "false"),
        ("return state.status", {"status": "done"}, "done"),
    ],
)
def test_conditions(
    runtime: LuaRuntime, expression: str, state: State, expected: str | None
) -> None:
    assert runtime.eval_condition(expression, state) == expected


@pytest.mark.parametrize("name", ["os", "io", "debug", "loadfile", "dofile"])
def test_what_is_not_there(runtime: LuaRuntime, name: str) -> None:
    assert runtime.execute(f"return {name}", {}) is None


@pytest.mark.parametrize(
    ("code", "state", "update"),
    [
        (
            "local result = {} result.count = state.count + 1 result.doubled = state.count * 2 return result",
            {"count": 5},
            {"count": 6, "doubled": 10},
        ),
        ("local x = 1", {}, {}),
    ],
)
def test_nodes(runtime: LuaRuntime, code: str, state: State, update: State) -> None:
    assert runtime.execute_node_code(code, state) == update


ENDLESS = "while true do end"


def test_a_timeout_ends_a_loop() -> None:
    with pytest.raises(LuaTimeoutError):
        LuaRuntime(timeout=0.1).execute(ENDLESS, {})


def test_a_timeout_says_so() -> None:
    with pytest.raises(LuaTimeoutError, match="(?i)timeout"):
        LuaRuntime(timeout=0.05).execute(ENDLESS, {})


def test_a_timeout_ends_a_condition() -> None:
    with pytest.raises(LuaTimeoutError):
        LuaRuntime(timeout=0.1).eval_condition(f"(function() {ENDLESS} return 'x' end)()", {})


def test_a_timeout_ends_a_node() -> None:
    with pytest.raises(LuaTimeoutError):
        LuaRuntime(timeout=0.1).execute_node_code(ENDLESS, {})


def test_what_is_in_time_is_not_affected() -> None:
    assert LuaRuntime(timeout=5.0).execute("return state.value * 2", {"value": 42}) == 84


def test_a_runtime_recovers_from_a_timeout() -> None:
    runtime = LuaRuntime(timeout=0.1)
    with pytest.raises(LuaTimeoutError):
        runtime.execute(ENDLESS, {})
    assert runtime.execute("return 1 + 1", {}) == 2


@pytest.mark.parametrize(
    "code",
    [
        "-- lua\nreturn 1",
        "--lua\nreturn 1",
        "local x = 1",
        "if x then end",
        "function f() end",
        "if x then y elseif z then w end",
        "a = b .. c",
    ],
)
def test_lua_is_known(code: str) -> None:
    assert detect_lua_code(code) is True


def test_python_is_known() -> None:
    for code in ("x = 1", "return x", "def func(): pass"):
        assert detect_lua_code(code) is False


COUNTING = "local r = {} r.count = state.count + 1 r.doubled = state.count * 2 return r"


@pytest.mark.parametrize(
    ("lua_enabled", "code", "state", "update"),
    [
        (False, 'return {"result": state["value"] * 2}', {"value": 21}, {"result": 42}),
        (
            True,
            "-- lua\nlocal result = {}\nresult.result = state.value * 2\nreturn result",
            {"value": 21},
            {"result": 42},
        ),
        (True, COUNTING, {"count": 5}, {"count": 6, "doubled": 10}),
        (
            True,
            'result = state["value"] * 3\nreturn {"result": result}',
            {"value": 10},
            {"result": 30},
        ),
    ],
)
def test_an_engine(lua_enabled: bool, code: str, state: State, update: State) -> None:
    assert Engine(lua_enabled).run([code], state) == state | update


def test_it_says_that_it_is_there() -> None:
    assert LUPA_AVAILABLE is True


def test_nothing_has_to_be_installed() -> None:
    tea._ensure_lupa_installed()


def test_a_workflow_gives_what_it_gives_in_all_editions() -> None:
    nodes = [
        "-- lua\nreturn {result_math = state.number * 2 + 10}",
        "-- lua\nreturn {result_string = string.upper(state.text) .. '!'}",
        "-- lua\nlocal all = {} for i, v in ipairs(state.list) do all[i] = v * 2 end "
        "return {result_array = all}",
        "-- lua\nlocal o = state.object "
        "return {result_object = {name = o.name, count = o.count + 1, doubled = o.count * 2}}",
        "-- lua\nif state.number > 50 then return {result_conditional = 'high'} "
        "elseif state.number > 25 then return {result_conditional = 'medium'} "
        "else return {result_conditional = 'low'} end",
    ]
    state: State = {
        "number": 30,
        "text": "hello",
        "list": [1, 2, 3],
        "object": {"name": "test", "count": 5},
    }
    assert Engine().run(nodes, state) == state | {
        "result_math": 70,
        "result_string": "HELLO!",
        "result_array": [2, 4, 6],
        "result_object": {"name": "test", "count": 6, "doubled": 10},
        "result_conditional": "medium",
    }


def test_values_are_the_same_in_all_editions(runtime: LuaRuntime) -> None:
    for value in (None, True, False, 42, 3.14, "hello", [1, 2, 3], {"key": "value"}):
        assert runtime.execute("return state", value) == value


def test_what_is_there_is_the_same_in_all_editions(runtime: LuaRuntime) -> None:
    for name in ("os", "io", "debug", "loadfile", "dofile"):
        assert runtime.execute(f"return {name}", {}) is None
    for name in ("string", "math", "table"):
        assert runtime.execute(f"return type({name})", {}) == "table"
    for name in ("pairs", "ipairs"):
        assert runtime.execute(f"return type({name})", {}) == "function"


def test_conditions_are_the_same_in_all_editions(runtime: LuaRuntime) -> None:
    for state, said in (
        ({"it": "success"}, "success"),
        ({"it": True}, "true"),
        ({"it": False}, "false"),
        ({}, None),
    ):
        assert runtime.eval_condition("state.it", state) == said


# Isolation: 20.


def test_two_runtimes_are_independent() -> None:
    one, other = LuaRuntime(), LuaRuntime()
    one.execute("test_global = 'of one'", {})
    assert other.execute("return test_global", {}) is None


def test_five_runtimes_each_keep_their_own() -> None:
    runtimes = [LuaRuntime() for _ in range(5)]
    for number, runtime in enumerate(runtimes):
        runtime.execute(f"my_id = {number}", {})
    assert [runtime.execute("return my_id", {}) for runtime in runtimes] == list(range(5))


def test_a_global_does_not_leak() -> None:
    LuaRuntime().execute("leaked_global = 123", {})
    assert LuaRuntime().execute("return leaked_global", {}) is None


def test_several_globals_do_not_leak() -> None:
    LuaRuntime().execute("var_a = 'hello' var_b = 42 var_c = true", {})
    results = LuaRuntime().execute("return {a = var_a, b = var_b, c = var_c}", {})
    assert [results.get(name) for name in "abc"] == [None] * 3


def test_a_function_does_not_leak() -> None:
    LuaRuntime().execute("function helper() return 42 end", {})
    with pytest.raises(LuaRuntimeError):
        LuaRuntime().execute("return helper()", {})


def test_a_closure_does_not_leak() -> None:
    runtime = LuaRuntime()
    runtime.execute("local secret = 'hidden' function reveal() return secret end", {})
    assert runtime.execute("return reveal()", {}) == "hidden"
    with pytest.raises(LuaRuntimeError):
        LuaRuntime().execute("return reveal()", {})


@pytest.mark.parametrize(("name", "values"), [("value", (10, 20)), ("x", (1, 999))])
def test_each_call_sees_its_own_state(
    runtime: LuaRuntime, name: str, values: tuple[int, int]
) -> None:
    for value in values:
        assert runtime.execute(f"return state.{name}", {name: value}) == value


def test_the_main_thread_keeps_its_runtime() -> None:
    engine = Engine()
    assert engine.runtime() is engine.runtime()


def test_making_runtimes_again_and_again() -> None:
    # It asserts that one takes less than 10 ms: benches/compare.py shows what it takes.
    assert len({id(runtime) for runtime in [LuaRuntime() for _ in range(10)]}) == 10


def test_other_threads_get_fresh_runtimes() -> None:
    engine = Engine()
    with ThreadPoolExecutor(3) as threads:
        runtimes = list(threads.map(lambda _: engine.runtime(), range(3)))
    assert all(runtime is not engine.runtime() for runtime in runtimes)


def test_branches_do_not_share_globals() -> None:
    codes = [f"-- lua\nmarker = 'from_{it}' return {{branch = '{it}', marker = marker}}" for it in "ab"]
    states = Engine().fan_out(codes, {})
    assert [state["marker"] for state in states] == ["from_a", "from_b"]


def test_branches_do_not_share_functions() -> None:
    codes = [
        "-- lua\nfunction of_a() return 'a' end return {has = true}",
        "-- lua\nreturn {sees = of_a ~= nil}",
    ]
    assert Engine().fan_out(codes, {})[1]["sees"] is False


def test_branches_have_copies_of_the_state() -> None:
    codes = [
        f"-- lua\nlocal val = state.initial state.initial = 0 return {{saw = val, made = val + {more}}}"
        for more in (100, 200)
    ]
    states = Engine().fan_out(codes, {"initial": 42})
    assert [(state["saw"], state["made"]) for state in states] == [(42, 142), (42, 242)]


def test_nodes_one_after_the_other() -> None:
    codes = ["-- lua\nreturn {value = state.value + 10}", "-- lua\nreturn {value = state.value * 2}"]
    assert Engine().run(codes, {"value": 5})["value"] == 30


def test_nothing_leaks_from_branch_to_branch() -> None:
    codes = [
        "-- lua\nvar = 'A' function func() return 'A' end tab = {origin = 'A'} return {set = true}",
        "-- lua\nreturn {seen = var ~= nil or func ~= nil or tab ~= nil}",
    ]
    assert Engine().fan_out(codes, {})[1]["seen"] is False


def test_an_engine_has_its_settings() -> None:
    engine = Engine(lua_enabled=True, lua_timeout=30.0)
    assert engine.lua_enabled and engine.runtime().timeout == 30.0
    assert engine.run(['return {"ok": True}'], {}) == {"ok": True}


def test_many_threads_read_back_their_own() -> None:
    engine, barrier = Engine(), threading.Barrier(10)

    def work(number: int) -> bool:
        runtime = engine.runtime()
        runtime.execute(f"worker_id = {number}", {})
        # All ten have written before any reads.
        barrier.wait(timeout=60)
        return bool(runtime.execute("return worker_id", {}) == number)

    with ThreadPoolExecutor(10) as threads:
        assert all(threads.map(work, range(20)))


def test_fifty_times_no_thread_gets_the_main_one() -> None:
    for _ in range(50):
        engine = Engine()
        with ThreadPoolExecutor(5) as threads:
            runtimes = list(threads.map(lambda _: engine.runtime(), range(5)))
        assert all(runtime is not engine.runtime() for runtime in runtimes)


def test_engines_made_on_other_threads_tell_their_threads_apart() -> None:
    def work(_: int) -> int:
        engine = Engine()
        with ThreadPoolExecutor(3) as threads:
            return len({id(it) for it in list(threads.map(lambda _: engine.runtime(), range(3)))})

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, range(20))) == [3] * 20
