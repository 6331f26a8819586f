"""The command `moonfork`, as pip installs it."""

from __future__ import annotations

import signal
import sys

from . import _native


def main() -> None:
    """Does what the command line says, and exits with its code."""
    # The native part has a handler of its own, and Python's would never be asked.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(_native.command_line(["moonfork", *sys.argv[1:]]))
