"""The runtime of The Edge Agent as a drop-in: what its own tests (test_tea_own.py) don't assert, and what
is better."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from moonfork.tea import LuaRuntime, LuaRuntimeError, LuaTimeoutError


@pytest.fixture(scope="module")
def runtime() -> LuaRuntime:
    return LuaRuntime()


def test_it_shows_its_timeout() -> None:
    assert repr(LuaRuntime(timeout=5.0)) == "LuaRuntime(timeout=5.0)"


@pytest.mark.parametrize(
    ("code", "state", "expected"),
    [
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


def test_a_condition_that_is_a_number_is_an_error(runtime: LuaRuntime) -> None:
    with pytest.raises(LuaRuntimeError, match="got: int"):
        runtime.eval_condition("5", {})


def test_nothing_of_python_is_there(runtime: LuaRuntime) -> None:
    assert runtime.execute("return python", {}) is None


def test_what_a_node_returns_is_a_mapping(runtime: LuaRuntime) -> None:
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


@pytest.mark.parametrize(
    ("code", "state", "kept"),
    [
        ("kept = 1 return oops(", None, None),
        ("kept = 1 load, error, table = nil, nil, nil kept.field.none = 1", None, 1),
        ("kept = 1 return print", None, 1),
        ("kept = 1", {"value": 2**70}, None),
    ],
)
@pytest.mark.parametrize("method", ["execute", "execute_node_code"])
def test_a_first_call_that_fails_leaves_a_runtime_that_works(
    method: str, code: str, state: Any, kept: int | None
) -> None:
    runtime = LuaRuntime()
    with pytest.raises(LuaRuntimeError):
        getattr(runtime, method)(code, state)
    assert runtime.execute("return state.n", {"n": 1}) == 1
    assert runtime.execute_node_code("return {n = state.n}", {"n": 2}) == {"n": 2}
    assert runtime.execute("return kept") == kept


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
