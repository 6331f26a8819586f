"""Pools made and dropped, and calls made again and again: what of them is left behind.

    python python/benches/leaks.py      # 1,000 pools, 1,000,000 runs, 1,000,000 calls: some minutes

Prints the resident memory after each tenth of it, and how many threads, open files and mappings there
are after the first and after the last tenth. Ends with 1 where the memory of the last tenth is more than
5 % above that of the second, or anything else has grown. Needs Linux, since it reads /proc.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable

import moonfork

Work = Callable[[int], None]

STATE = {"n": 1, "items": [1, 2.5, "text", None], "name": "item"}


def things() -> dict[str, int]:
    """Threads, open files and mappings of this process."""
    with open("/proc/self/maps") as maps:
        mappings = sum(1 for _ in maps)
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "open files": len(os.listdir("/proc/self/fd")),
        "mappings": mappings,
    }


def resident() -> int:
    """Bytes of memory that this process occupies."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pools() -> Work:
    # glibc keeps stacks of ended threads for the next ones. Now there are enough of them, also for when
    # a thread takes long to end.
    for pool in [moonfork.Pool(max_branches=2, max_runs=1) for _ in range(8)]:
        pool.close()

    def make(count: int) -> None:
        for _ in range(count):
            with moonfork.Pool(max_branches=2, max_runs=1, functions={"f": lambda: 1}) as pool:
                assert pool.run("return f()") == 1

    return make


def runs() -> Work:
    """Each on an instance of its own; one in ten fails."""
    pool = moonfork.Pool(functions={"f": lambda value: value})

    def run(count: int) -> None:
        for n in range(count):
            try:
                pool.run("if n == 0 then error({state}) end return f(state)", STATE if n % 10 else 0)
            except moonfork.ScriptError:
                pass

    return run


def calls() -> Work:
    """All on one instance."""
    pool = moonfork.Pool(functions={"f": lambda value: value})
    branch = pool.branch()
    branch.run("function g(value) return f(value) end")

    def call(count: int) -> None:
        for _ in range(count):
            branch.call("g", STATE)

    return call


def grown(first: dict[str, int]) -> dict[str, int]:
    """What there is more of than at `first`, once threads that have been told to end have ended."""
    until = time.monotonic() + 10
    while True:
        gc.collect()
        more = {name: count for name, count in things().items() if count > first[name]}
        if not more or time.monotonic() > until:
            return more
        time.sleep(0.02)


def leaks(what: str, work: Work, count: int) -> bool:
    """Does `count` of it in tenths; prints and returns whether something grew."""
    sizes: list[int] = []
    first: dict[str, int] = {}
    began = time.perf_counter()
    for _ in range(10):
        work(count // 10)
        gc.collect()
        sizes.append(resident())
        first = first or things()
    seconds = time.perf_counter() - began
    more = grown(first)
    growth = sizes[9] / sizes[1] - 1
    print(f"{count:,} {what} in {seconds:.0f} s")
    print("  MB after each tenth:", *(f"{size / 1e6:.1f}" for size in sizes), f"({growth:+.1%})")
    print(" ", ", ".join(f"{name} {first[name]} -> {more.get(name, first[name])}" for name in first))
    if growth > 0.05:
        more["memory"] = sizes[9]
    if more:
        print("  GREW:", ", ".join(more), flush=True)
    return bool(more)


def keep_one_heap() -> None:
    """glibc gives threads heaps of their own, up to eight for each core: mappings that come sooner or later,
    and stay."""
    arena_max = -8
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(arena_max, 1)


def main() -> None:
    keep_one_heap()
    parser = argparse.ArgumentParser(description="What pools and calls leave behind.")
    parser.add_argument("--pools", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=1_000_000, help="and as many runs")
    arguments = parser.parse_args()
    grew = [
        leaks("pools", pools(), arguments.pools),
        leaks("runs", runs(), arguments.calls),
        leaks("calls", calls(), arguments.calls),
    ]
    sys.exit(any(grew))


if __name__ == "__main__":
    main()
