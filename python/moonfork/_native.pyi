"""What the native part has. Users import it from `moonfork`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, final

from typing_extensions import Self, Unpack, disjoint_base

from ._result import Outcome, Problem, Report, Result
from ._types import PoolOptions, RunOptions, Seconds, StrPath, WorkflowOptions

__version__: str
__all__ = [
    "Branch",
    "Cancel",
    "Main",
    "PluginHost",
    "Pool",
    "Stream",
    "Tenant",
    "Workflow",
    "__version__",
    "after_fork",
    "after_fork_in_child",
    "before_fork",
    "command_line",
]

@disjoint_base
class Pool:
    def __new__(
        cls,
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        modules: Mapping[str, str] | None = None,
        metered: bool = False,
        max_branches: int | None = None,
        max_runs: int | None = None,
        slot_timeout: Seconds | None = None,
        cache_dir: StrPath | None = None,
        precompiled: StrPath | None = None,
        **settings: Unpack[PoolOptions],
    ) -> Self: ...
    def run(
        self,
        code: str,
        state: Any = None,
        *,
        name: str | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[RunOptions],
    ) -> Any: ...
    def map(
        self,
        code: str,
        states: Iterable[Any],
        *,
        name: str | None = None,
        max_workers: int | None = None,
        cancel: Cancel | None = None,
        **options: Unpack[RunOptions],
    ) -> list[Result]: ...
    def branch(
        self, *, cancel: Cancel | None = None, **options: Unpack[RunOptions]
    ) -> Branch: ...
    def main(self) -> Main: ...
    def close(self) -> None: ...
    def _run_for(
        self,
        event_loop: asyncio.AbstractEventLoop,
        cancel: Cancel,
        code: str,
        state: Any = None,
        *,
        name: str | None = None,
        **options: Unpack[RunOptions],
    ) -> Any: ...
    @property
    def live_count(self) -> int: ...
    @property
    def max_branches(self) -> int: ...
    @property
    def is_metered(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...
    def __reduce__(self) -> NoReturn: ...

@final
class Branch:
    def run(self, code: str, state: Any = None, *, name: str | None = None) -> Any: ...
    def call(self, path: str, *arguments: Any) -> Any: ...
    def _call_plain(self, path: str, *arguments: Any) -> Any: ...
    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...
    @property
    def report(self) -> Report: ...
    @property
    def store_id(self) -> int: ...
    @property
    def is_live(self) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...
    def __reduce__(self) -> NoReturn: ...

@final
class Main:
    def run(
        self,
        code: str,
        state: Any = None,
        *,
        name: str | None = None,
        **options: Unpack[RunOptions],
    ) -> Any: ...
    def call(self, path: str, *arguments: Any) -> Any: ...
    def get(self, name: str) -> Any: ...
    def set(self, name: str, value: Any) -> None: ...
    def take_report(self) -> Report: ...
    @property
    def store_id(self) -> int: ...
    def __reduce__(self) -> NoReturn: ...

@final
class Cancel:
    def __new__(cls) -> Self: ...
    def cancel(self) -> None: ...
    @property
    def is_cancelled(self) -> bool: ...

@final
class Workflow:
    def __new__(
        cls,
        path: StrPath | None = None,
        *,
        text: str | None = None,
        name: str = "workflow.yaml",
        overlays: Sequence[StrPath] = ...,
    ) -> Self: ...
    @staticmethod
    def validate(
        path: StrPath | None = None,
        *,
        text: str | None = None,
        name: str = "workflow.yaml",
        overlays: Sequence[StrPath] = ...,
    ) -> list[Problem]: ...
    @property
    def name(self) -> str | None: ...
    @property
    def warnings(self) -> list[Problem]: ...
    def check(self, pool: Pool, **settings: Unpack[WorkflowOptions]) -> list[Problem]: ...
    def run(
        self,
        pool: Pool,
        input: Mapping[str, Any] | None = None,
        **settings: Unpack[WorkflowOptions],
    ) -> Outcome: ...
    def resume(
        self,
        pool: Pool,
        checkpoint: StrPath,
        input: Mapping[str, Any] | None = None,
        **settings: Unpack[WorkflowOptions],
    ) -> Outcome: ...
    def stream(
        self,
        pool: Pool,
        input: Mapping[str, Any] | None = None,
        **settings: Unpack[WorkflowOptions],
    ) -> Stream: ...
    def __reduce__(self) -> NoReturn: ...

@final
class Stream:
    def finish(self) -> Outcome: ...
    def close(self) -> None: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...
    def __next__(self) -> dict[str, Any]: ...
    def __aiter__(self) -> AsyncIterator[dict[str, Any]]: ...
    async def __anext__(self) -> dict[str, Any]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exception: object) -> None: ...

@final
class PluginHost:
    def __new__(
        cls,
        pool: Pool,
        *paths: StrPath,
        max_kept: int | None = None,
        turn_timeout: Seconds | None = None,
        **settings: Unpack[RunOptions],
    ) -> Self: ...
    @property
    def plugins(self) -> dict[str, str]: ...
    def tenant(self, name: str) -> Tenant: ...
    def __reduce__(self) -> NoReturn: ...

@final
class Tenant:
    @property
    def name(self) -> str: ...
    def call(
        self, plugin: str, export: str, *arguments: Any, cancel: Cancel | None = None
    ) -> Any: ...
    def release(self) -> None: ...

def before_fork() -> None: ...
def after_fork() -> None: ...
def after_fork_in_child() -> None: ...
def command_line(arguments: Sequence[str]) -> int: ...
