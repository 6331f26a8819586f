"""What passes between Python and Lua, and what is refused with its path."""

from __future__ import annotations

import math

import moonfork
import pytest


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        2**63 - 1,
        -(2**63),
        1.5,
        5.0,
        "",
        "text",
        "ünïcödé \U0001f319",
        [],
        [1, 2, 3],
        [1, None, 3],
        {},
        {"a": {"b": [1, {"c": "d"}]}},
        {"1": "a", "2": "b"},
        [[], {}, [[]]],
        {"a": None, "b": 1},
        b"\xff\x00",
        [b"\xff", "text"],
    ],
    ids=repr,
)
def test_what_goes_in_comes_back(pool: moonfork.Pool, value: object) -> None:
    back = pool.run("return state", value)
    assert back == value
    assert type(back) is type(value)


def test_a_float_stays_one_and_a_tuple_is_a_list(pool: moonfork.Pool) -> None:
    assert type(pool.run("return state", 5.0)) is float
    assert pool.run("return state", (1, 2)) == [1, 2]
    assert pool.run("return math.type(state)", 3) == "integer"


class Celsius(float):
    """A subclass passes as what it is derived from."""


def test_subclasses_pass(pool: moonfork.Pool) -> None:
    assert pool.run("return state", Celsius(1.5)) == 1.5


@pytest.mark.parametrize(
    ("value", "kind", "path"),
    [
        ({"items": [1, 2, {"n": 2**63}]}, OverflowError, r"state\.items\[2\]\.n"),
        (2**70, OverflowError, "state: .*64 bits"),
        ({"a": {1, 2}}, TypeError, r"state\.a: a value of type set"),
        ({"a": [object()]}, TypeError, r"state\.a\[0\]: a value of type object"),
        ({1: "a"}, TypeError, "state: a key is of type int"),
        ({"a": "\ud800"}, ValueError, r"state\.a: .*surrogate"),
    ],
)
def test_what_cannot_pass_names_its_path(
    pool: moonfork.Pool, value: object, kind: type[Exception], path: str
) -> None:
    with pytest.raises(kind, match=path):
        pool.run("return 1", value)


def test_a_list_that_contains_itself_is_refused(pool: moonfork.Pool) -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="contains itself"):
        pool.run("return 1", endless)


@pytest.mark.parametrize(
    "code",
    [
        "return print",
        "return {a = function() end}",
        "return coroutine.create(print)",
        "return 0/0",
        "return {x = math.huge}",
        "local t = {} t[1] = t return t",
    ],
)
def test_what_python_has_no_counterpart_for_is_refused(pool: moonfork.Pool, code: str) -> None:
    with pytest.raises(moonfork.ValueRefused) as refused:
        pool.run(code)
    assert isinstance(refused.value, ValueError)


def test_arguments_name_their_place(pool: moonfork.Pool) -> None:
    with pool.branch() as branch:
        branch.run("function f() end")
        with pytest.raises(TypeError, match=r"args\[1\]"):
            branch.call("f", 1, object())


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_json_has_no_number_for_is_refused(pool: moonfork.Pool, number: float) -> None:
    with pytest.raises(moonfork.ValueRefused, match="NaN and infinities"):
        pool.run("return 1", {"a": number})


def test_a_value_that_contains_itself_does_not_fill_the_message(pool: moonfork.Pool) -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match=r"^state(\[0\]){12}\.\.\.: it is nested more than 100"):
        pool.run("return 1", endless)


def test_numbers_of_other_libraries_say_how_they_pass(pool: moonfork.Pool) -> None:
    class Scalar:
        def tolist(self) -> int:
            return 1

    with pytest.raises(TypeError, match=r"state\.n: .*Scalar.*tolist\(\)"):
        pool.run("return 1", {"n": Scalar()})


@pytest.mark.parametrize(
    "value",
    [None, True, False, 0, -(2**63), 2**63 - 1, 0.5, 1e300, "", "a", "ä" * 128, "x" * 257, b"\xff"],
)
def test_values_pass_by_each_way(pool: moonfork.Pool, value: object) -> None:
    """Small ones are taken from Python before a run, others while the state is converted."""
    seen: list[object] = []

    def give(given: object) -> object:
        seen.append(given)
        return given

    with moonfork.Pool(functions={"give": give}) as giving, giving.branch() as branch:
        assert giving.run("return give(state)", value) == value
        branch.run("function same(...) return ... end")
        assert branch.call("same", value) == value
        branch.set("kept", value)
        assert branch.get("kept") == value
        assert [result.value for result in giving.map("return give(state)", [value])] == [value]
    assert all(type(it) is type(value) and it == value for it in seen) and len(seen) == 2
