"""What the tests share: one pool, since the first of a process compiles the sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import moonfork
import pytest


@pytest.fixture(scope="session")
def pool() -> Iterator[moonfork.Pool]:
    with moonfork.Pool(memory="32MiB", wall=10) as pool:
        yield pool
