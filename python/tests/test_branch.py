"""Several calls on one instance, and the long-lived main instance."""

from __future__ import annotations

import threading

import moonfork
import pytest


def test_globals_last_from_call_to_call(pool: moonfork.Pool) -> None:
    with pool.branch() as branch:
        branch.run("function total(o) return o.price * o.count end")
        assert branch.call("total", {"price": 2.5, "count": 4}) == 10.0
        branch.set("n", 5)
        assert branch.get("n") == 5
        branch.set("n", None)
        assert branch.get("n") is None


def test_two_branches_share_nothing(pool: moonfork.Pool) -> None:
    with pool.branch() as one, pool.branch() as other:
        one.run("x = 1")
        assert other.get("x") is None
        assert one.store_id != other.store_id


def test_a_report_says_what_it_cost(pool: moonfork.Pool) -> None:
    with pool.branch() as branch:
        branch.run("print('one')")
        branch.run("print('two')")
        report = branch.report
        assert (report.calls, report.output) == (2, "one\ntwo\n")
        assert report.store_id == branch.store_id
        assert report.peak_memory > 100_000
        branch.run("print('three')")
        assert branch.report.output == "one\ntwo\nthree\n"
        assert branch.report == branch.report
    assert branch.report.calls == 3


def test_a_stopped_branch_is_gone(pool: moonfork.Pool) -> None:
    with pool.branch(wall=0.05) as branch:
        with pytest.raises(moonfork.TimeLimit):
            branch.run("while true do end")
        assert not branch.is_live
        with pytest.raises(moonfork.InstanceLost):
            branch.run("return 1")


def test_a_closed_branch_says_so_and_gives_its_place_back() -> None:
    with moonfork.Pool(max_branches=1, slot_timeout=0.05) as pool:
        branch = pool.branch()
        with pytest.raises(moonfork.Busy):
            pool.branch()
        branch.close()
        branch.close()
        with pytest.raises(RuntimeError, match="closed"):
            branch.run("return 1")
        assert pool.run("return 1") == 1
        assert pool.live_count == 0


def test_another_thread_may_stop_it() -> None:
    begun = threading.Event()
    with moonfork.Pool(functions={"begin": begun.set}, wall=60) as pool, pool.branch() as branch:

        def stop() -> None:
            begun.wait()
            branch.cancel()

        threading.Thread(target=stop).start()
        with pytest.raises(moonfork.Cancelled):
            branch.run("begin() while true do end")


def test_threads_take_turns_on_one_branch(pool: moonfork.Pool) -> None:
    with pool.branch() as branch:
        branch.run("n = 0 function count() n = n + 1 return n end")
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda: counts.extend(branch.call("count") for _ in range(50)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(counts) == list(range(1, 201))


def test_main_is_the_same_each_time_and_stays_on_its_thread() -> None:
    with moonfork.Pool() as pool:
        pool.main().set("greeting", "hello")
        main = pool.main()
        assert main.get("greeting") == "hello"
        assert main.run("return greeting .. state", "!") == "hello!"
        assert pool.main().store_id == main.store_id
        caught: list[BaseException] = []

        def elsewhere() -> None:
            for use in (pool.main, lambda: main.run("return 1")):
                try:
                    use()
                except moonfork.WrongThread as error:
                    caught.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert len(caught) == 2
        assert main.take_report().role == "main"


def test_a_stopped_main_is_replaced_and_says_so() -> None:
    with moonfork.Pool() as pool:
        main = pool.main()
        main.set("x", 1)
        with pytest.raises(moonfork.TimeLimit):
            main.run("while true do end", wall=0.05)
        with pytest.raises(moonfork.InstanceLost):
            main.get("x")
        assert pool.main().get("x") is None
