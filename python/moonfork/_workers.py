"""Branches in other processes: what starts those, and what they do with their standard streams."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from . import _native

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._types import StrPath, WorkerGrants

_Function = TypeVar("_Function", bound=Callable[..., Any])


def with_call(function: _Function) -> _Function:
    """Has a host function told of each call of it, by a `HostCall` as its first argument.

    >>> import moonfork
    >>> @moonfork.with_call
    ... def charge(call, order):
    ...     return f"{order}: {call.idempotency_key}"
    >>> with moonfork.Pool(functions={"charge": charge}) as pool:
    ...     pool.run("return charge('washer')")
    'washer: None'
    """
    try:
        function.__moonfork_with_call__ = True  # type: ignore[attr-defined]
    except AttributeError as error:
        raise TypeError(
            f"with_call needs a function that it can mark, and {function!r} isn't one: give it a "
            "function of your own that calls that one"
        ) from error
    return function


def serve(pool: _native.Pool, **grants: Unpack[WorkerGrants]) -> None:
    """Runs branches for the process that started this one by `Workers.processes`, until that ends.

    Messages pass by the standard input and output. What is printed goes to standard error from then on,
    and reading standard input finds nothing there.
    """
    if threading.current_thread() is not threading.main_thread():
        _native.serve_stdio(pool, **grants)
        return
    # Python's own handler would be asked when there is nothing to serve any more.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        _native.serve_stdio(pool, **grants)
    finally:
        signal.signal(signal.SIGINT, before)


def leave_stdio() -> None:
    """Has the standard input be empty, and the standard output that for errors."""
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)


def command(
    pool: str | Callable[[], _native.Pool] | None, command: Sequence[StrPath] | None
) -> list[str]:
    """What starts a worker."""
    if command is not None:
        if pool is not None:
            raise TypeError("a command says itself which pool it serves by: leave out pool=, or command=")
        if isinstance(command, (str, bytes)):
            raise TypeError("command must be a list of the program and its arguments")
        return [os.fspath(part) for part in command]
    if not sys.executable:
        raise RuntimeError("Python doesn't know its own program: say what starts a worker by command=")
    if pool is None:
        return [sys.executable, "-m", "moonfork", "worker", "--stdio"]
    # What can be imported here can be imported there.
    path = os.pathsep.join(os.path.abspath(part) for part in sys.path)
    return [sys.executable, "-m", "moonfork.worker", "--sys-path", path, name_of(pool)]


def name_of(pool: str | Callable[[], _native.Pool]) -> str:
    """The name that a worker finds a pool by: `module:name`."""
    if isinstance(pool, str):
        module, colon, name = pool.partition(":")
        if not (module and colon and name):
            raise ValueError(f"pool must be named as 'module:name', not {pool!r}")
        return pool
    if isinstance(pool, _native.Pool) or not callable(pool):
        raise TypeError(
            "pool must be a function that makes one, or where a worker finds one ('module:name'), "
            f"not {pool!r}: each worker has a pool of its own"
        )
    home: str | None = getattr(pool, "__module__", None)
    own: str | None = getattr(pool, "__qualname__", None)
    if not home or home == "__main__" or not own or "<" in own:
        raise TypeError(
            f"a worker can't import {pool!r}: put it at the top of a module that can be imported, which "
            "the script that is run isn't"
        )
    return f"{home}:{own}"
