"""Processes that are forked: a clear error or right behaviour, never a hang."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

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


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_each_process_makes_its_own(pool: moonfork.Pool, method: str) -> None:
    assert pool.run("return 1") == 1
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        assert list(workers.map(square, range(4))) == [0, 1, 4, 9]
    # The prefork pattern: an initializer in each worker.
    with ProcessPoolExecutor(2, mp_context=context, initializer=start) as workers:
        assert list(workers.map(square_in_own_pool, range(4))) == [0, 1, 4, 9]


CHILD = """
import moonfork, os, sys

pool = moonfork.Pool()
branch = pool.branch()
stream = moonfork.Workflow(text="nodes: [{name: a, run: return nil}]")
child = os.fork()
if child == 0:
    said = 0
    for use in (
        lambda: pool.run("return 1"),
        lambda: pool.map("return 1", [1]),
        lambda: pool.branch(),
        lambda: pool.main(),
        lambda: branch.run("return 1"),
        lambda: stream.run(pool),
    ):
        try:
            use()
        except RuntimeError as error:
            said += "forked" in str(error)
    del branch
    pool.close()
    del pool
    with moonfork.Pool() as own:
        said += own.run("return 1")
    # With everything that an exit runs.
    sys.exit(said)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), branch.run("return 2"))
"""


def test_what_the_parent_made_says_so_in_the_child() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["7", "2"], done.stderr


def test_errors_cross_processes() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as workers:
        future = workers.submit(square, "text")  # type: ignore[arg-type]
        with pytest.raises(moonfork.ScriptError) as info:
            future.result()
    assert info.value.line == 1
