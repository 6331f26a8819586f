"""Processes that are forked: a clear error or right behaviour, never a hang."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import moonfork
import pytest


def square(n: int) -> int:
    with moonfork.Pool(max_branches=1) as pool:
        result: int = pool.run("return state * state", n)
    return result


_POOL: moonfork.Pool | None = None


def start() -> None:
    global _POOL
    _POOL = moonfork.Pool(max_branches=1)


def square_in_own_pool(n: int) -> int:
    assert _POOL is not None
    result: int = _POOL.run("return state * state", n)
    return result


def stopped_in_own_pool(_: int) -> str:
    assert _POOL is not None
    try:
        _POOL.run("while true do end", wall=0.2)
    except moonfork.TimeLimit as error:
        return error.code
    return "it went on"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_process_makes_its_own(pool: moonfork.Pool, method: str) -> None:
    assert pool.run("return 1") == 1
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        assert list(workers.map(square, range(4))) == [0, 1, 4, 9]
    # The prefork pattern: an initializer in each worker.
    with ProcessPoolExecutor(2, mp_context=context, initializer=start) as workers:
        assert list(workers.map(square_in_own_pool, range(4))) == [0, 1, 4, 9]
        # Limits hold there: each pool has a clock of its own.
        assert list(workers.map(stopped_in_own_pool, range(2))) == ["timeout", "timeout"]


def test_a_pool_that_a_worker_inherits_says_what_to_do() -> None:
    start()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as workers:
        with pytest.raises(RuntimeError, match="worker_process_init"):
            workers.submit(square_in_own_pool, 2).result()


CHILD = """
import asyncio, moonfork, os, sys

PLUGINS = sys.argv[1]
pool = moonfork.Pool(functions={"list_price": lambda article: 5})
branch = pool.branch()
main = pool.main()
workflow = moonfork.Workflow(text="nodes: [{name: a, run: return nil}, {name: b, run: return nil}]")
stream = workflow.stream(pool)
next(stream)
host = moonfork.PluginHost(
    pool, PLUGINS, functions=["list_price"], variables={"currency": "EUR"}, max_kept=1
)
tenant = host.tenant("acme")
tenant.call("pricing", "quote", {"lines": []})
# So that there are threads for it, which the child hasn't.
asyncio.run(pool.run_async("return 1"))
child = os.fork()
if child == 0:
    uses = {
        "run": lambda: pool.run("return 1"),
        "map": lambda: pool.map("return 1", [1]),
        "run_async": lambda: asyncio.run(pool.run_async("return 1")),
        "branch": lambda: pool.branch(),
        "main": lambda: pool.main(),
        "a branch": lambda: branch.run("return 1"),
        "the main instance": lambda: main.run("return 1"),
        "workflow": lambda: workflow.run(pool),
        "stream": lambda: next(stream),
        "finish": lambda: stream.finish(),
        "host": lambda: host.tenant("other"),
        "new host": lambda: moonfork.PluginHost(pool, PLUGINS),
        "tenant": lambda: tenant.call("pricing", "quote", {"lines": []}),
    }
    for name, use in uses.items():
        try:
            use()
        except RuntimeError as error:
            print(name, "forked" if "forked" in str(error) else error)
        else:
            print(name, "went on")
    # None of these waits for anybody.
    branch.cancel()
    branch.close()
    tenant.release()
    stream.close()
    pool.close()
    del branch, main, tenant, host, stream, pool
    # Compiled anew, since it counts fuel: the threads that compiled for the parent aren't here.
    with moonfork.Pool(metered=True) as own:
        print("own", own.run("return 2"), workflow.run(own).interrupt)
        try:
            own.run("while true do end", wall=0.2)
        except moonfork.TimeLimit:
            print("stopped")
    # With everything that an exit runs.
    sys.exit(7)
_, status = os.waitpid(child, 0)
print("parent", os.waitstatus_to_exitcode(status), branch.run("return 2"), len(list(stream)) > 0)
"""


def test_what_the_parent_made_says_so_in_the_child() -> None:
    plugins = Path(__file__).parents[2] / "examples" / "plugins"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(plugins)], capture_output=True, text=True, timeout=100
    )
    *uses, own, stopped, parent = done.stdout.splitlines() or [""] * 3
    assert len(uses) == 13 and all(use.endswith(" forked") for use in uses), done
    assert (own, stopped, parent) == ("own 2 None", "stopped", "parent 7 2 True"), done


FORKS_MEANWHILE = """
import moonfork, os, threading

ended = threading.Event()

def make_pools():
    while not ended.is_set():
        for metered in (False, True):
            moonfork.Pool(metered=metered, max_branches=1, max_runs=1).close()

maker = threading.Thread(target=make_pools)
maker.start()
codes = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        with moonfork.Pool(metered=True, max_branches=1, max_runs=1) as own:
            os._exit(own.run("return 3"))
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
ended.set()
maker.join()
print(codes == [3] * 20, codes)
"""


def test_a_fork_in_the_middle_of_making_pools() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS_MEANWHILE], capture_output=True, text=True, timeout=100
    )
    assert done.stdout.startswith("True"), done


def test_errors_cross_processes() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as workers:
        future = workers.submit(square, "text")  # type: ignore[arg-type]
        with pytest.raises(moonfork.ScriptError) as info:
            future.result()
    assert info.value.line == 1
