"""The runtime of The Edge Agent as a drop-in: what its own tests assert, and what is better."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moonfork.tea import (
    LUPA_AVAILABLE,
    LuaRuntime,
    LuaRuntimeError,
    LuaTimeoutError,
    detect_lua_code,
)


@pytest.fixture(scope="module")
def runtime() -> LuaRuntime:
    return LuaRuntime()


def test_the_timeout_is_given_or_30_seconds() -> None:
    assert LuaRuntime().timeout == 30.0
    assert LuaRuntime(timeout=5.0).timeout == 5.0
    assert repr(LuaRuntime(timeout=5.0)) == "LuaRuntime(timeout=5.0)"
    assert LUPA_AVAILABLE is True


@pytest.mark.parametrize(
    ("code", "state", "expected"),
    [
        ("return state == nil", None, True),
        ("return state", None, None),
        ("return state", True, True),
        ("return state", False, False),
        ("return state", 42, 42),
        ("return state + 1", 41, 42),
        ("return state", "hello", "hello"),
        ('return state .. "!"', "hello", "hello!"),
        ("return state", [1, 2, 3], [1, 2, 3]),
        ("return state[1] + state[2] + state[3]", [1, 2, 3], 6),
        ("return state.name", {"name": "test"}, "test"),
        ("return state.value * 2", {"value": 42}, 84),
        ("return state.outer.inner", {"outer": {"inner": 123}}, 123),
        ("return {1, 2, 3}", {}, [1, 2, 3]),
        ('return {name = "test", value = 42}', {}, {"name": "test", "value": 42}),
        ("return {{1, 2}, {3, 4}}", {}, [[1, 2], [3, 4]]),
        ('return string.upper("hello")', {}, "HELLO"),
        ("return math.floor(3.7)", {}, 3),
        ('t = {} table.insert(t, "a") return t', {}, ["a"]),
        ("return 1 + 1", {}, 2),
        ("return type(pairs) .. type(ipairs)", {}, "functionfunction"),
        ("return type(string) .. type(math) .. type(table)", {}, "tabletabletable"),
        # Its rules for values.
        ("return 6 / 2", {}, 3),
        ("return state", 3.0, 3),
        ("return 1, nil, 3", {}, (1, None, 3)),
        ("return nil, nil", {}, (None, None)),
        ("return", {}, None),
        ("return {a = nil, b = 1}", {}, {"b": 1}),
        ("return state", {"a": None, "b": [1, None, 3]}, {"b": [1, None, 3]}),
        ("return {1, 2, x = 3}", {}, {"1": 1, "2": 2, "x": 3}),
        ("return {}", {}, {}),
        ("return state.when", {"when": complex(1, 2)}, "(1+2j)"),
        ("return state.t", {"t": (1, 2)}, [1, 2]),
    ],
)
def test_values(runtime: LuaRuntime, code: str, state: Any, expected: Any) -> None:
    result = runtime.execute(code, state)
    assert result == expected
    assert type(result) is type(expected)


def test_a_float_stays_one(runtime: LuaRuntime) -> None:
    assert runtime.execute("return state * 2", 3.14) == pytest.approx(6.28)
    assert type(runtime.execute("return 1e300", {})) is int


def test_loops_over_lists_and_mappings(runtime: LuaRuntime) -> None:
    code = "local r = {} for i, v in ipairs(state.items) do r[i] = v .. '!' end return r"
    assert runtime.execute(code, {"items": ["a", "b", "c"]}) == ["a!", "b!", "c!"]
    code = "local sum = 0 for _, v in pairs(state) do sum = sum + v end return sum"
    assert runtime.execute(code, {"a": 1, "b": 2, "c": 3}) == 6


@pytest.mark.parametrize(
    ("expression", "state", "expected"),
    [
        ("state.status", {"status": "success"}, "success"),
        ("return state.status", {"status": "done"}, "done"),
        ("state.value > 10 and 'high' or 'low'", {"value": 15}, "high"),
        ("state.missing", {}, None),
        ("state.active", {"active": True}, "true"),
        ("state.active", {"active": False}, "false"),
    ],
)
def test_conditions(
    runtime: LuaRuntime, expression: str, state: Any, expected: str | None
) -> None:
    assert runtime.eval_condition(expression, state) == expected


def test_a_condition_that_is_a_number_is_an_error(runtime: LuaRuntime) -> None:
    with pytest.raises(LuaRuntimeError, match="got: int"):
        runtime.eval_condition("5", {})


@pytest.mark.parametrize("name", ["os", "io", "debug", "loadfile", "dofile", "python"])
def test_what_is_dangerous_is_not_there(runtime: LuaRuntime, name: str) -> None:
    assert runtime.execute(f"return {name}", {}) is None


def test_the_code_of_a_node(runtime: LuaRuntime) -> None:
    code = "local n = state.count + 1\nreturn {count = n, doubled = n * 2 - 2}"
    assert runtime.execute_node_code(code, {"count": 5}) == {"count": 6, "doubled": 10}
    assert runtime.execute_node_code("local x = 1", {}) == {}
    assert runtime.execute_node_code("return 5", {}) == {"result": 5}
    assert runtime.execute_node_code("return 1, 2", {}) == {"result": (1, 2)}


@pytest.mark.parametrize(
    "call",
    [
        lambda runtime: runtime.execute("while true do end", {}),
        lambda runtime: runtime.eval_condition("(function() while true do end end)()", {}),
        lambda runtime: runtime.execute_node_code("while true do end", {}),
        # These three its own timeout never ends.
        lambda runtime: runtime.execute(
            "return string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))", {}
        ),
        lambda runtime: runtime.execute("coroutine.wrap(function() while true do end end)()", {}),
        lambda runtime: runtime.execute(
            "while true do pcall(function() while true do end end) end", {}
        ),
    ],
)
def test_a_timeout_ends_it_and_the_runtime_recovers(call: Any) -> None:
    runtime = LuaRuntime(timeout=0.1)
    with pytest.raises(LuaTimeoutError, match="timeout"):
        call(runtime)
    assert runtime.execute("return 1 + 1", {}) == 2
    assert runtime.execute("return state.value * 2", {"value": 42}) == 84


@pytest.mark.parametrize(
    "code", ["return nosuch.field", "error('boom')", "return ((", "error({code = 1})"]
)
def test_errors_are_of_its_class(runtime: LuaRuntime, code: str) -> None:
    with pytest.raises(LuaRuntimeError):
        runtime.execute(code, {})
    with pytest.raises(LuaRuntimeError):
        runtime.execute_node_code(code, {})


def test_lines_are_those_of_the_code(runtime: LuaRuntime) -> None:
    with pytest.raises(LuaRuntimeError, match=":2: boom"):
        runtime.execute_node_code("local x = 1\nerror('boom')", {})


@pytest.mark.parametrize(
    ("code", "is_lua"),
    [
        ("-- lua\nreturn 1", True),
        ("--lua\nreturn 1", True),
        ("local x = 1", True),
        ("if x then end", True),
        ("function f() end", True),
        ("if x then y elseif z then w end", True),
        ("a = b .. c", True),
        ("x = 1", False),
        ("return x", False),
        ("def func(): pass", False),
    ],
)
def test_lua_is_told_from_python(code: str, is_lua: bool) -> None:
    assert detect_lua_code(code) is is_lua


def test_globals_last_in_one_runtime_and_reach_no_other() -> None:
    one, other = LuaRuntime(), LuaRuntime()
    one.execute("my_global = 42 function f() return my_global end up = (function() local n = 0 "
                "return function() n = n + 1 return n end end)()", {})
    assert one.execute("return f()", {}) == 42
    assert one.execute("up() return up()", {}) == 2
    assert other.execute("return my_global", {}) is None
    for call in ("f()", "up()"):
        with pytest.raises(LuaRuntimeError):
            other.execute(f"return {call}", {})


def test_five_runtimes_each_keep_their_own() -> None:
    runtimes = [LuaRuntime() for _ in range(5)]
    for number, runtime in enumerate(runtimes):
        runtime.execute(f"my_id = {number}", {})
    assert [runtime.execute("return my_id", {}) for runtime in runtimes] == list(range(5))


def test_each_call_sees_its_own_state(runtime: LuaRuntime) -> None:
    assert runtime.execute("return state.value", {"value": "first"}) == "first"
    assert runtime.execute("return state.value", {"value": "second"}) == "second"
    assert runtime.execute("return state.other", {"value": 1}) is None


def test_many_threads_with_runtimes_of_their_own() -> None:
    barrier = threading.Barrier(10)

    def work(number: int) -> tuple[int, Any]:
        runtime = LuaRuntime()
        if number < 10:
            barrier.wait(timeout=60)
        runtime.execute(f"branch_id = {number}", {})
        return number, runtime.execute("return branch_id", {})

    with ThreadPoolExecutor(10) as threads:
        assert all(own == seen for own, seen in threads.map(work, range(20)))


def test_threads_take_turns_on_one_runtime(runtime: LuaRuntime) -> None:
    runtime.execute("count = 0", {})
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: runtime.execute("count = count + 1", {}), range(100)))
    assert runtime.execute("return count", {}) == 100


STAND_IN = """
import sys, types
package = types.ModuleType("the_edge_agent"); package.__path__ = []
before = types.ModuleType("the_edge_agent.lua_runtime")
class LuaRuntime: pass
class LuaRuntimeError(Exception): pass
before.LuaRuntime, before.LuaRuntimeError = LuaRuntime, LuaRuntimeError
engine = types.ModuleType("the_edge_agent.yaml_engine")
engine.LuaRuntime = LuaRuntime
package.lua_runtime = before
for module in (package, before, engine):
    sys.modules[module.__name__] = module
import moonfork.tea
moonfork.tea.use()
moonfork.tea.use()
from the_edge_agent.lua_runtime import LuaRuntime as now, LuaRuntimeError as error
assert now is moonfork.tea.LuaRuntime and error is moonfork.tea.LuaRuntimeError
assert engine.LuaRuntime is now and package.lua_runtime.LuaRuntime is now
print(now().execute("return 1", {}))
"""


def test_it_takes_the_place_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", STAND_IN], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
