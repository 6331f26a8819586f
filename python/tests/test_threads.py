"""Other threads have the interpreter while Lua runs. How much faster it is: `benches/compare.py`."""

from __future__ import annotations

import threading

import moonfork
import pytest


def test_scripts_run_at_once_and_python_beside_them() -> None:
    begun = threading.Semaphore(0)
    cancel = moonfork.Cancel()
    ended: list[str] = []

    def run(pool: moonfork.Pool) -> None:
        try:
            pool.run("begin() while true do end", cancel=cancel)
        except moonfork.Error as error:
            ended.append(error.code)

    with moonfork.Pool(functions={"begin": begun.release}, wall=600) as pool:
        threads = [threading.Thread(target=run, args=(pool,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        # Both are in the middle of Lua, for as long as nobody here stops them.
        for _ in threads:
            assert begun.acquire(timeout=100)
        assert pool.run("local n = 0 for i = 1, 1e5 do n = n + i end return n") == 5_000_050_000
        results = pool.map("return state", range(10))
        assert [result.value for result in results] == list(range(10))
        assert not ended
        cancel.cancel()
        for thread in threads:
            thread.join()
    assert ended == ["cancelled"] * 2


def test_one_pool_is_used_by_many_threads(pool: moonfork.Pool) -> None:
    found: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            found.append(pool.run("local n = 0 for i = 1, 1000 do n = n + state end return n", number))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(1000 * number for number in range(8) for _ in range(20))


def test_a_pool_may_be_dropped_while_another_thread_runs_on_it() -> None:
    begun, closed = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        closed.wait(100)

    found: list[int] = []
    pool = moonfork.Pool(functions={"wait": wait}, wall=600)
    thread = threading.Thread(target=lambda: found.append(pool.run("wait() return 1")))
    thread.start()
    assert begun.wait(100)
    pool.close()
    closed.set()
    thread.join()
    assert found == [1]
    with pytest.raises(RuntimeError, match="closed"):
        pool.run("return 1")
