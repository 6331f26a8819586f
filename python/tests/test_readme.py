"""What the README shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import moonfork
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def block(marker: str) -> str:
    found = [text for text in BLOCKS if marker in text]
    assert len(found) == 1, marker
    return str(found[0])


def test_the_first_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(moonfork.Error, match="os"):
        exec(block("state.n * 2"), {})
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "42"
    assert "ran longer than 300ms" in shown[1]


def test_the_refused_integer(pool: moonfork.Pool) -> None:
    text = block("2**70")
    with pytest.raises(OverflowError) as info:
        pool.run("return 1", state={"items": [1, 2**70]})
    assert text.splitlines()[-1] == f"OverflowError: {info.value}"


def test_limits() -> None:
    exec(block("host_calls=10"), {"moonfork": moonfork})


def test_functions() -> None:
    lines = block("def price").splitlines()
    raising = [number for number, line in enumerate(lines) if "raises" in line]
    assert len(raising) == 1
    names: dict[str, Any] = {"moonfork": moonfork}
    with pytest.raises(moonfork.ScriptError) as info:
        exec("\n".join(lines), names)
    assert isinstance(info.value.__cause__, KeyError)
    del lines[raising[0]]
    exec("\n".join(lines), names)


def test_many(pool: moonfork.Pool) -> None:
    names: dict[str, Any] = {"pool": pool}
    exec(block("pool.map"), names)
    assert names["results"][999].value == {"n": 1000}


def test_a_branch(pool: moonfork.Pool) -> None:
    exec(block("branch.report.peak_memory"), {"pool": pool})


def test_every_block_compiles() -> None:
    for text in BLOCKS:
        if not text.startswith(">>>") and "await" not in text:
            compile(text, "README.md", "exec")


def test_every_class_is_named() -> None:
    classes = [
        name
        for name in moonfork.__all__
        if isinstance(getattr(moonfork, name), type)
        and issubclass(getattr(moonfork, name), Exception)
    ]
    assert len(classes) > 15
    for name in classes:
        assert f"`{name}`" in README or name == "Error", name
