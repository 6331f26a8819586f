"""Pools that are made and dropped, and calls that are made again and again, leave nothing behind."""

from __future__ import annotations

import subprocess
import sys

import pytest

MEASURE = """
import gc, os, moonfork

def threads(): return len(os.listdir("/proc/self/task"))
def descriptors(): return len(os.listdir("/proc/self/fd"))
def mappings():
    with open("/proc/self/maps") as maps: return sum(1 for _ in maps)
def resident():
    with open("/proc/self/statm") as statm: return int(statm.read().split()[1]) * 4096
"""

POOLS = (
    MEASURE
    + """
import tempfile
with tempfile.TemporaryDirectory() as cache:
    def round():
        with moonfork.Pool(max_branches=2, max_runs=1, functions={"f": lambda: 1}) as pool:
            assert pool.run("return f()") == 1
        gc.collect()
    for _ in range(20): round()
    before = threads(), descriptors(), mappings()
    for _ in range(ROUNDS): round()
    after = threads(), descriptors(), mappings()
# A thread that ends late is counted before, and no leak.
print(all(now <= then for then, now in zip(before, after)), before, after)
"""
)

CALLS = (
    MEASURE
    + """
pool = moonfork.Pool(functions={"f": lambda value: value})
branch = pool.branch()
branch.run("function g(value) return f(value) end")
def tenth():
    for n in range(ROUNDS // 10):
        branch.call("g", {"n": n, "items": [1, 2, "text"]})
    gc.collect()
    return resident()
sizes = [tenth() for _ in range(10)]
print(sizes[-1] <= 1.05 * sizes[1], sizes)
"""
)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("script", "rounds"), [(POOLS, 40), (CALLS, 20_000)], ids=["pools", "calls"])
def test_nothing_grows(script: str, rounds: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script.replace("ROUNDS", str(rounds))],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.stdout.startswith("True"), done.stdout + done.stderr
