"""Scripts that mean harm: the process lives, and the right exception is raised."""

from __future__ import annotations

import pickle

import moonfork
import pytest

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
