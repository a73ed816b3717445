"""Threads before and behind a loop: order, bounds, errors, and nothing left running."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedcache.ahead import Behind, ahead


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 4), st.integers(1, 6))
def test_results_come_in_the_order_of_the_items(items: list[int], workers: int, depth: int) -> None:
    def work(item: int) -> int:
        time.sleep((item % 3) / 2000)
        return -item

    assert list(ahead(work, items, workers, depth)) == [(item, -item) for item in items]


@pytest.mark.parametrize("depth", [1, 3])
def test_no_more_is_begun_than_the_depth(depth: int) -> None:
    begun: list[int] = []
    for given_out, (item, _) in enumerate(ahead(begun.append, range(12), 4, depth), start=1):
        assert len(begun) <= given_out - 1 + depth
        assert item in begun


@pytest.mark.parametrize(("budget", "most"), [(1.0, 1), (2.5, 3), (100.0, 6)])
def test_no_more_is_begun_than_the_budget_allows(budget: float, most: int) -> None:
    """Items of cost 1: a further one is begun only while those before it cost less."""
    begun: list[int] = []
    results = ahead(begun.append, range(40), 2, 6, lambda item: 1.0, budget)
    for given_out, _ in enumerate(results, start=1):
        assert len(begun) <= given_out - 1 + most


def test_an_item_beyond_the_budget_is_done_all_the_same() -> None:
    assert [done for _, done in ahead(str, [1, 2], 1, 4, lambda item: 9.0, 1.0)] == ["1", "2"]


def test_it_runs_ahead_of_who_asks() -> None:
    """While the first result is being used, the second is already being made."""
    second = threading.Event()

    def work(item: int) -> int:
        if item == 1:
            second.set()
        return item

    results = ahead(work, range(3), 1, 2)
    next(results)
    assert second.wait(5)
    results.close()


def test_an_error_comes_out_in_its_turn_and_ends_it() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        if item == 2:
            raise ZeroDivisionError(item)
        done.append(item)
        return item

    results = ahead(work, range(10), 1, 3)
    assert [next(results)[0], next(results)[0]] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert max(done) <= 5


def test_who_stops_asking_leaves_nothing_running() -> None:
    before = threading.active_count()
    results = ahead(lambda item: item, range(100), 4, 8)
    next(results)
    results.close()
    assert threading.active_count() == before


def test_an_error_of_the_source_comes_out() -> None:
    def source() -> object:
        yield 1
        raise KeyError("source")

    with pytest.raises(KeyError):
        list(ahead(str, source(), 1, 4))  # type: ignore[arg-type]


def test_things_are_done_in_order_and_all_of_them() -> None:
    done: list[int] = []
    with Behind(2) as behind:
        for item in range(20):
            behind.do(lambda item=item: done.append(item))
    assert done == list(range(20))


def test_who_asks_waits_while_too_much_is_to_be_done() -> None:
    gate = threading.Event()
    with Behind(1) as behind:
        behind.do(gate.wait)
        waiter = threading.Thread(target=behind.do, args=(gate.wait,))
        waiter.start()
        waiter.join(0.2)
        assert waiter.is_alive()
        gate.set()
        waiter.join(5)
        assert not waiter.is_alive()


def test_an_error_behind_comes_out_and_nothing_is_done_after_it() -> None:
    def fail() -> None:
        raise OSError("disk full")

    done: list[int] = []
    with pytest.raises(OSError, match="disk full"), Behind(5) as behind:
        behind.do(fail)
        for item in range(100):
            behind.do(lambda item=item: done.append(item))
    assert done == []


def test_an_error_of_the_context_is_not_hidden_and_what_was_asked_for_is_done() -> None:
    done: list[int] = []
    with pytest.raises(ZeroDivisionError), Behind(5) as behind:
        behind.do(lambda: time.sleep(0.05))
        behind.do(lambda: done.append(1))
        behind.do(lambda: done.append(2))
        raise ZeroDivisionError
    assert done == [1, 2]


def test_an_error_behind_an_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    gate = threading.Event()

    def fail() -> None:
        gate.wait(5)
        raise OSError("disk full")

    with pytest.raises(ZeroDivisionError), Behind(5) as behind:
        behind.do(fail)
        gate.set()
        raise ZeroDivisionError
    assert "behind the error that follows: disk full" in caplog.text
