"""Branches that begin with a copy of another instance, with a snapshot, or with a prelude."""

from __future__ import annotations

import multiprocessing
import os
import pickle
from pathlib import Path

import pytest

import moonfork


def test_a_fork_has_what_its_parent_has_and_goes_its_own_way() -> None:
    with moonfork.Pool() as pool, pool.branch() as parent:
        parent.run("rows = {1, 2} function count() return #rows end")
        with parent.fork() as fork:
            fork.run("table.insert(rows, 3)")
            assert (parent.call("count"), fork.call("count")) == (2, 3)
            assert fork.store_id != parent.store_id
        main = pool.main()
        main.run("x = 1")
        with main.fork() as fork:
            fork.run("x = x + 1")
            assert (main.get("x"), fork.get("x")) == (1, 2)


def test_a_fork_has_options_of_its_own() -> None:
    with moonfork.Pool(functions={"one": lambda: 1}) as pool, pool.branch() as parent:
        with parent.fork(functions=[], wall=0.1) as fork:
            with pytest.raises(moonfork.Denied):
                fork.run("return one()")
            with pytest.raises(moonfork.TimeLimit):
                fork.run("while true do end")
        assert parent.run("return one()") == 1
        with pytest.raises(TypeError):
            parent.fork(nonsense=1)  # type: ignore[call-arg]


def test_many_branches_begin_with_a_snapshot(tmp_path: Path) -> None:
    file = tmp_path / "data.snapshot"
    with moonfork.Pool() as pool:
        main = pool.main()
        main.run("data = {} for i = 1, 1000 do data[i] = i end")
        snapshot = main.snapshot()
        main.run("data = nil")
        assert snapshot.parent == main.store_id and snapshot.memory > 1 << 16
        ids = set()
        for _ in range(20):
            with snapshot.branch() as branch:
                assert branch.run("data[1] = data[1] + 1 return {#data, data[1]}") == [1000, 2]
                ids.add(branch.store_id)
        assert len(ids) == 20
        snapshot.write(file)
    with moonfork.Pool() as other:
        loaded = other.load_snapshot(file)
        assert loaded.sha256 == snapshot.sha256
        with loaded.branch() as branch:
            assert branch.run("return data[7]") == 7
        text = bytearray(file.read_bytes())
        text[-1] ^= 1
        os.chmod(file, 0o600)
        file.write_bytes(text)
        with pytest.raises(moonfork.OptionsRefused):
            other.load_snapshot(file)


@pytest.mark.parametrize("prelude", ["x = 20 y = 22", ["x = 20", "y = x + 2"]])
def test_a_prelude_is_there_from_the_beginning(prelude: str | list[str]) -> None:
    with moonfork.Pool(prelude=prelude) as pool:
        assert pool.run("return x + y") == 42
        assert [it.value for it in pool.map("x = x + state return x", [1, 2])] == [21, 22]
        assert pool.main().get("x") == 20


def test_a_prelude_that_fails_says_so() -> None:
    with pytest.raises(moonfork.ScriptError, match="prelude:1: boom"):
        moonfork.Pool(prelude="error('boom')")


def test_a_prelude_may_call_functions_and_gets_their_exceptions() -> None:
    def rates() -> list[int]:
        return [7, 19]

    def fails() -> None:
        raise LookupError("no rates today")

    with moonfork.Pool(functions={"rates": rates}, prelude="r = rates()") as pool:
        assert pool.run("return r[2]") == 19
    with pytest.raises(moonfork.ScriptError) as caught:
        moonfork.Pool(functions={"rates": fails}, prelude="r = rates()")
    assert isinstance(caught.value.__cause__, LookupError)


def test_what_is_closed_or_gone_cannot_be_copied() -> None:
    with moonfork.Pool() as pool:
        branch = pool.branch(wall=0.1)
        with pytest.raises(moonfork.TimeLimit):
            branch.run("while true do end")
        with pytest.raises(moonfork.InstanceLost):
            branch.fork()
        with pytest.raises(moonfork.InstanceLost):
            branch.snapshot()
        branch.close()
        for copy in (branch.fork, branch.snapshot):
            with pytest.raises(RuntimeError, match="closed"):
                copy()
        with pool.branch() as other:
            snapshot = other.snapshot()
    with pytest.raises(RuntimeError, match="closed"):
        snapshot.branch()


def test_a_snapshot_is_not_pickled() -> None:
    with moonfork.Pool() as pool, pool.branch() as branch:
        with pytest.raises(TypeError, match="write it to a file"):
            pickle.dumps(branch.snapshot())


def _after_fork(snapshot: moonfork.Snapshot, queue: multiprocessing.SimpleQueue[str]) -> None:
    try:
        snapshot.branch()
    except Exception as error:
        queue.put(type(error).__name__ + ": " + str(error))


def test_a_snapshot_in_a_forked_process_says_so() -> None:
    context = multiprocessing.get_context("fork")
    with moonfork.Pool() as pool, pool.branch() as branch:
        snapshot = branch.snapshot()
        queue = context.SimpleQueue()
        child = context.Process(target=_after_fork, args=(snapshot, queue))
        child.start()
        child.join(60)
        assert child.exitcode == 0
        assert "Snapshot" in queue.get()
