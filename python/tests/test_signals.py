"""Ctrl-C stops what the main thread runs. Each in a process of its own, which is sent the signal."""

from __future__ import annotations

import signal
import subprocess
import sys

import moonfork
import pytest

SCRIPT = """
import moonfork, os, signal, threading

def begin():
    # From another thread, so that the signal comes in the middle of the script.
    threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

pool = moonfork.Pool(functions={"begin": begin}, wall=60)
endless = "begin() while true do end"
try:
    %s
except KeyboardInterrupt:
    print("interrupted", pool.live_count)
else:
    print("went on")
print(pool.run("return 1"))
"""


@pytest.mark.parametrize(
    "run",
    [
        "pool.run(endless)",
        "pool.run(\"begin() string.find(('a'):rep(28), ('a?'):rep(28) .. ('a'):rep(28))\")",
        "pool.run('begin() while true do pcall(function() while true do end end) end')",
        "pool.branch().run(endless)",
        "pool.main().run(endless)",
        "pool.map(endless, [1])",
        "moonfork.Workflow(text='nodes: [{name: a, run: \"begin() while true do end\"}]').run(pool)",
        "list(moonfork.Workflow(text='nodes: [{name: a, run: \"begin() while true do end\"}]')"
        ".stream(pool))",
    ],
)
def test_ctrl_c_ends_it_and_the_pool_lives_on(run: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT % run], capture_output=True, text=True, timeout=60
    )
    lines = done.stdout.splitlines()
    assert lines and lines[0].startswith("interrupted"), done.stderr
    assert lines[1] == "1"


def test_a_handler_that_does_not_raise_lets_it_go_on() -> None:
    script = SCRIPT.replace(
        "pool = ", "signal.signal(signal.SIGINT, lambda *_: handled.set())\n"
        "handled = threading.Event()\npool = ", 1
    ) % "pool.run('begin() for i = 1, 3e7 do end')"
    script += "print(handled.is_set())"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["went on", "1", "True"], done.stderr


def test_the_command_ends_with_130() -> None:
    command = [sys.executable, "-m", "moonfork", "eval", "print('begun') while true do end"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    # What scripts print goes to standard error.
    assert "begun" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT)


def test_the_command_says_its_name_and_version() -> None:
    command = [sys.executable, "-m", "moonfork", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"moonfork {moonfork.__version__}\n"
