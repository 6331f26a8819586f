"""Times this package beside lupa, the way The Edge Agent uses it, quickjs and wasmtime.

    python -m pip install lupa==2.8 quickjs wasmtime
    python python/benches/compare.py            # about a minute; --quick for a look

All in one run and one process, in turn, in many short rounds. The table has medians of the rounds, and
as ratio the median of the rounds' ratios. What isn't installed is left out, and said so. The package
has to be a release build, as pip makes it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import moonfork
from moonfork.tea import LuaRuntime

ROWS = [{"id": n, "name": f"item {n}", "price": n + 0.25} for n in range(1000)]
NODE = "return {total = #state.rows}"
BACK = "return {rows = state.rows}"
WORK = "local s = 0 for i = 1, 2000000 do s = s + i % 7 end return s"

Subject = Callable[[], Any]


def lupa_module() -> Any:
    """lupa's Lua 5.4, which is the same language; None where it isn't installed."""
    try:
        return importlib.import_module("lupa.lua54")
    except ImportError:
        return None


class AsTheEdgeAgent:
    """Lua as The Edge Agent's engine has it: a runtime of lupa's with a count hook that looks at
    the time, and a walk over each value on its way in and out. Written from its description."""

    def __init__(self, lua: Any, timeout: float = 30.0) -> None:
        self.timeout = timeout
        self.lua = lua.LuaRuntime(unpack_returned_tuples=True)
        self.is_table: Callable[[Any], bool] = lambda value: lua.lua_type(value) == "table"
        self.set_hook = self.lua.eval("debug.sethook")
        self.until = 0.0
        self.lua.globals()["is_late"] = self.is_late
        for name in ("os", "io", "loadfile", "dofile", "debug"):
            self.lua.globals()[name] = None
        self.lock = threading.Lock()

    def is_late(self) -> bool:
        return time.time() >= self.until

    def to_lua(self, value: Any) -> Any:
        if isinstance(value, list):
            table = self.lua.table()
            for index, item in enumerate(value, 1):
                table[index] = self.to_lua(item)
            return table
        if isinstance(value, dict):
            table = self.lua.table()
            for key, item in value.items():
                table[key] = self.to_lua(item)
            return table
        return value

    def from_lua(self, value: Any) -> Any:
        if not self.is_table(value):
            if isinstance(value, float) and value.is_integer():
                return int(value)
            return value
        keys = list(value.keys())
        if keys and all(isinstance(key, int) and key > 0 for key in keys):
            return [self.from_lua(value[index]) for index in range(1, max(keys) + 1)]
        return {str(key): self.from_lua(value[key]) for key in keys}

    def execute_node_code(self, code: str, state: dict[str, Any]) -> Any:
        with self.lock:
            self.until = time.time() + self.timeout
            # Made anew for each call, as it is there.
            hook = self.lua.eval("function() if is_late() then error('execution timeout') end end")
            self.set_hook(hook, "", 1000)
            try:
                function = self.lua.eval(f"function(...) local state = ... {code} end")
                return self.from_lua(function(self.to_lua(state)))
            finally:
                self.set_hook(None)


def timed(subject: Subject, seconds: float) -> float:
    """Seconds for one call, over a slice of about `seconds`. The clock is read once in many calls."""
    batch = 1
    while True:
        began = time.perf_counter()
        for _ in range(batch):
            subject()
        taken = time.perf_counter() - began
        if taken >= seconds / 2:
            return taken / batch
        # At least twice as many, and about as many as fill the slice.
        batch = max(2 * batch, int(batch * seconds / max(taken, 1e-9) / 2))


def shown(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds / 1e-9:.0f} ns"


class Table:
    """Rows of a Markdown table, printed as they come."""

    def __init__(self, rounds: int, slice_: float) -> None:
        self.rounds = rounds
        self.slice = slice_
        print("| what | moonfork | beside | its time | ratio | goal |")
        print("| --- | --- | --- | --- | --- | --- |")

    def row(self, *cells: str) -> None:
        print("|", " | ".join(cells), "|", flush=True)

    def times(self, what: str, ours: Subject, others: dict[str, tuple[Subject, str]]) -> None:
        """A row for each of the others, by name, with the goal for the ratio to it."""
        subjects = [ours, *(subject for subject, _ in others.values())]
        for subject in subjects:
            subject()
        rounds = [[timed(subject, self.slice) for subject in subjects] for _ in range(self.rounds)]
        mine = shown(statistics.median(times[0] for times in rounds))
        for position, (name, (_, goal)) in enumerate(others.items(), 1):
            its = shown(statistics.median(times[position] for times in rounds))
            ratio = statistics.median(times[0] / times[position] for times in rounds)
            self.row(what, mine, name, its, f"{ratio:.3f}", goal)
        if not others:
            self.row(what, mine, "", "", "", "")


def two_threads(work: Subject) -> float:
    """How many times as much two threads do as one, in the same time."""

    def run(threads: int) -> float:
        began = time.perf_counter()
        workers = [threading.Thread(target=lambda: [work() for _ in range(8)]) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return threads / (time.perf_counter() - began)

    run(1)
    pairs = [(run(1), run(2)) for _ in range(5)]
    return statistics.median(two / one for one, two in pairs)


INTERRUPTED = """
import moonfork, os, signal, threading, time
sent = []
def begin():
    def send():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=send).start()
pool = moonfork.Pool(functions={"begin": begin}, wall=60)
try:
    pool.run("begin() string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))")
except KeyboardInterrupt:
    print(time.perf_counter() - sent[0])
"""


def ctrl_c() -> float:
    """Seconds from the signal to the exception, in the middle of a pattern: the worst of ten."""
    worst = 0.0
    for _ in range(10):
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True
        )
        worst = max(worst, float(done.stdout))
    return worst


def quickjs_once() -> Subject | None:
    """A fresh context of QuickJS and its 1 + 1."""
    try:
        quickjs: Any = importlib.import_module("quickjs")
    except ImportError:
        return None
    return lambda: quickjs.Context().eval("1 + 1")


def wasmtime_once() -> Subject | None:
    """A fresh instance of the smallest module that adds 1 to 1, as wasmtime's own package makes it."""
    try:
        wasmtime: Any = importlib.import_module("wasmtime")
    except ImportError:
        return None
    engine = wasmtime.Engine()
    text = '(module (func (export "f") (result i32) i32.const 1 i32.const 1 i32.add))'
    module = wasmtime.Module(engine, text)

    def once() -> Any:
        store = wasmtime.Store(engine)
        instance = wasmtime.Instance(store, module, [])
        return instance.exports(store)["f"](store)

    return once


def main() -> None:
    parser = argparse.ArgumentParser(description="Times this package beside others.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    quick = parser.parse_args().quick
    lua = lupa_module()
    quickjs, wasmtime = quickjs_once(), wasmtime_once()
    for name, package in (("lupa", lua), ("quickjs", quickjs), ("wasmtime", wasmtime)):
        if package is None:
            print(f"left out, since it isn't installed: {name}")
    print(f"moonfork {moonfork.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} cores\n")
    table = Table(*(5, 0.02) if quick else (21, 0.05))

    pool = moonfork.Pool()
    others: dict[str, tuple[Subject, str]] = {}
    if lua is not None:
        others["lupa"] = (lambda: lua.LuaRuntime().execute("return 1 + 1"), "0.3")
    if quickjs is not None:
        others["quickjs"] = (quickjs, "")
    if wasmtime is not None:
        others["wasmtime, an empty module"] = (wasmtime, "")
    table.times("a fresh sandbox and 1 + 1", lambda: pool.run("return 1 + 1"), others)

    branch = pool.branch()
    branch.run("function add(a, b) return a + b end")
    plugged = LuaRuntime()
    state = {"rows": ROWS}
    rows = f"1,000 rows ({len(json.dumps(state, separators=(',', ':'))) / 1000:.0f} KB) in and out"
    if lua is not None:
        few = {"rows": [1]}
        tea = "The Edge Agent"
        theirs: Subject = lambda: AsTheEdgeAgent(lua).execute_node_code(NODE, few)  # noqa: E731
        table.times(
            "a fresh runtime and a node's code",
            lambda: pool.run(NODE, few),
            {tea: (theirs, "0.15")},
        )
        table.times(
            "the same by moonfork.tea",
            lambda: LuaRuntime().execute_node_code(NODE, few),
            {tea: (theirs, "0.15")},
        )
        kept = AsTheEdgeAgent(lua)
        assert kept.execute_node_code(BACK, state) == branch.run(BACK, state)
        table.times(
            rows,
            lambda: branch.run(BACK, state),
            {tea: (lambda: kept.execute_node_code(BACK, state), "0.3")},
        )
        table.times(
            "the same by moonfork.tea",
            lambda: plugged.execute_node_code(BACK, state),
            {tea: (lambda: kept.execute_node_code(BACK, state), "0.3")},
        )
        add = lua.LuaRuntime().eval("function(a, b) return a + b end")
        # Both as a loop would have it, which looks for what it calls once.
        call = branch.call
        table.times("a warm call", lambda: call("add", 1, 2), {"lupa": (lambda: add(1, 2), "2")})
    else:
        table.times("a fresh instance and a node's code", lambda: pool.run(NODE, {"rows": [1]}), {})
        table.times(rows, lambda: branch.run(BACK, state), {})
        table.times("a warm call", lambda: branch.call("add", 1, 2), {})
    both = f"{two_threads(lambda: pool.run(WORK)):.2f}"
    beside = ("", "") if lua is None else (
        "lupa", f"{two_threads(lambda: lua.LuaRuntime().execute(WORK)):.2f}"
    )
    table.row("work of two threads to that of one", both, *beside, "", "2 on idle cores")
    if os.name == "posix":
        worst = f"{1000 * ctrl_c():.1f} ms"
        table.row("Ctrl-C in a pattern, the worst of ten", worst, "", "", "", "50 ms")


if __name__ == "__main__":
    main()
