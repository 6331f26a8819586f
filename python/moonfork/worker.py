"""``python -m moonfork.worker module:pool`` runs branches of workflows for other processes.

It serves the run that started it (`moonfork.Workers.processes` does), or with ``--nats URL`` runs
anywhere, by way of a server of NATS. ``module:pool`` is a `moonfork.Pool`, or a function that makes
one: what branches may do, and which host functions there are, is up to it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

from . import Worker, _native, serve


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m moonfork.worker",
        description="Runs branches of workflows for the run that started it, or for runs anywhere (--nats).",
        allow_abbrev=False,
    )
    parser.add_argument(
        "pool", metavar="MODULE:POOL", help="a moonfork.Pool, or a function that makes one"
    )
    parser.add_argument(
        "--nats", metavar="URL", help="serve this server of NATS: nats://HOST:PORT, or tls://HOST:PORT"
    )
    parser.add_argument("--slots", type=int, metavar="N", help="how many branches run at a time")
    parser.add_argument("--worker-pool", metavar="NAME", help="the pool of workers that it belongs to")
    parser.add_argument(
        "--grace", type=float, metavar="SECONDS", help="how long branches may go on when it is to stop"
    )
    parser.add_argument("--nats-creds", metavar="FILE", help="who asks: a file of credentials")
    parser.add_argument("--nats-ca", metavar="FILE", help="authorities to trust besides the system's")
    parser.add_argument("--nats-cert", metavar="FILE", help="a certificate to show the server")
    parser.add_argument("--nats-key", metavar="FILE", help="the key of that certificate")
    parser.add_argument("--sys-path", metavar="PATH", help=argparse.SUPPRESS)
    return parser


def _find(name: str) -> _native.Pool:
    """The pool of that name."""
    module, colon, path = name.partition(":")
    if not (module and colon and path):
        raise SystemExit(f"error: a pool is named as module:name, not {name!r}")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise SystemExit(f"error: there is no {path!r} in the module {module!r}") from None
    if not isinstance(found, _native.Pool) and callable(found):
        found = found()
    if not isinstance(found, _native.Pool):
        raise SystemExit(f"error: {name} is no moonfork.Pool, and makes none: {found!r}")
    return found


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until there is nothing more to serve, or it is told to stop by SIGTERM or Ctrl-C."""
    parser = _arguments()
    said = parser.parse_args(arguments)
    if (said.nats_cert is None) != (said.nats_key is None):
        parser.error("--nats-cert and --nats-key go together")
    if said.sys_path is not None:
        sys.path[:] = said.sys_path.split(os.pathsep)
    elif "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    of_server = {
        "slots": said.slots,
        "worker_pool": said.worker_pool,
        "grace": said.grace,
        "credentials": said.nats_creds,
        "trust": said.nats_ca,
        "certificate": said.nats_cert and (said.nats_cert, said.nats_key),
    }
    if said.nats is None:
        unused = [name for name, value in of_server.items() if value is not None]
        if unused:
            parser.error("this is for a server of NATS, and there is none: " + ", ".join(unused))
        serve(_find(said.pool))
        return
    worker = Worker(
        _find(said.pool),
        said.nats,
        on_note=lambda note: print(f"worker: {note}", file=sys.stderr, flush=True),
        **of_server,
    )
    signal.signal(signal.SIGTERM, _stop)
    try:
        worker.serve()
    except KeyboardInterrupt:
        # As told.
        sys.exit(130)


if __name__ == "__main__":
    main()
