"""Times this package beside lupa, the way The Edge Agent uses it, quickjs and wasmtime.

    python -m pip install lupa==2.8 quickjs wasmtime
    python python/benches/compare.py            # about a minute; --quick for a look

All in one run and one process, in turn, in many short rounds; a ratio is the median of the rounds'
ratios. What isn't installed is left out, and said so. The package has to be a release build, as pip
makes it.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import moonfork

ROWS = [{"id": n, "name": f"item {n}", "price": n + 0.25, "tags": ["a", "b"]} for n in range(1000)]
NODE = "return {total = #state.rows}"
BACK = "return {rows = state.rows}"
WORK = "local s = 0 for i = 1, 2000000 do s = s + i % 7 end return s"

Subject = Callable[[], Any]


def lupa_module() -> Any:
    """lupa's Lua 5.4, which is the same language; None where it isn't installed."""
    try:
        from lupa import lua54
    except ImportError:
        return None
    return lua54


class AsTheEdgeAgent:
    """Lua as The Edge Agent's engine has it: a runtime of lupa's with a count hook that looks at
    the time, and a walk over each value on its way in and out. Written from its description."""

    def __init__(self, lua: Any, timeout: float = 30.0) -> None:
        self.timeout = timeout
        self.lua = lua.LuaRuntime(unpack_returned_tuples=True)
        self.is_table = lambda value: lua.lua_type(value) == "table"
        self.set_hook = self.lua.eval("debug.sethook")
        self.hook = self.lua.eval(
            "function(late) return function() if late() then error('execution timeout') end end end"
        )(self.is_late)
        self.until = 0.0
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
            self.set_hook(self.hook, "", 1000)
            try:
                function = self.lua.eval(f"function(...) local state = ... {code} end")
                return self.from_lua(function(self.to_lua(state)))
            finally:
                self.set_hook(None)


def timed(subject: Subject, seconds: float) -> float:
    """Seconds for one call, over a slice of about `seconds`."""
    count, began = 0, time.perf_counter()
    while True:
        subject()
        count += 1
        taken = time.perf_counter() - began
        if taken >= seconds:
            return taken / count


def shown(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds / 1e-9:.0f} ns"


def row(
    what: str, ours: Subject, others: dict[str, Subject], rounds: int, slice_: float, goal: str
) -> None:
    """Prints one row: medians, and the ratio to each of the others."""
    names = ["moonfork", *others]
    subjects = [ours, *others.values()]
    for subject in subjects:
        subject()
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, subject in zip(names, subjects):
            times[name].append(timed(subject, slice_))
    cells = [f"{what}: {shown(statistics.median(times['moonfork']))}"]
    for name in others:
        ratios = [mine / other for mine, other in zip(times["moonfork"], times[name])]
        cells.append(
            f"{name} {shown(statistics.median(times[name]))} (ratio {statistics.median(ratios):.3f})"
        )
    print("; ".join(cells) + (f"; goal: {goal}" if goal else ""), flush=True)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    quick = parser.parse_args().quick
    rounds, slice_ = (5, 0.02) if quick else (21, 0.05)
    print(f"moonfork {moonfork.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} cores")

    lua = lupa_module()
    if lua is None:
        print("left out: lupa and The Edge Agent's way with it (python -m pip install lupa==2.8)")
    pool = moonfork.Pool()
    branch = pool.branch()
    branch.run("function add(a, b) return a + b end")
    state = {"rows": ROWS}

    others: dict[str, Subject] = {}
    if lua is not None:
        others["lupa"] = lambda: lua.LuaRuntime().execute("return 1 + 1")
    try:
        import quickjs
    except ImportError:
        print("left out: quickjs")
    else:
        others["quickjs"] = lambda: quickjs.Context().eval("1 + 1")
    try:
        import wasmtime
    except ImportError:
        print("left out: wasmtime")
    else:
        engine = wasmtime.Engine()
        text = '(module (func (export "f") (result i32) i32.const 1 i32.const 1 i32.add))'
        module = wasmtime.Module(engine, text)

        def bare() -> Any:
            store = wasmtime.Store(engine)
            instance = wasmtime.Instance(store, module, [])
            return instance.exports(store)["f"](store)

        others["wasmtime, an empty module"] = bare
    row(
        "fresh sandbox and 1 + 1",
        lambda: pool.run("return 1 + 1"),
        others,
        rounds,
        slice_,
        "at most 0.3 of lupa's",
    )
    if lua is not None:
        row(
            "fresh runtime and a node's code",
            lambda: pool.run(NODE, {"rows": [1]}),
            {"as The Edge Agent": lambda: AsTheEdgeAgent(lua).execute_node_code(NODE, {"rows": [1]})},
            rounds,
            slice_,
            "at most 0.15",
        )
        kept = AsTheEdgeAgent(lua)
        assert kept.execute_node_code(BACK, state)["rows"][2]["name"] == "item 2"
        row(
            "1,000 rows in and out",
            lambda: branch.run(BACK, state),
            {"as The Edge Agent": lambda: kept.execute_node_code(BACK, state)},
            rounds,
            slice_,
            "at most 0.3",
        )
        add = lua.LuaRuntime().eval("function(a, b) return a + b end")
        row(
            "warm call",
            lambda: branch.call("add", 1, 2),
            {"lupa": lambda: add(1, 2)},
            rounds,
            slice_,
            "at most 2",
        )
    both = [f"two threads do {two_threads(lambda: pool.run(WORK)):.2f} times as much as one"]
    if lua is not None:
        both.append(f"lupa {two_threads(lambda: lua.LuaRuntime().execute(WORK)):.2f}")
    print("; ".join(both))
    if hasattr(signal, "SIGINT") and os.name == "posix":
        print(f"Ctrl-C in a pattern: {1000 * ctrl_c():.1f} ms, the worst of ten; goal: 50 ms")


if __name__ == "__main__":
    main()
