"""Runs that are awaited."""

from __future__ import annotations

import asyncio

import moonfork
import pytest


def test_a_run_is_awaited(pool: moonfork.Pool) -> None:
    async def main() -> list[int]:
        runs = (pool.run_async("return state * 2", n) for n in range(20))
        return list(await asyncio.gather(*runs))

    assert asyncio.run(main()) == [2 * n for n in range(20)]


def test_cancelling_the_task_stops_the_script() -> None:
    async def main() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        functions = {"begin": lambda: loop.call_soon_threadsafe(begun.set)}
        with moonfork.Pool(functions=functions, max_branches=1, slot_timeout=20) as pool:
            task = asyncio.create_task(pool.run_async("begin() while true do end"))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            # Its place is free again.
            assert pool.live_count == 0
            assert await pool.run_async("return 1") == 1

    asyncio.run(main())


def test_cancelling_ends_an_async_function_too() -> None:
    async def main() -> None:
        begun, cancelled = asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise

        with moonfork.Pool(functions={"wait": wait}, wall=60) as pool:
            task = asyncio.create_task(pool.run_async("wait()"))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await cancelled.wait()

    asyncio.run(main())


def test_the_time_limit_ends_an_async_function() -> None:
    async def main() -> None:
        async def wait() -> None:
            await asyncio.Event().wait()

        with moonfork.Pool(functions={"wait": wait}, wall=0.1) as pool:
            with pytest.raises(moonfork.TimeLimit):
                await pool.run_async("pcall(wait) while true do end")

    asyncio.run(main())


def test_errors_are_raised_where_it_is_awaited(pool: moonfork.Pool) -> None:
    async def main() -> None:
        with pytest.raises(moonfork.ScriptError, match="boom"):
            await pool.run_async("error('boom')")
        with pytest.raises(TypeError, match="wal"):
            await pool.run_async("return 1", wal=1)  # type: ignore[call-arg]

    asyncio.run(main())
