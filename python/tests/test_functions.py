"""Python functions that scripts may call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import moonfork
import pytest


class OutOfStock(Exception):
    pass


def price(article: str) -> float:
    if article == "grommet":
        raise OutOfStock("no grommets")
    return {"washer": 0.5}[article]


async def later(value: int) -> int:
    await asyncio.sleep(0)
    return value * 2


@pytest.fixture(scope="module")
def shop() -> Iterator[moonfork.Pool]:
    functions: dict[str, Callable[..., Any]] = {"price": price, "later": later, "echo": lambda *args: list(args)}
    with moonfork.Pool(functions=functions, wall=10) as pool:
        yield pool


def test_a_function_is_called(shop: moonfork.Pool) -> None:
    assert shop.run("return price('washer') * 4") == 2.0
    assert shop.run("return echo(1, 'a', {b = 2}, nil)") == [1, "a", {"b": 2}, None]
    assert shop.run("return echo()") == []
    assert shop.run("return echo({1, 2})") == [[1, 2]]
    assert shop.run("return echo(nil)") == [None]


def test_an_exception_is_a_lua_error(shop: moonfork.Pool) -> None:
    caught = shop.run("local ok, why = pcall(price, 'grommet') return {ok, tostring(why)}")
    assert caught[0] is False
    assert "OutOfStock: no grommets" in caught[1]


def test_an_uncaught_exception_is_the_cause(shop: moonfork.Pool) -> None:
    with pytest.raises(moonfork.ScriptError, match="no grommets") as info:
        shop.run("price('grommet')")
    assert isinstance(info.value.__cause__, OutOfStock)


def test_a_caught_exception_is_not_the_cause(shop: moonfork.Pool) -> None:
    with pytest.raises(moonfork.ScriptError) as info:
        shop.run("pcall(price, 'grommet') error('something else')")
    assert info.value.__cause__ is None


def test_a_run_may_have_fewer_functions(shop: moonfork.Pool) -> None:
    with pytest.raises(moonfork.Denied, match="price"):
        shop.run("return price('washer')", functions=["echo"])
    assert shop.run("return echo(1)", functions=["echo"]) == [1]
    with pytest.raises(moonfork.OptionsRefused, match="prize"):
        shop.run("return 1", functions=["prize"])


def test_a_result_that_cannot_pass_is_an_error(shop: moonfork.Pool) -> None:
    with moonfork.Pool(functions={"bad": lambda: {"a": [object()]}}) as pool:
        with pytest.raises(moonfork.ScriptError, match=r"bad: .*its result\.a\[0\]: a value of type object"):
            pool.run("return bad()")
        # It isn't taken for what a later run fails with.
        with pytest.raises(moonfork.ValueRefused, match="function"):
            pool.run("pcall(bad) return print")


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="callable"):
        moonfork.Pool(functions={"price": 3})  # type: ignore[dict-item]


def test_a_function_may_use_the_pool_but_not_its_own_instance(pool: moonfork.Pool) -> None:
    seen: list[object] = []

    def nested() -> int:
        seen.append(nesting.run("return 1"))
        try:
            branch.run("return 1")
        except moonfork.WrongThread as error:
            seen.append(error.code)
        try:
            nesting.main()
        except moonfork.WrongThread as error:
            seen.append(error.code)
        return 5

    with moonfork.Pool(functions={"nested": nested}) as nesting, nesting.branch() as branch:
        assert branch.run("return nested()") == 5
    assert seen == [1, "reentrant", "reentrant"]


def test_a_coroutine_function_is_awaited(shop: moonfork.Pool) -> None:
    assert shop.run("return later(21)") == 42

    async def on_a_loop() -> int:
        result: int = await shop.run_async("return later(state)", 4)
        return result

    assert asyncio.run(on_a_loop()) == 8


def test_a_coroutine_function_in_the_middle_of_a_loop_says_what_to_do(shop: moonfork.Pool) -> None:
    async def on_a_loop() -> None:
        shop.run("return later(21)")

    with pytest.raises(moonfork.ScriptError, match="run_async"):
        asyncio.run(on_a_loop())


def test_host_calls_are_counted_and_limited(shop: moonfork.Pool) -> None:
    with shop.branch(host_calls=3) as branch:
        branch.run("for i = 1, 3 do echo() end")
        assert branch.report.host_calls == {"echo": 3}
        with pytest.raises(moonfork.CallLimit):
            branch.run("for i = 1, 4 do echo() end")


class Stop(BaseException):
    pass


def test_what_is_no_exception_stops_the_script() -> None:
    def stop() -> None:
        raise Stop

    with moonfork.Pool(functions={"stop": stop}, wall=20) as pool:
        with pytest.raises(Stop):
            pool.run("pcall(stop) while true do end")
