"""A module that workers import: what a shop does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import moonfork


def price(article: str) -> float:
    return {"washer": 0.5, "bolt": 0.25}[article]


@moonfork.with_call
def charge(call: moonfork.HostCall, folder: str, order: int) -> str:
    """Notes what it is asked for, and ends its process in the midst of it the first time that order 2 comes."""
    assert call.idempotency_key is not None
    file = Path(folder, f"order-{order}")
    with file.open("a") as noted:
        noted.write(call.idempotency_key + "\n")
    if order == 2 and file.read_text().count("\n") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return call.idempotency_key


async def pid() -> int:
    return os.getpid()


FUNCTIONS: dict[str, Callable[..., Any]] = {"price": price, "charge": charge, "pid": pid, "say": print}


def pool() -> moonfork.Pool:
    return moonfork.Pool(functions=FUNCTIONS, memory="32MiB", wall=30)
