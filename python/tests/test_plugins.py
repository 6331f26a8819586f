"""Plugins from Python: those of the examples, and one of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import moonfork
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "plugins"


def list_price(article: str) -> int:
    return {"washer": 5}[article]


@pytest.fixture(scope="module")
def host() -> Iterator[moonfork.PluginHost]:
    with moonfork.Pool(functions={"list_price": list_price}) as pool:
        yield moonfork.PluginHost(
            pool,
            EXAMPLES,
            functions=["list_price"],
            variables={"currency": "EUR"},
            max_kept=4,
        )


def test_plugins_are_known_by_name(host: moonfork.PluginHost) -> None:
    assert set(host.plugins) == {"log-parser", "pricing"}
    assert host.tenant("acme").name == "acme"


def test_an_export_is_called(host: moonfork.PluginHost) -> None:
    summary = host.tenant("acme").call("log-parser", "summary", "nothing")
    assert isinstance(summary, dict)


def test_what_is_not_there_is_said(host: moonfork.PluginHost) -> None:
    with pytest.raises(moonfork.PluginError, match="pricing"):
        host.tenant("acme").call("prcing", "quote")
    with pytest.raises(moonfork.PluginError, match="quote"):
        host.tenant("acme").call("pricing", "quot")


def test_a_plugin_that_wants_more_is_refused(pool: moonfork.Pool) -> None:
    with pytest.raises(moonfork.LoadError) as info:
        moonfork.PluginHost(pool, EXAMPLES)
    assert any("list_price" in problem.message for problem in info.value.problems)


def test_a_failing_plugin_raises_what_a_run_would(tmp_path: Path, pool: moonfork.Pool) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "plugin.toml").write_text(
        'name = "bad"\nversion = "1.0.0"\nentry = "main.lua"\n[exports]\nboom = "Fails."\n'
    )
    (folder / "main.lua").write_text("function boom() error('boom') end\n")
    host = moonfork.PluginHost(pool, tmp_path)
    with pytest.raises(moonfork.ScriptError, match="boom"):
        host.tenant("acme").call("bad", "boom")
