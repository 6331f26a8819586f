"""Workflows from Python."""

from __future__ import annotations

import asyncio
from pathlib import Path

import moonfork
import pytest

SUM = """
name: sum
nodes:
  - name: double
    run: return {n = state.n * 2}
  - name: square
    run: return {n = state.n * state.n}
  - name: join
    run: |
      local sum = 0
      for _, branch in ipairs(state.parallel_results) do sum = sum + branch.state.n end
      return {sum = sum}
edges:
  - {from: __start__, parallel: [double, square], fan_in: join}
"""

APPROVAL = """
nodes:
  - {name: ask, run: 'return {asked = true}', interrupt: after}
  - {name: pay, run: 'return {paid = state.allow == true}'}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sum.yaml"
    path.write_text(SUM)
    return path


def test_a_file_is_run(pool: moonfork.Pool, file: Path) -> None:
    workflow = moonfork.Workflow(file)
    assert (workflow.name, workflow.warnings) == ("sum", [])
    outcome = workflow.run(pool, {"n": 7}, max_workers=2)
    assert outcome.state["sum"] == 14 + 49
    assert outcome.interrupt is None
    ids = [instance["store_id"] for instance in outcome.report["instances"]]
    assert len(ids) == len(set(ids)) == 3


def test_a_run_that_cannot_begin_says_why(pool: moonfork.Pool) -> None:
    workflow = moonfork.Workflow(text="nodes:\n  - {name: a, run: 'retrun 1'}\n")
    problems = workflow.check(pool)
    assert [(problem.line, problem.code) for problem in problems] == [(2, "LUA_SYNTAX")]
    with pytest.raises(moonfork.RunError) as info:
        workflow.run(pool)
    assert info.value.problems == problems
    assert (info.value.line, info.value.node) == (2, None)
    sound = moonfork.Workflow(text="nodes:\n  - {name: a, run: 'error({code = 5})'}\n")
    assert sound.check(pool, max_workers=2) == []
    with pytest.raises(moonfork.RunError) as info:
        sound.run(pool)
    error = info.value
    assert (error.line, error.node, error.problems) == (2, "a", [])
    assert error.failure["error_type"] == "LuaError" and error.failure["value"] == {"code": 5}


def test_problems_have_their_places(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("nodes:\n  - {name: a, rnu: return 1}\n")
    with pytest.raises(moonfork.LoadError) as info:
        moonfork.Workflow(path)
    problem = info.value.problems[0]
    assert (problem.line, problem.severity) == (2, "error")
    assert problem.code == "UNKNOWN_KEY"
    assert "run" in (problem.hint or "")
    assert str(problem).startswith(f"{path}:2:")
    assert moonfork.Workflow.validate(path) == info.value.problems
    assert moonfork.Workflow.validate(text=SUM) == []


def test_a_missing_file_is_a_load_error(tmp_path: Path) -> None:
    with pytest.raises(moonfork.LoadError, match="absent"):
        moonfork.Workflow(tmp_path / "absent.yaml")
    with pytest.raises(TypeError, match="one of them"):
        moonfork.Workflow()


def test_an_overlay_changes_it(tmp_path: Path, file: Path, pool: moonfork.Pool) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("nodes: [{name: double, run: 'return {n = 0}'}]")
    outcome = moonfork.Workflow(file, overlays=[overlay]).run(pool, {"n": 7})
    assert outcome.state["sum"] == 49


def test_a_failing_node_is_a_run_error(pool: moonfork.Pool) -> None:
    workflow = moonfork.Workflow(text="nodes: [{name: a, run: \"error('boom')\"}]")
    with pytest.raises(moonfork.RunError, match="boom") as info:
        workflow.run(pool)
    assert info.value.node == "a"
    assert info.value.failure["message"]
    assert info.value.report is not None and info.value.report["instances"]


def test_it_is_interrupted_and_resumed(pool: moonfork.Pool, tmp_path: Path) -> None:
    workflow = moonfork.Workflow(text=APPROVAL, name="approval.yaml")
    outcome = workflow.run(pool, {}, checkpoint_dir=tmp_path)
    assert outcome.interrupt is not None
    assert (outcome.interrupt.node, outcome.interrupt.when) == ("ask", "after")
    assert outcome.interrupt.checkpoint is not None
    resumed = workflow.resume(pool, outcome.interrupt.checkpoint, {"allow": True})
    assert resumed.state["paid"] is True
    with pytest.raises(moonfork.CheckpointError):
        workflow.resume(pool, tmp_path / "absent.json")


def test_events_come_while_it_runs(pool: moonfork.Pool, file: Path) -> None:
    workflow = moonfork.Workflow(file)
    with workflow.stream(pool, {"n": 7}) as stream:
        events = list(stream)
        assert (events[0]["type"], events[-1]["type"]) == ("start", "finish")
        assert stream.finish().state["sum"] == 63


def test_events_are_awaited(pool: moonfork.Pool, file: Path) -> None:
    async def main() -> list[str]:
        stream = moonfork.Workflow(file).stream(pool, {"n": 7})
        return [event["type"] async for event in stream]

    types = asyncio.run(main())
    assert types[0] == "start" and types[-1] == "finish"


def test_leaving_a_stream_stops_the_run() -> None:
    begun = []
    with moonfork.Pool(functions={"begin": lambda: begun.append(1)}) as pool:
        endless = moonfork.Workflow(text="nodes: [{name: a, run: 'begin() while true do end'}]")
        with endless.stream(pool) as stream:
            assert next(stream)["type"] == "start"
        assert pool.live_count == 0


def test_functions_are_called_from_branches() -> None:
    names: list[str] = []
    text = """
nodes:
  - {name: a, run: "note('a')"}
  - {name: b, run: "note('b')"}
  - {name: join, run: "return {done = true}"}
edges:
  - {from: __start__, parallel: [a, b], fan_in: join}
"""
    with moonfork.Pool(functions={"note": names.append}) as pool:
        assert moonfork.Workflow(text=text).run(pool).state["done"] is True
    assert sorted(names) == ["a", "b"]


def test_input_that_cannot_pass_names_its_path(pool: moonfork.Pool) -> None:
    with pytest.raises(TypeError, match=r"input\.a\[1\]"):
        moonfork.Workflow(text=SUM).run(pool, {"a": [1, object()]})
    with pytest.raises(TypeError, match="dict"):
        moonfork.Workflow(text=SUM).run(pool, [1])  # type: ignore[arg-type]
