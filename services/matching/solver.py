"""Problems solved where they belong: small ones by the thread that asks, large ones by the pool."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from retinue.ops import Stop
from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled, DeadlineExceeded, InvalidInput
from retinue.runtime.timings import Timings
from services.matching.pool import SolverPool
from services.matching.problem import Problem

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Solved(Generic[Outcome]):
    """An outcome, and the time it took to wait and to solve."""

    outcome: Outcome
    timings: Timings


class Solver:
    """Solves problems of any kind.

    Args:
        pool: for large ones.
        max_inline_cells: how large one may be that is solved at once.
    """

    def __init__(self, pool: SolverPool, max_inline_cells: int) -> None:
        self._pool = pool
        self._max_inline_cells = max_inline_cells

    def solve(self, problem: Problem[Outcome], caller: Caller) -> Solved[Outcome]:
        """Return the outcome of a problem.

        Raises:
            InvalidInput: what only solving can tell.
            Overloaded: too many large ones wait.
            DeadlineExceeded: the caller's deadline passed.
            Cancelled: the caller went away.
        """
        check_waits(caller)
        if problem.cell_count > self._max_inline_cells:
            stop = Stop()
            ticket = self._pool.submit(problem, caller, stop)
            try:
                return Solved(ticket.wait(), ticket.timings)
            finally:
                stop.set()  # the caller may have left, and its problem not be solved yet
        begin_s = time.perf_counter()
        outcome = problem.solve()
        return Solved(outcome, Timings(infer_s=time.perf_counter() - begin_s))

    def solve_all(
        self, problems: Sequence[Problem[Outcome]], caller: Caller, field: str = "problems"
    ) -> list[Solved[Outcome]]:
        """Return the outcomes of independent problems, in their order; the caller may leave between them.

        Raises:
            InvalidInput: as in `solve`, under ``field[index]``.
            Overloaded: as in `solve`, likewise the rest.
        """
        solved = []
        for index, problem in enumerate(problems):
            try:
                solved.append(self.solve(problem, caller))
            except InvalidInput as error:
                raise error.under(f"{field}[{index}]") from error
        return solved


def check_waits(caller: Caller) -> None:
    """Raise DeadlineExceeded or Cancelled where the caller does not wait any more."""
    if caller.deadline_s is not None and time.monotonic() >= caller.deadline_s:
        raise DeadlineExceeded("the deadline passed before the answer was there")
    if caller.is_cancelled:
        raise Cancelled("the caller went away")
