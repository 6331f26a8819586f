"""Pools that are made and dropped, and calls that are made again and again, leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LEAKS = Path(__file__).parents[1] / "benches" / "leaks.py"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_grows() -> None:
    """The bench with fewer of them."""
    done = subprocess.run(
        [sys.executable, str(LEAKS), "--pools", "100", "--calls", "20000"],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("MB after each tenth") == 3
