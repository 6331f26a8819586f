"""The keyword arguments that limits and grants are given by, for type checkers."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Union

if TYPE_CHECKING:
    from ._native import Cancel, Workers

#: A path of the file system.
StrPath = Union[str, "os.PathLike[str]"]
#: A number of seconds, or a ``timedelta``.
Seconds = Union[float, datetime.timedelta]
#: A number of bytes, or a text such as ``"16MiB"``.
Size = Union[int, str]


class Limits(TypedDict, total=False):
    """What a run may use."""

    #: Wall-clock time.
    wall: Seconds | None
    #: Fuel, about one unit for each WebAssembly instruction; the same on every machine.
    fuel: int | None
    #: Bytes that an instance may occupy.
    memory: Size | None
    #: Bytes of printed output that are kept.
    output: Size | None
    #: Calls of host functions, `require`, `fs` and the clock.
    host_calls: int | None
    #: Bytes that a value may cost, either way.
    value: Size | None
    #: Levels that a value may be nested.
    depth: int | None


class Grants(TypedDict, total=False):
    """What a run may do besides computing."""

    #: True for the clock of the system, or a time in seconds since 1970 at which it stands.
    clock: bool | float | None
    #: What random numbers come from; a fresh seed for each instance without it.
    seed: int | None
    #: The read-only global `variables`.
    variables: Mapping[str, Any] | None
    #: Folders by the names that `fs` knows them by; ``(path, "rw")`` lets scripts write.
    folders: Mapping[str, StrPath | tuple[StrPath, str]] | None


class PoolOptions(Limits, Grants, total=False):
    """Limits and grants of all runs of a pool."""


class RunOptions(Limits, Grants, total=False):
    """Limits and grants of a run: narrower than the pool's."""

    #: Names of the pool's functions; all of them without it.
    functions: Iterable[str] | None
    #: Names of the pool's modules; all of them without it.
    modules: Iterable[str] | None


class WorkerGrants(Grants, total=False):
    """What branches may do in a worker: less than its pool has."""

    #: Names of the pool's functions; all of them without it.
    functions: Iterable[str] | None
    #: Names of the pool's modules; all of them without it.
    modules: Iterable[str] | None


class ServerAccess(TypedDict, total=False):
    """How a server of NATS is reached, and which workers of it are meant."""

    #: The pool of workers, ``"default"`` without it.
    worker_pool: str | None
    #: A file of credentials, as ``nsc`` writes them.
    credentials: StrPath | None
    #: A PEM file of authorities to trust besides the system's.
    trust: StrPath | None
    #: The PEM files of a certificate to show the server, and of its key.
    certificate: tuple[StrPath, StrPath] | None


class QueueOptions(ServerAccess, total=False):
    """The workers of a server, for a run."""

    #: How long a worker may fall silent before others run what it was at; ten seconds without it.
    lease: Seconds | None


class WorkerOptions(ServerAccess, WorkerGrants, total=False):
    """A worker of a server."""

    #: How many branches run at a time: as many as there are processors without it.
    slots: int | None
    #: How long branches may go on when the worker is to stop; 30 seconds without it.
    grace: Seconds | None
    #: Is told what an operator may want to know, on a thread of the worker's.
    on_note: Callable[[str], object] | None


class WorkflowOptions(Grants, total=False):
    """Settings of a workflow's run."""

    #: Where branches run, if not on threads of this process; a text is the address of a server of NATS.
    workers: Workers | str | None
    #: How many branches may run at a time.
    max_workers: int | None
    #: How many nodes may run on one path.
    max_iterations: int | None
    #: Nodes to stop before.
    interrupt_before: Sequence[str] | None
    #: Nodes to stop after.
    interrupt_after: Sequence[str] | None
    #: The folder that checkpoints go to.
    checkpoint_dir: StrPath | None
    #: Stops the run when it is fired.
    cancel: Cancel | None
    #: Names of the pool's functions; all of them without it.
    functions: Iterable[str] | None
    #: Names of the pool's modules; all of them without it.
    modules: Iterable[str] | None
