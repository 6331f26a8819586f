"""What runs give: results, reports, outcomes of workflows, problems of files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._errors import Error


class Report:
    """What the calls of an instance cost."""

    __slots__ = (
        "calls",
        "fuel",
        "host_calls",
        "outcome",
        "output",
        "output_bytes",
        "output_truncated",
        "peak_memory",
        "role",
        "store_id",
        "wall_ms",
    )

    #: The instance: unique in this process, and never used again.
    store_id: int
    #: What it is for: ``main`` or ``branch``.
    role: str
    #: How the last of the calls ended: ``{"status": "done"}``, or with ``code`` and ``message``.
    outcome: dict[str, Any]
    #: How many calls there were.
    calls: int
    #: How long they took in all, in milliseconds.
    wall_ms: float
    #: Fuel that they burnt, where the pool meters it.
    fuel: int | None
    #: The most memory that the instance occupied, in bytes.
    peak_memory: int
    #: What they printed, as far as it was kept.
    output: str
    #: Bytes that they printed, kept or not.
    output_bytes: int
    #: Whether more was printed than was kept.
    output_truncated: bool
    #: How often they called each function of the host.
    host_calls: dict[str, int]

    def __init__(self, fields: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, fields.get(name))

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for logs."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Report) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        status = self.outcome.get("status")
        return (
            f"<moonfork.Report of store {self.store_id}: {self.calls} calls, {status}, "
            f"{self.wall_ms:.3f} ms, {self.peak_memory} bytes>"
        )


class Result:
    """What one of many runs gave: a value or an error, and a report."""

    __slots__ = ("_report", "error", "value")

    #: What it returned; None where it failed.
    value: Any
    #: What it failed with; None where it didn't.
    error: BaseException | None

    def __init__(
        self, value: Any, error: BaseException | None, report: dict[str, Any] | None
    ) -> None:
        self.value = value
        self.error = error
        self._report = report

    @property
    def report(self) -> Report | None:
        """What it cost; None where there was no instance for it."""
        return None if self._report is None else Report(self._report)

    def unwrap(self) -> Any:
        """The value.

        Raises what the run failed with.
        """
        if self.error is not None:
            raise self.error
        return self.value

    def __repr__(self) -> str:
        if self.error is not None:
            return f"<moonfork.Result error={self.error!r}>"
        return f"<moonfork.Result value={self.value!r}>"


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file, and where."""

    #: ``error`` or ``warning``.
    severity: str
    #: A stable word for the kind of problem.
    code: str
    #: The file.
    file: str
    #: From one; None where it is about the file as a whole.
    line: int | None
    #: From one.
    column: int | None
    #: What is wrong.
    message: str
    #: What to do about it.
    hint: str | None

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}:{self.column}"
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {self.severity} [{self.code}]: {self.message}{hint}"


@dataclass(frozen=True)
class Interrupt:
    """Where a run stopped, to be resumed."""

    #: The node.
    node: str
    #: ``before`` or ``after``.
    when: str
    #: The file to resume from, if one was written.
    checkpoint: str | None


@dataclass(frozen=True)
class Outcome:
    """What a run of a workflow gave."""

    #: The state after the last node.
    state: dict[str, Any]
    #: What the run did: every instance with its ``store_id``, and what ran on it.
    report: dict[str, Any] = field(repr=False)
    #: Where the run stopped, if it isn't at its end.
    interrupt: Interrupt | None = None


def make_problem(fields: dict[str, Any]) -> Problem:
    """A problem from plain data; called by the native part."""
    return Problem(**fields)


def make_outcome(
    state: dict[str, Any], report: dict[str, Any], interrupt: dict[str, Any] | None
) -> Outcome:
    """An outcome from plain data; called by the native part."""
    return Outcome(state, report, None if interrupt is None else Interrupt(**interrupt))
