"""One fresh instance for each of many states."""

from __future__ import annotations

import threading

import moonfork
import pytest


def test_results_come_in_the_order_of_the_states(pool: moonfork.Pool) -> None:
    results = pool.map("return {n = state.n + 1}", ({"n": n} for n in range(100)))
    assert [result.value["n"] for result in results] == list(range(1, 101))
    ids = {result.report and result.report.store_id for result in results}
    assert len(ids) == 100


def test_one_that_fails_fails_alone(pool: moonfork.Pool) -> None:
    results = pool.map("if state == 2 then error('two') end return state", [1, 2, 3])
    assert [result.value for result in results] == [1, None, 3]
    assert isinstance(results[1].error, moonfork.ScriptError)
    assert results[1].report is not None
    with pytest.raises(moonfork.ScriptError, match="two"):
        results[1].unwrap()
    assert results[2].unwrap() == 3


def test_a_state_that_cannot_pass_fails_alone(pool: moonfork.Pool) -> None:
    results = pool.map("return state", [1, {"a": object()}])
    assert results[0].value == 1
    assert isinstance(results[1].error, TypeError)
    assert "state.a" in str(results[1].error)


def test_nothing_gives_nothing(pool: moonfork.Pool) -> None:
    assert pool.map("return state", []) == []


def test_more_states_than_branches() -> None:
    with moonfork.Pool(max_branches=2) as pool:
        results = pool.map("return state", range(20), max_workers=8)
        assert [result.value for result in results] == list(range(20))


def test_limits_hold_for_each(pool: moonfork.Pool) -> None:
    results = pool.map(
        "if state == 0 then while true do end end return state", [0, 1, 0, 1], wall=0.05
    )
    assert [result.value for result in results] == [None, 1, None, 1]
    assert all(isinstance(results[index].error, moonfork.TimeLimit) for index in (0, 2))


def test_a_cancel_stops_them_all() -> None:
    cancel = moonfork.Cancel()
    begun = threading.Event()

    def stop() -> None:
        begun.wait()
        cancel.cancel()

    with moonfork.Pool(functions={"begin": begun.set}) as pool:
        threading.Thread(target=stop).start()
        results = pool.map("begin() while true do end", [None] * 8, cancel=cancel)
    assert cancel.is_cancelled
    assert all(isinstance(result.error, moonfork.Cancelled) for result in results)


def test_functions_are_called_from_all_of_them() -> None:
    with moonfork.Pool(functions={"double": lambda n: 2 * n}) as pool:
        results = pool.map("return double(state)", range(50))
        assert [result.value for result in results] == [2 * n for n in range(50)]
