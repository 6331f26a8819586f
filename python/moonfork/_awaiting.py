"""Waiting for coroutines from threads, and for threads from coroutines."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._native import Stream


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def await_alone(awaitable: Awaitable[Any], seconds: float | None) -> Any:
    """Awaits what a host function gave where no event loop awaits the run."""

    async def bounded() -> Any:
        return await asyncio.wait_for(awaitable, seconds)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(bounded())
    if inspect.iscoroutine(awaitable):
        awaitable.close()
    raise RuntimeError(
        "an async host function was called by `run` in the middle of an event loop, which it would "
        "block for good; use `await pool.run_async(...)` there"
    )


def begin(
    awaitable: Awaitable[Any], loop: asyncio.AbstractEventLoop
) -> concurrent.futures.Future[Any]:
    """Has the loop that awaits the run await what a host function gave."""
    return asyncio.run_coroutine_threadsafe(_result(awaitable), loop)


def finish(future: concurrent.futures.Future[Any], seconds: float | None) -> Any:
    """Waits for that on the thread that runs the script, as long as its limits let it."""
    try:
        return future.result(seconds)
    except concurrent.futures.CancelledError:
        raise RuntimeError("it was cancelled with the run") from None
    except concurrent.futures.TimeoutError:
        if future.done():
            raise
        future.cancel()
        raise TimeoutError("the run's time was over") from None


async def next_event(stream: Stream) -> dict[str, Any]:
    """The next event of a run, awaited."""
    try:
        event = await asyncio.to_thread(next, stream, None)
    except asyncio.CancelledError:
        await asyncio.to_thread(stream.close)
        raise
    if event is None:
        raise StopAsyncIteration
    return event
