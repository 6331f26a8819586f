"""What the README shows is what happens: its blocks are run one after another, as a reader would, and what
stands behind an expression as a comment is what it gives, prints or raises."""

from __future__ import annotations

import ast
import contextlib
import io
import re
import tokenize
from pathlib import Path
from typing import Any

import moonfork
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
#: The language of each block, the text in front of it, and what it says.
BLOCKS = re.findall(r"([^\n]*)\n+```(\w+)\n(.*?)```", README, re.DOTALL)


def is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return False
    return True


class Checking(ast.NodeTransformer):
    """Has expressions checked against the comments behind them."""

    def __init__(self, source: str) -> None:
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        self.comments = {
            token.start[0]: token.string.lstrip("# ").strip()
            for token in tokens
            if token.type == tokenize.COMMENT
        }

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        comment = self.comments.get(node.end_lineno or 0, "")
        prints = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "print"
        if not comment or not (comment.startswith("raises ") or prints or is_literal(comment)):
            return node
        function = ast.Name("_check", ast.Load())
        thunk = ast.Lambda(ast.arguments([], [], None, [], [], None, []), node.value)
        node.value = ast.Call(function, [thunk, ast.Constant(comment)], [])
        return ast.fix_missing_locations(node)


def test_its_blocks_run_one_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    checked = 0

    def check(thunk: Any, comment: str) -> None:
        nonlocal checked
        checked += 1
        if comment.startswith("raises "):
            name = comment.split()[1].rstrip(",")
            with pytest.raises(Exception) as info:
                thunk()
            assert type(info.value).__name__ == name, comment
            raised.append(info.value)
            return
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            value = thunk()
        shown = printed.getvalue().rstrip("\n") or repr(value)
        assert shown == comment

    raised: list[Exception] = []
    names: dict[str, Any] = {"_check": check, "__name__": "__main__"}
    for before, language, text in BLOCKS:
        named = re.search(r"here `([\w/]+\.\w+)`:", before)
        if language == "python" and not named:
            tree = ast.parse(text)
            code = compile(Checking(text).visit(tree), "README.md", "exec")
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, names)
        elif named:
            file = tmp_path / named[1]
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
    assert checked >= 17
    overflow = next(error for error in raised if isinstance(error, OverflowError))
    assert f"# {overflow}\n" in README
    failed = next(error for error in raised if type(error) is moonfork.ScriptError)
    assert isinstance(failed.__cause__, KeyError)


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
