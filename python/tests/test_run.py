"""One fresh instance, one call, its value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import moonfork
import pytest


def test_a_value_comes_back(pool: moonfork.Pool) -> None:
    assert pool.run("return 1 + 1") == 2
    assert pool.run("6 * 7") == 42


def test_the_state_is_seen(pool: moonfork.Pool) -> None:
    assert pool.run("return state.n * 2", state={"n": 21}) == 42
    assert pool.run("return state", 5) == 5


def test_each_run_has_an_instance_of_its_own(pool: moonfork.Pool) -> None:
    pool.run("leaked = 1")
    assert pool.run("return leaked") is None


def test_a_run_may_have_narrower_limits(pool: moonfork.Pool) -> None:
    with pytest.raises(moonfork.TimeLimit):
        pool.run("while true do end", wall=0.05)
    with pytest.raises(moonfork.OptionsRefused, match="wall"):
        pool.run("return 1", wall=11)


def test_unknown_settings_are_refused(pool: moonfork.Pool) -> None:
    with pytest.raises(TypeError, match="'wal'"):
        pool.run("return 1", wal=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'memroy'"):
        moonfork.Pool(memroy="1MiB")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory", "lots"),
        ("memory", -1),
        ("memory", True),
        ("wall", -1),
        ("wall", "1s"),
        ("wall", float("nan")),
        ("host_calls", 1.5),
        ("functions", "price"),
        ("functions", {"price": print}),
        ("folders", ["data"]),
        ("variables", [1]),
        ("clock", "utc"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    pool: moonfork.Pool, name: str, value: Any
) -> None:
    with pytest.raises((TypeError, ValueError), match=name):
        pool.run("return 1", **{name: value})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: moonfork.Pool(memory="1KiB"), "memory: it must be between 4MiB"),
        (lambda: moonfork.Pool(max_branches=-1), r"max_branches is out of range: .*2\*\*32 - 1, not -1"),
        (lambda: moonfork.Pool(max_branches="5"), "max_branches must be a whole number, not '5'"),  # type: ignore[arg-type]
        (lambda: moonfork.Pool(seed=2**64), r"seed is out of range: .*2\*\*64 - 1"),
        (lambda: moonfork.Pool().map("return 1", [1], max_workers=0), "max_workers must be at least 1"),
        (
            lambda: moonfork.Workflow(text="nodes: [{name: a, run: return 1}]").run(
                moonfork.Pool(), interrupt_before="a"
            ),
            "interrupt_before must be a list of names of nodes, not 'a'",
        ),
        (
            lambda: moonfork.Workflow(text="nodes: [{name: a, run: return 1}]").run(
                moonfork.Pool(), threads=2  # type: ignore[call-arg]
            ),
            "unexpected keyword argument 'threads'; settings of a workflow's run are workers, max_workers",
        ),
    ],
)
def test_messages_name_the_setting_and_what_it_may_be(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_a_closed_pool_says_so() -> None:
    with moonfork.Pool(max_branches=1) as pool:
        assert pool.run("return 1") == 1
    with pytest.raises(RuntimeError, match="closed"):
        pool.run("return 1")
    with pytest.raises(RuntimeError, match="closed"):
        pool.__enter__()


def test_grants_are_what_a_run_may_do(pool: moonfork.Pool, tmp_path: Path) -> None:
    with pytest.raises(moonfork.Denied) as denied:
        pool.run("return os.time()")
    assert "clock" in denied.value.capability
    assert isinstance(denied.value, PermissionError)
    assert pool.run("return os.time()", clock=86400.0) == 86400
    assert pool.run("return variables.rate", variables={"rate": 0.19}) == 0.19
    folder = tmp_path
    (folder / "a.txt").write_text("text")
    assert pool.run("return fs.read('data/a.txt')", folders={"data": folder}) == "text"
    with pytest.raises(moonfork.Error):
        pool.run("fs.write('data/b.txt', 'x')", folders={"data": folder})
    pool.run("fs.write('data/b.txt', 'x')", folders={"data": (folder, "rw")})
    assert (folder / "b.txt").read_text() == "x"


def test_a_seed_gives_the_same_numbers(pool: moonfork.Pool) -> None:
    one, other = (pool.run("return math.random(1 << 30)", seed=7) for _ in range(2))
    assert one == other
    assert pool.run("return math.random(1 << 30)", seed=8) != one


def test_modules_are_required_by_name() -> None:
    with moonfork.Pool(modules={"tax": "return {rate = 0.19}"}) as pool:
        assert pool.run("return require('tax').rate") == 0.19
        with pytest.raises(moonfork.Denied):
            pool.run("return require('tax').rate", modules=[])


def test_fuel_is_counted_where_it_is_asked_for() -> None:
    with moonfork.Pool(fuel=100_000) as pool:
        assert pool.is_metered
        assert pool.run("return 1") == 1
        with pytest.raises(moonfork.FuelLimit):
            pool.run("for i = 1, 1e9 do end")
