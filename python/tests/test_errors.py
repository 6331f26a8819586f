"""Each way to fail is a class of its own, says where, and can be pickled."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moonfork
import pytest
from moonfork import _errors


def raised(pool: moonfork.Pool, code: str, **options: Any) -> moonfork.Error:
    with pytest.raises(moonfork.Error) as info:
        pool.run(code, **options)
    return info.value


def test_a_script_error_says_where(pool: moonfork.Pool) -> None:
    error = raised(pool, "local x = 1\nerror('boom')")
    assert type(error) is moonfork.ScriptError
    assert (error.code, error.line) == ("script", 2)
    assert "boom" in str(error)
    assert error.lua_traceback
    assert error.report is not None and error.report.calls == 1


def test_an_error_value_comes_along(pool: moonfork.Pool) -> None:
    error = raised(pool, "error({code = 404, message = 'no such order'})")
    assert isinstance(error, moonfork.ScriptError)
    assert error.value == {"code": 404, "message": "no such order"}


def test_a_syntax_error_has_its_line(pool: moonfork.Pool) -> None:
    error = raised(pool, "local x = 1\nlocal = 2", name="prices.lua")
    assert type(error) is moonfork.LuaSyntaxError
    assert error.line == 2
    assert "prices.lua:2:" in str(error)


@pytest.mark.parametrize(
    ("code", "options", "kind", "builtin"),
    [
        ("while true do end", {"wall": 0.05}, moonfork.TimeLimit, TimeoutError),
        (
            "t = {} while true do t[#t + 1] = ('x'):rep(1 << 16) .. #t end",
            {"memory": "8MiB"},
            moonfork.MemoryLimit,
            MemoryError,
        ),
        ("return os.time()", {}, moonfork.Denied, PermissionError),
        ("return print", {}, moonfork.ValueRefused, ValueError),
    ],
)
def test_kinds_are_those_of_python_too(
    pool: moonfork.Pool,
    code: str,
    options: dict[str, Any],
    kind: type[moonfork.Error],
    builtin: type[Exception],
) -> None:
    error = raised(pool, code, **options)
    assert type(error) is kind
    assert isinstance(error, builtin)


def test_classes_are_shown_where_they_are_looked_for() -> None:
    classes = [it for it in map(moonfork.__dict__.get, moonfork.__all__) if isinstance(it, type)]
    assert len(classes) > 30
    assert {it.__module__ for it in classes} == {"moonfork"}


@pytest.mark.parametrize("kind", sorted(set(_errors.CLASSES.values()), key=str))
def test_each_class_can_be_pickled_and_copied(kind: type[moonfork.Error]) -> None:
    error = kind("message", code="code", line=3, lua_traceback="trace")
    for back in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(back) is kind
        assert str(back) == str(error)
        assert (back.code, back.line, back.lua_traceback) == ("code", 3, "trace")


def test_what_a_run_raised_can_be_pickled(pool: moonfork.Pool) -> None:
    error = raised(pool, "error({code = 404})")
    back = pickle.loads(pickle.dumps(error))
    assert isinstance(back, moonfork.ScriptError)
    assert back.value == {"code": 404}
    assert isinstance(error, moonfork.ScriptError)
    assert back.report == error.report


def test_each_kind_of_the_library_has_its_class() -> None:
    host = Path(__file__).parents[2] / "host"
    sources = [file.read_text() for file in sorted(host.glob("error*/*.rs")) + [*host.glob("error.rs")]]
    text = next(source for source in sources if "pub fn code(&self)" in source)
    body = text[text.index("pub fn code(&self)") :]
    body = body[: body.index("\n    }\n")]
    codes = set(re.findall(r'=> "([a-z_]+)"', body))
    assert len(codes) > 15
    assert codes <= set(_errors.CLASSES)


@pytest.mark.parametrize(
    "what",
    ["pool", "branch", "main"],
)
def test_what_lives_in_this_process_refuses_pickling_with_advice(
    pool: moonfork.Pool, what: str
) -> None:
    make: dict[str, Callable[[], object]] = {
        "pool": lambda: pool,
        "branch": pool.branch,
        "main": pool.main,
    }
    thing = make[what]()
    with pytest.raises(TypeError, match="this process"):
        pickle.dumps(thing)
