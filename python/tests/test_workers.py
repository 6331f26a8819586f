"""Branches in other processes, and what calls of functions go by."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import moonfork
import pytest
import shop

PRICES = """
nodes:
  - name: each
    type: dynamic_parallel
    items: [1, 2, 3, 4, 5, 6]
    collect: errors
    reduce: {total: sum, pids: union}
    run: |
      say("printed")
      return {total = price("washer") * state.item, pids = {pid()}}
"""

CHARGES = """
nodes:
  - name: each
    type: dynamic_parallel
    items: [0, 1, 2, 3]
    run: return {key = charge(state.folder, state.item)}
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[moonfork.Pool]:
    with shop.pool() as pool:
        yield pool


@pytest.mark.parametrize("named", [shop.pool, "shop:pool"])
def test_functions_of_a_module_are_there(pool: moonfork.Pool, named: object) -> None:
    workers = moonfork.Workers.processes(2, pool=named)  # type: ignore[arg-type]
    for _ in range(2):
        outcome = moonfork.Workflow(text=PRICES).run(pool, workers=workers)
        assert outcome.state["total"] == 0.5 * 21
        assert outcome.state["parallel_results"] == []
        assert os.getpid() not in outcome.state["pids"]
        reports = outcome.report["instances"]
        assert all(report["worker"] for report in reports if report["branch"])
    assert repr(workers) == "<moonfork.Workers, 2 processes>"


def test_what_only_the_run_has_is_refused(pool: moonfork.Pool) -> None:
    workers = moonfork.Workers.processes(1)
    with pytest.raises(moonfork.RunError, match="the workers lack .*`price`"):
        moonfork.Workflow(text=PRICES).run(pool, workers=workers)
    # Which they don't have to have where nothing needs it.
    sums = moonfork.Workflow(text=PRICES.replace('say("printed")', "").replace("pid()", "1")
                             .replace('price("washer")', "0.5"))
    outcome = sums.run(pool, workers=workers, functions=[])
    assert outcome.state["total"] == 0.5 * 21


def test_a_killed_worker_is_replaced_and_its_call_is_known(
    pool: moonfork.Pool, tmp_path: Path
) -> None:
    workers = moonfork.Workers.processes(2, pool=shop.pool)
    flow = moonfork.Workflow(text=CHARGES)
    outcome = flow.run(pool, {"folder": str(tmp_path)}, workers=workers)
    noted = {n: (tmp_path / f"order-{n}").read_text().split() for n in range(4)}
    assert len(noted[2]) == 2 and len(set(noted[2])) == 1
    assert len({keys[0] for keys in noted.values()}) == 4
    keys = [entry["state"]["key"] for entry in outcome.state["parallel_results"]]
    assert keys == [noted[n][0] for n in range(4)]


def test_what_a_function_is_told_of_its_call() -> None:
    told = []

    @moonfork.with_call
    async def ask(call: moonfork.HostCall, n: int) -> int:
        told.append((call.idempotency_key, call.store_id is not None, call.is_cancelled))
        assert call.remaining is not None and 0 < call.remaining <= 5
        return n + 1

    class Bank:
        @moonfork.with_call
        def pay(self, call: moonfork.HostCall, n: int) -> str | None:
            return call.idempotency_key

    with moonfork.Pool(functions={"ask": ask, "pay": Bank().pay}, wall=5) as own:
        assert own.run("return ask(1)") == 2
        assert own.run("return pay(1)") is None
        flow = moonfork.Workflow(text="nodes: [{name: a, run: 'return {n = ask(1), key = pay(2)}'}]")
        state = flow.run(own).state
    assert state["n"] == 2
    assert told[0] == (None, True, False)
    keys = [told[1][0], state["key"]]
    assert all(isinstance(key, str) for key in keys) and keys[0] != keys[1]
    with pytest.raises(TypeError, match="function of your own"):
        moonfork.with_call(len)


def test_mistakes_are_told_apart(pool: moonfork.Pool) -> None:
    flow = moonfork.Workflow(text=PRICES)
    with pytest.raises(TypeError, match="Workers.processes"):
        flow.run(pool, workers=4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nats://HOST:PORT"):
        flow.run(pool, workers="127.0.0.1:4222")
    with pytest.raises(ValueError, match="nats://HOST:PORT"):
        moonfork.Worker(pool, "http://127.0.0.1")
    with pytest.raises(TypeError, match="worker_pool"):
        moonfork.Workers.nats("nats://127.0.0.1", slots=1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="'module:name'"):
        moonfork.Workers.processes(1, pool="shop")
    with pytest.raises(TypeError, match="can't import"):
        moonfork.Workers.processes(1, pool=lambda: pool)
    with pytest.raises(TypeError, match="each worker has a pool of its own"):
        moonfork.Workers.processes(1, pool=pool)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="leave out"):
        moonfork.Workers.processes(1, pool="shop:pool", command=["x"])
    with pytest.raises(ValueError, match="at least 1"):
        moonfork.Workers.processes(0)
    workers = moonfork.Workers.processes(1, command=["no-such-program"])
    with pytest.raises(moonfork.RunError, match="no worker can be started"):
        flow.run(pool, workers=workers)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(workers)
    with pytest.raises(moonfork.RunError, match="no connection"):
        flow.run(pool, workers="nats://127.0.0.1:1")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("shop", "named as module:name"),
        ("shop:absent", "there is no 'absent'"),
        ("shop:price", "price() missing"),
        ("shop:FUNCTIONS", "is no moonfork.Pool"),
        ("absent_module:pool", "absent_module"),
    ],
)
def test_a_pool_that_is_not_there_is_said_to_be_none(name: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "moonfork.worker", name],
        capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent, stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1 and said in done.stderr, done.stderr
    assert done.stdout == ""


INTERRUPTED = """
import os, signal, sys, threading
import moonfork, shop

if __name__ == "__main__":
    flow = moonfork.Workflow(text="nodes: [{name: each, parallel_each: [1, 2], run: 'while true do end'}]")
    workers = moonfork.Workers.processes(2, pool=shop.pool)
    with shop.pool() as pool, flow.stream(pool, workers=workers) as stream:
        try:
            for event in stream:
                if event["type"] == "node_start" or event["type"] == "branch_start":
                    threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()
        except KeyboardInterrupt:
            print("interrupted")
"""


def test_ctrl_c_ends_branches_in_processes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent,
    )
    assert done.stdout == "interrupted\n", done.stderr


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = os.environ.get("MOONFORK_NATS_SERVER")
    if not program:
        pytest.skip("MOONFORK_NATS_SERVER names no server of NATS")
    folder = tmp_path_factory.mktemp("nats")
    ports = folder / "ports"
    ports.mkdir()
    server = subprocess.Popen(
        [program, "-js", "-sd", str(folder / "store"), "-a", "127.0.0.1", "-p", "-1",
         "--ports_file_dir", str(ports), "-l", str(folder / "log")],
    )
    while not (files := list(ports.glob("*.ports"))) or not files[0].read_text():
        assert server.poll() is None, (folder / "log").read_text()
    import json

    yield json.loads(files[0].read_text())["nats"][0]
    server.kill()
    server.wait()


def worker(url: str, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "moonfork.worker", "shop:pool", "--nats", url, *more],
        cwd=Path(__file__).parent, text=True, stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_workers_of_a_server(pool: moonfork.Pool, url: str, stop: signal.Signals) -> None:
    name = f"pool-{int(stop)}"
    process = worker(url, "--worker-pool", name, "--slots", "2")
    try:
        workers = moonfork.Workers.nats(url, worker_pool=name)
        outcome = None
        while outcome is None:
            # It may take a moment until it is there.
            assert process.poll() is None
            try:
                outcome = moonfork.Workflow(text=PRICES).run(pool, workers=workers)
            except moonfork.RunError as error:
                assert "no worker of the pool" in str(error), error
        assert outcome.state["total"] == 0.5 * 21
        assert outcome.state["pids"] == [process.pid]
        process.send_signal(stop)
        assert process.wait(timeout=60) == (0 if stop == signal.SIGTERM else 130)
    finally:
        process.kill()
        process.communicate()


def test_one_in_this_process_serves_until_it_is_stopped(pool: moonfork.Pool, url: str) -> None:
    server = moonfork.Worker(pool, url, worker_pool="here", slots=1, grace=5)
    thread = threading.Thread(target=server.serve)
    thread.start()
    workers = moonfork.Workers.nats(url, worker_pool="here")
    outcome = moonfork.Workflow(text=PRICES).run(pool, workers=workers)
    assert outcome.state["pids"] == [os.getpid()]
    instances = outcome.report["instances"]
    assert {report["worker"] for report in instances if report["branch"]} == {server.id}
    server.stop()
    thread.join(timeout=60)
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="serves once"):
        server.serve()
