"""The threads for large problems."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from retinue.ops import Stop
from retinue.ops.stopping import NEVER
from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled, DeadlineExceeded, Overloaded
from services.matching.pool import SolverPool
from tests.unit.serving.in_process import PATIENCE_S


class Gated:
    """A problem that is solved when it is let go; its outcome is its name."""

    cell_count = 1

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name = name
        self.error = error
        self.has_begun = threading.Event()
        self.gate = threading.Event()

    def solve(self, stop: Stop = NEVER) -> str:
        self.has_begun.set()
        assert self.gate.wait(PATIENCE_S)
        stop.check()
        if self.error is not None:
            raise self.error
        return self.name


@contextmanager
def pool(worker_count: int = 1, max_queue_count: int = 4) -> Iterator[tuple[SolverPool, list[str]]]:
    dropped: list[str] = []
    one = SolverPool(worker_count, max_queue_count, dropped.append)
    yield one, dropped
    one.close(timeout_s=PATIENCE_S)
    assert not any(thread.is_alive() for thread in one._threads)


def done(name: str) -> Gated:
    problem = Gated(name)
    problem.gate.set()
    return problem


def test_problems_are_solved_in_their_order_and_timed() -> None:
    with pool() as (one, _):
        first = Gated("first")
        tickets = [one.submit(problem, Caller()) for problem in (first, done("second"))]
        assert first.has_begun.wait(PATIENCE_S)
        assert one.queue_length == 1
        first.gate.set()
        assert [ticket.wait() for ticket in tickets] == ["first", "second"]
        assert tickets[1].timings.queue_s > 0
        assert tickets[0].timings.infer_s > 0


def test_as_many_are_solved_at_once_as_there_are_threads() -> None:
    with pool(2) as (one, _):
        problems = [Gated("a"), Gated("b")]
        tickets = [one.submit(problem, Caller()) for problem in problems]
        assert all(problem.has_begun.wait(PATIENCE_S) for problem in problems)
        for problem in problems:
            problem.gate.set()
        assert [ticket.wait() for ticket in tickets] == ["a", "b"]


def test_a_full_queue_is_refused_and_has_room_again() -> None:
    with pool(max_queue_count=1) as (one, _):
        running, waiting = Gated("running"), done("waiting")
        tickets = [one.submit(running, Caller())]
        assert running.has_begun.wait(PATIENCE_S)
        tickets.append(one.submit(waiting, Caller()))
        with pytest.raises(Overloaded, match="full") as caught:
            one.submit(done("late"), Caller())
        assert caught.value.cause == "queue_full"
        running.gate.set()
        assert [ticket.wait() for ticket in tickets] == ["running", "waiting"]
        assert one.submit(done("again"), Caller()).wait() == "again"


def test_what_nobody_waits_for_is_not_solved() -> None:
    with pool() as (one, dropped):
        running, left, late = Gated("running"), Gated("left"), Gated("late")
        first = one.submit(running, Caller())
        assert running.has_begun.wait(PATIENCE_S)
        caller = Caller()
        ticket, expired = one.submit(left, caller), one.submit(late, Caller(deadline_s=0.0))
        caller.cancel()
        with pytest.raises(Cancelled):
            ticket.wait()
        with pytest.raises(DeadlineExceeded):
            expired.wait()
        running.gate.set()
        first.wait()
        assert one.submit(done("next"), Caller()).wait() == "next"
        assert not left.has_begun.is_set()
        assert not late.has_begun.is_set()
    assert dropped == ["cancelled", "deadline"]


@pytest.mark.parametrize(("deadline_s", "reason"), [(None, "cancelled"), (0.0, "deadline")])
def test_what_nobody_waits_for_any_more_is_not_solved_to_its_end(deadline_s: float | None, reason: str) -> None:
    with pool() as (one, dropped):
        problem, stop, caller = Gated("left"), Stop(), Caller()
        ticket = one.submit(problem, caller, stop)
        assert problem.has_begun.wait(PATIENCE_S)
        caller.deadline_s = deadline_s
        caller.cancel()
        stop.set()
        problem.gate.set()
        with pytest.raises(Cancelled):
            ticket.wait()
        assert one.submit(done("next"), Caller()).wait() == "next"
    assert dropped == [reason]


def test_an_error_belongs_to_the_one_who_waits_and_the_thread_goes_on() -> None:
    with pool() as (one, _):
        broken = Gated("broken", ZeroDivisionError())
        broken.gate.set()
        with pytest.raises(ZeroDivisionError):
            one.submit(broken, Caller()).wait()
        assert one.submit(done("next"), Caller()).wait() == "next"
