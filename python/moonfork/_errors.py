"""What can go wrong, and whose fault it is: one class for each kind of error of the library."""

from __future__ import annotations

import re
from typing import Any

from ._result import Problem, Report, make_problem


class Error(Exception):
    """Any failure of a run. The classes below it say whose fault it is."""

    #: The kind as a word, the same as in reports and on the command line.
    code: str
    #: The line of the script that it happened at, where that is known.
    line: int | None
    #: Lua's traceback, one frame a line, innermost first.
    lua_traceback: str | None
    #: What the run cost until then.
    report: Report | None

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.code = "error"
        self.line = None
        self.lua_traceback = None
        self.report = None
        self.__dict__.update(fields)

    def __reduce__(self) -> tuple[Any, ...]:
        # Attributes go along, and the message isn't taken for one of several arguments.
        return (_again, (type(self), self.args, self.__dict__.copy()))


def _again(kind: type[Error], args: tuple[Any, ...], fields: dict[str, Any]) -> Error:
    error = kind(*args)
    error.__dict__.update(fields)
    return error


class ScriptError(Error):
    """The script raised an error and didn't catch it."""

    #: What it raised, where that wasn't text.
    value: Any = None


class LuaSyntaxError(ScriptError):
    """The script doesn't parse."""


class ValueRefused(Error, ValueError):
    """A value has no counterpart on the other side. The message names its path."""


class NotCallable(Error, LookupError):
    """A name leads to nothing that can be called."""


class LimitError(Error):
    """A limit stopped the script."""


class TimeLimit(LimitError, TimeoutError):
    """It ran longer than it may."""


class MemoryLimit(LimitError, MemoryError):
    """It wanted more memory than it may have."""


class FuelLimit(LimitError):
    """It burnt more fuel than it may."""


class CallLimit(LimitError):
    """It called the host more often than it may."""


class Denied(Error, PermissionError):
    """The script wanted something that it was not granted."""

    #: What it would have needed.
    capability: str = ""


class Cancelled(Error):
    """The run was cancelled."""


class Busy(Error):
    """All instances of the pool were in use for as long as the caller would wait."""


class InstanceLost(Error):
    """The instance was stopped by an earlier call, and is gone with its globals."""


class WrongThread(Error, RuntimeError):
    """Main was asked for where it can't be had: on another thread, or by a host function."""


class OptionsRefused(Error, ValueError):
    """A pool or a run can't be had as asked for: the message says what to change."""


class HostFailure(Error):
    """A host function failed in a way that no script may carry on from."""


class SandboxFailure(Error):
    """The sandbox itself failed. A script can't cause this without having found a bug."""


class LoadError(Error):
    """A workflow or a plugin can't be loaded."""

    #: All that is wrong with it.
    problems: list[Problem]

    def __init__(self, message: str, **fields: Any) -> None:
        self.problems = []
        super().__init__(message, **fields)


class RunError(Error):
    """A run of a workflow failed outside of its branches."""

    #: The node that failed, if it was one.
    node: str | None = None
    #: What happened: ``error_type``, ``message``, ``traceback``, and ``value`` where Lua raised one.
    failure: dict[str, Any]
    #: Why it didn't begin, if it didn't.
    problems: list[Problem]
    #: What the run did, up to and including what failed.
    report: dict[str, Any] | None  # type: ignore[assignment]

    def __init__(self, message: str, **fields: Any) -> None:
        self.problems = []
        super().__init__(message, **fields)


class CheckpointError(Error):
    """A checkpoint can't be used."""


class PluginError(Error):
    """A call of a plugin failed before the plugin was at work."""


#: The class for each code of the library. A test holds this against the library's own list.
CLASSES: dict[str, type[Error]] = {
    "syntax": LuaSyntaxError,
    "script": ScriptError,
    "denied": Denied,
    "value": ValueRefused,
    "mismatch": ValueRefused,
    "argument": ValueRefused,
    "not_callable": NotCallable,
    "timeout": TimeLimit,
    "cancelled": Cancelled,
    "out_of_fuel": FuelLimit,
    "too_many_host_calls": CallLimit,
    "out_of_memory": MemoryLimit,
    "busy": Busy,
    "wrong_thread": WrongThread,
    "reentrant": WrongThread,
    "poisoned": InstanceLost,
    "setup": OptionsRefused,
    "options": OptionsRefused,
    "host_panic": HostFailure,
    "diverged": ScriptError,
    "internal": SandboxFailure,
    "load": LoadError,
    "run": RunError,
    "checkpoint": CheckpointError,
    "plugin": PluginError,
    "plugin_unknown": PluginError,
}

#: A chunk's name and a line, as Lua and the library write them.
_POSITION = re.compile(r"^(?:.*?):(\d+)(?::|$)", re.DOTALL)
#: The name of a workflow's file and a line.
_FILE_POSITION = re.compile(r"^[^\s:]+:(\d+):")


def make(code: str, message: str, fields: dict[str, Any]) -> Error:
    """The exception for an error of the library; called by the native part."""
    kind = CLASSES.get(code, Error)
    report = fields.get("report")
    if report is not None and kind is not RunError:
        fields["report"] = Report(report)
    if "problems" in fields:
        fields["problems"] = [make_problem(problem) for problem in fields["problems"]]
    position = fields.pop("position", None)
    if position is None and issubclass(kind, (ScriptError, Denied)):
        position = message
    if kind is RunError and (found := _FILE_POSITION.match(message)):
        fields.setdefault("line", int(found[1]))
    if position is not None and (found := _POSITION.match(position)):
        fields.setdefault("line", int(found[1]))
    return kind(message, code=code, **fields)
