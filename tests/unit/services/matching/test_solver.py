"""Problems solved where they belong."""

import threading
import time
from collections.abc import Iterator

import pytest

from retinue.ops import Stop, Stopped
from retinue.ops.stopping import NEVER
from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled, DeadlineExceeded, InvalidInput
from services.matching.pool import SolverPool
from services.matching.solver import Solver, check_waits
from tests.unit.serving.in_process import PATIENCE_S


class Sized:
    """A problem of a size, whose outcome is the thread it was solved in."""

    def __init__(self, cell_count: int, error: Exception | None = None) -> None:
        self.cell_count = cell_count
        self.error = error

    def solve(self, stop: Stop = NEVER) -> str:  # noqa: ARG002 - the signature of a problem
        if self.error is not None:
            raise self.error
        return threading.current_thread().name


@pytest.fixture
def solver() -> Iterator[Solver]:
    pool = SolverPool(1, 4, lambda _: None)
    yield Solver(pool, 10)
    pool.close(timeout_s=PATIENCE_S)


def test_small_problems_stay_in_their_thread_and_large_ones_go_to_the_pool(solver: Solver) -> None:
    solved = solver.solve_all([Sized(10), Sized(11)], Caller())
    assert [one.outcome for one in solved] == [threading.current_thread().name, "solver-0"]
    assert solved[0].timings.infer_s > 0
    assert solved[0].timings.queue_s == 0


@pytest.mark.parametrize("size", [1, 100])
def test_what_only_solving_can_tell_is_told_under_its_problem(solver: Solver, size: int) -> None:
    bad = Sized(size, InvalidInput("radius", "too large", limit="3"))
    with pytest.raises(InvalidInput) as caught:
        solver.solve_all([Sized(1), bad], Caller())
    assert caught.value.metadata == {"field": "problems[1].radius", "limit": "3"}


def test_a_caller_may_leave_between_problems(solver: Solver) -> None:
    caller = Caller()

    class Leaving(Sized):
        def solve(self, stop: Stop = NEVER) -> str:  # noqa: ARG002 - the signature of a problem
            caller.cancel()
            return ""

    with pytest.raises(Cancelled):
        solver.solve_all([Leaving(1), Sized(1, AssertionError("nobody waits for this"))], caller)


@pytest.mark.parametrize("has_deadline", [True, False])
def test_a_large_problem_is_told_that_its_caller_has_left(solver: Solver, *, has_deadline: bool) -> None:
    caller = Caller(time.monotonic() + 0.05 if has_deadline else None)
    was_told = threading.Event()

    class Endless(Sized):
        def solve(self, stop: Stop = NEVER) -> str:
            if not has_deadline:
                caller.cancel()
            while True:
                try:
                    stop.check()
                except Stopped:
                    was_told.set()
                    raise

    with pytest.raises(DeadlineExceeded if has_deadline else Cancelled):
        solver.solve(Endless(100), caller)
    assert was_told.wait(PATIENCE_S)
    assert solver.solve(Sized(100), Caller()).outcome == "solver-0"


def test_a_deadline_counts_before_each_problem(solver: Solver) -> None:
    with pytest.raises(DeadlineExceeded):
        solver.solve(Sized(1), Caller(time.monotonic()))
    check_waits(Caller(time.monotonic() + PATIENCE_S))
