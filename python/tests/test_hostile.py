"""Scripts that mean harm: the process lives, and the right exception is raised."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import moonfork
import pytest
from rust_cases import cases

SCRIPTS = {
    "an endless loop": ("while true do end", moonfork.TimeLimit),
    "a pattern": (
        "string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))",
        moonfork.TimeLimit,
    ),
    "an endless loop in a coroutine": (
        "coroutine.wrap(function() while true do end end)()",
        moonfork.TimeLimit,
    ),
    "an endless loop that catches everything": (
        "while true do pcall(function() while true do end end) end",
        moonfork.TimeLimit,
    ),
    "a finalizer": (
        "setmetatable({}, {__gc = function() while true do end end}) "
        "for i = 1, 1e9 do local t = {} end",
        moonfork.TimeLimit,
    ),
    "a long text": ("local s = 'x' while true do s = s .. s end", moonfork.MemoryLimit),
    "a huge repetition": ("return ('x'):rep(1 << 40)", moonfork.Error),
    "many tables": ("local t = {} while true do t[#t + 1] = {} end", moonfork.MemoryLimit),
    "recursion": ("local function f() return 1 + f() end f()", moonfork.Error),
    "recursion in C": (
        "local s = '' s = ('('):rep(300) string.find(s, s) "
        "local function f() return pcall(f) end f() error('end')",
        moonfork.Error,
    ),
    "a deep value": ("local t = {} for i = 1, 1e5 do t = {t} end return t", moonfork.ValueRefused),
    "a value that unfolds": (
        "local t = {'x'} for i = 1, 60 do t = {t, t} end return t",
        moonfork.ValueRefused,
    ),
    "the process": ("return os.execute('true')", moonfork.Error),
    "a file": ("return io.open('/etc/passwd')", moonfork.Error),
    "bytecode": ("return load('\\27Lua')()", moonfork.Error),
    "python": ("return python.eval('1')", moonfork.Error),
    "the debug library": ("return debug.getregistry()", moonfork.Error),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_process_lives(pool: moonfork.Pool, name: str) -> None:
    code, kind = SCRIPTS[name]
    alive = pool.live_count
    # Only what is to be stopped by the time limit has a short one.
    wall = 0.5 if kind is moonfork.TimeLimit else 10
    with pytest.raises(kind) as info:
        pool.run(code, wall=wall, memory="16MiB")
    pickle.loads(pickle.dumps(info.value))
    assert pool.run("return 1") == 1
    assert pool.live_count == alive


def test_output_is_bounded(pool: moonfork.Pool) -> None:
    with pool.branch(output=1000) as branch:
        branch.run("for i = 1, 10000 do print('text') end")
        report = branch.report
        assert len(report.output) <= 1000
        assert report.output_truncated
        assert report.output_bytes == 50_000


def test_strings_of_one_run_are_not_seen_by_the_next(pool: moonfork.Pool) -> None:
    pool.run("secret = ('marker'):rep(10000) string.secret = secret")
    assert pool.run("return {secret = secret, lib = string.secret}") == {}


def same(code: str) -> str:
    return code


@dataclass
class Attack:
    """A test of the library whose scripts mean harm: how they are run, and what comes of it."""

    file: str
    test: str
    #: What may be raised.
    kinds: tuple[type[moonfork.Error], ...]
    options: dict[str, Any] = field(default_factory=dict)
    #: What the test makes of a script before it is run.
    code: Callable[[str], str] = same
    #: Whether a script may come to its end.
    may_end: bool = False


def recursing(define: str) -> str:
    return f"{define}\ndeep()"


def loading(code: str) -> str:
    code = code.replace("load(", "return load(")
    return f"if (function() {code} end)() ~= nil then error('it is loaded') end"


MIB = 1 << 20
NOTHING: dict[str, Any] = {"functions": [], "modules": []}
#: What a script may fail with that is its own mistake, or a lack of memory.
OWN = (moonfork.ScriptError, moonfork.MemoryLimit)

ATTACKS = [
    Attack("escapes.rs", "bytecode_is_not_loaded", (), code=loading, may_end=True),
    Attack(
        "escapes.rs",
        "what_one_instance_changes_no_other_sees",
        (moonfork.ScriptError, moonfork.ValueRefused),
        may_end=True,
    ),
    Attack(
        "escapes.rs",
        "an_instance_turned_upside_down_still_answers",
        (moonfork.ScriptError, moonfork.ValueRefused),
        may_end=True,
    ),
    Attack("escapes.rs", "nothing_runs_on_after_a_kill", (moonfork.TimeLimit,), {"wall": 0.2}),
    Attack("escapes.rs", "the_collector_is_not_the_script_s", (moonfork.ScriptError,)),
    Attack(
        "escapes.rs",
        "memory_without_end_is_an_error",
        (*OWN, moonfork.ValueRefused),
        {"memory": 16 * MIB},
    ),
    Attack("denials.rs", "a_global_that_is_not_granted", (moonfork.Denied,), NOTHING),
    Attack("denials.rs", "what_merely_looks_like_it_with_nothing", (moonfork.ScriptError,)),
    Attack("error_values.rs", "a_hostile_tostring_is_an_error_like_others", (moonfork.ScriptError,)),
    Attack(
        "limits/calls.rs",
        "host_calls",
        (moonfork.CallLimit,),
        {"host_calls": 10},
        lambda code: code.replace("N", "12"),
    ),
    Attack(
        "limits/calls.rs",
        "depth_of_what_a_script_makes",
        (moonfork.ScriptError, moonfork.ValueRefused),
        {"depth": 8},
        lambda code: code.replace("N", "9"),
    ),
    Attack(
        "limits/fuel.rs", "a_script_beyond_it_is_stopped", (moonfork.FuelLimit,), {"fuel": 50_000_000}
    ),
    Attack(
        "limits/memory.rs",
        "a_script_beyond_it_gets_an_error_it_can_catch",
        OWN,
        {"memory": 8 * MIB},
    ),
    Attack("limits/wall.rs", "a_script_beyond_it_is_stopped", (moonfork.TimeLimit,), {"wall": 0.05}),
    Attack("limits/stack.rs", "recursion_without_end_is_an_error", OWN, code=recursing),
    Attack("tracebacks.rs", "recursion_without_end_is_a_stack_overflow", (moonfork.ScriptError,)),
]


def attacked(metered: bool) -> moonfork.Pool:
    return moonfork.Pool(
        functions={"add": lambda a, b: a + b, "nothing": lambda: None, "echo": lambda value: value},
        modules={"m": "return {}", "module1": "return require('module1')", "tax": "return {}"},
        metered=metered,
        # No slow machine runs out of it, where it isn't the limit that is tried.
        wall=600,
        max_branches=2,
    )


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.test)
def test_scripts_of_the_library_s_own_tests(attack: Attack) -> None:
    pool = attacked(metered="fuel" in attack.options)
    for name, script in cases(attack.file, attack.test).items():
        branch = pool.branch(**attack.options)
        try:
            branch.run(attack.code(script))
        except moonfork.Error as error:
            assert isinstance(error, attack.kinds), (name, error)
            back = pickle.loads(pickle.dumps(error))
            assert type(back) is type(error) and str(back) == str(error), name
            assert (back.code, back.line, back.report) == (error.code, error.line, error.report)
        else:
            assert attack.may_end, name
        if branch.is_live:
            assert branch.run("return 1 + 1") == 2, name
        branch.close()
        # Its place is free, and nothing of it is left for the next.
        assert pool.live_count == 0, name
        assert pool.run("return ('a'):rep(3) .. math.type(1) .. type(json.decode)") == (
            "aaaintegerfunction"
        ), name
