"""The pool that knows when it is full."""

import threading
from collections.abc import Iterator

import pytest

from retinue.serving.pool import HandlerPool
from tests.unit.serving.in_process import PATIENCE_S, EndedPool


@pytest.fixture
def pool() -> Iterator[EndedPool]:
    with EndedPool(2) as one:
        yield one


def test_an_idle_pool_is_not_full(pool: EndedPool) -> None:
    assert pool.in_flight == 0
    assert not pool.is_full


def test_a_pool_is_full_when_each_thread_has_a_task(pool: EndedPool) -> None:
    let_go = threading.Event()
    pool.submit(let_go.wait, PATIENCE_S)
    assert (pool.in_flight, pool.is_full) == (1, False)
    pool.submit(let_go.wait, PATIENCE_S)
    assert (pool.in_flight, pool.is_full) == (2, True)
    let_go.set()


def test_queued_tasks_count_as_well(pool: EndedPool) -> None:
    let_go = threading.Event()
    for _ in range(5):
        pool.submit(let_go.wait, PATIENCE_S)
    assert pool.in_flight == 5
    let_go.set()


def test_a_task_that_ended_gives_its_place_back(pool: EndedPool) -> None:
    assert pool.submit(lambda: "done").result(PATIENCE_S) == "done"
    pool.wait_ended()
    assert pool.in_flight == 0


def test_a_task_that_failed_gives_its_place_back(pool: EndedPool) -> None:
    failed = pool.submit(int, "x")
    assert isinstance(failed.exception(PATIENCE_S), ValueError)
    pool.wait_ended()
    assert pool.in_flight == 0


def test_a_task_that_was_cancelled_gives_its_place_back(pool: EndedPool) -> None:
    let_go = threading.Event()
    for _ in range(2):
        pool.submit(let_go.wait, PATIENCE_S)
    assert pool.submit(str).cancel()
    pool.wait_ended()
    assert pool.in_flight == 2
    let_go.set()


def test_a_pool_that_was_shut_down_counts_nothing_it_refused() -> None:
    pool = HandlerPool(1)
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        pool.submit(str)
    assert pool.in_flight == 0
