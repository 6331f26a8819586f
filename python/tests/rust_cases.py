"""The Lua scripts of the library's own tests, read out of their Rust source."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "tests" / "runtime"

#: A string literal: raw, or with escapes.
_LITERAL = r'r#"(?P<raw>.*?)"#|"(?P<text>(?:[^"\\]|\\.)*)"'
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"', "'": "'"}


def _unescaped(match: re.Match[str]) -> str:
    if match["raw"] is not None:
        return match["raw"]
    # A backslash at a line's end goes with the white space behind it.
    text = re.sub(r"\\\n\s*", "", match["text"])
    return re.sub(r"\\(.)", lambda escape: _ESCAPES[escape[1]], text)


def cases(file: str, function: str) -> dict[str, str]:
    """The scripts that a test of a file is given, by name: the first text of each ``#[case]``, or
    the texts of its ``#[values]``."""
    source = (FOLDER / file).read_text()
    found = re.search(rf"\bfn {function}\b(?P<signature>[^{{]*)\{{", source)
    assert found is not None, f"{file} has no test {function}"
    # The attributes in front of it: back to where the function before it ends.
    attributes = source[: found.start()].rpartition("\n}\n")[2]
    scripts: dict[str, str] = {}
    for case in re.finditer(rf"#\[case(?:::(?P<name>\w+))?\(\s*(?:{_LITERAL})", attributes, re.DOTALL):
        scripts[case["name"] or f"case {len(scripts) + 1}"] = _unescaped(case)
    if not scripts:
        for value in re.finditer(_LITERAL, found["signature"], re.DOTALL):
            scripts[f"case {len(scripts) + 1}"] = _unescaped(value)
    assert scripts, f"{file}: {function} has no scripts"
    return scripts

