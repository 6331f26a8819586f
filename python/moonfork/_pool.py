"""`Pool`: the native one, and what of it is for coroutines."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import os
import threading
from typing import TYPE_CHECKING, Any

from . import _native

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._types import RunOptions


class Pool(_native.Pool):
    """Makes Lua instances, each in a WebAssembly sandbox of its own.

    Limits (``memory``, ``wall``, ``fuel``, ``output``, ``host_calls``, ``value``, ``depth``) hold
    for every run; a run may have narrower ones. Host functions (``functions``) and Lua modules
    (``modules``) that a pool is given can be used by every run that doesn't name fewer. Everything
    else that a script may do is granted by ``clock``, ``folders``, ``variables``.
    """

    async def run_async(
        self, code: str, state: Any = None, *, name: str | None = None, **options: Unpack[RunOptions]
    ) -> Any:
        """As `run`, without blocking the event loop. Cancelling the task stops the script.

        Async host functions are awaited by the loop that this is called on.
        """
        loop = asyncio.get_running_loop()
        cancel = _native.Cancel()
        run = functools.partial(
            self._run_for, loop, cancel, code, state, name=name, **options
        )
        future = loop.run_in_executor(self._executor(), run)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            cancel.cancel()
            # The thread has the state and the pool: it is waited for, and what it says of having
            # been cancelled is not news.
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()
            raise

    def _executor(self) -> concurrent.futures.ThreadPoolExecutor:
        # Asked first, since it raises where the pool can't be used: after a fork, its threads
        # wouldn't be there, and after `close` they would be made again.
        threads_at_most = self.max_branches
        with _EXECUTORS_LOCK:
            executor = self.__dict__.get("_threads")
            if executor is None:
                executor = concurrent.futures.ThreadPoolExecutor(
                    max_workers=threads_at_most, thread_name_prefix="moonfork"
                )
                self.__dict__["_threads"] = executor
        threads: concurrent.futures.ThreadPoolExecutor = executor
        return threads

    def close(self) -> None:
        """Gives the pool up. Runs that are under way come to their end."""
        executor = self.__dict__.pop("_threads", None)
        if executor is not None:
            executor.shutdown(wait=False)
        super().close()

    def __exit__(self, *exception: object) -> None:
        self.close()


_EXECUTORS_LOCK = threading.Lock()


def _renew_lock() -> None:
    global _EXECUTORS_LOCK
    _EXECUTORS_LOCK = threading.Lock()


# Another thread may have had it, which isn't in the child of the fork.
os.register_at_fork(after_in_child=_renew_lock)
