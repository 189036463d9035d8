"""An answer that nobody works at before it is waited for; waited for as a ticket is."""

from collections.abc import Callable
from typing import Generic

from retinue.runtime.errors import RetinueError
from retinue.runtime.ticket import Answer
from retinue.runtime.timings import Timings


class Deferred(Generic[Answer]):
    """Work that the thread does which waits first, once.

    Args:
        work: gives the answer; it may add to the timings that it is given.
    """

    def __init__(self, work: Callable[[Timings], Answer]) -> None:
        self._work: Callable[[Timings], Answer] | None = work
        self._answers: list[Answer] = []
        self._error: RetinueError | None = None
        self.timings = Timings()

    def wait(self) -> Answer:
        """Return the answer.

        Raises:
            RetinueError: there is none, and why.
        """
        error = self.wait_error()
        if error is not None:
            raise error
        return self._answers[0]

    def wait_error(self) -> RetinueError | None:
        """Do the work, if that has not been done, and return why there is no answer; None where there is one."""
        work, self._work = self._work, None  # what it holds, a decoded picture say, is not needed any more
        if work is not None:
            try:
                self._answers.append(work(self.timings))
            except RetinueError as error:
                # A traceback holds frames, they what was worked on, and this, which holds the error: a cycle.
                self._error = error.with_traceback(None)
        return self._error
