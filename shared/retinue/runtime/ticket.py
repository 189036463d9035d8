"""A ticket: one item that waits for its answer, settled exactly once.

Whoever comes first wins: the worker with an answer or an error, the caller who goes away, the deadline. Later attempts
are told so and change nothing. Cheaper than `concurrent.futures.Future` on the path of every request: one lock, no
condition.
"""

import threading
import time
from typing import Generic, Literal, TypeVar

from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled, DeadlineExceeded
from retinue.runtime.timings import Timings

Item = TypeVar("Item")
Answer = TypeVar("Answer")
DropReason = Literal["cancelled", "deadline"]


class Ticket(Generic[Item, Answer]):
    """One item on its way to an answer.

    Args:
        item: what is to be answered.
        caller: who waits for it.
        enqueued_s: when it was queued, on the monotonic clock.
    """

    __slots__ = ("_answer", "_error", "_gate", "_unsettled", "caller", "enqueued_s", "expected_s", "item", "timings")

    def __init__(self, item: Item, caller: Caller, enqueued_s: float) -> None:
        self.item = item
        self.caller = caller
        self.enqueued_s = enqueued_s
        self.expected_s = 0.0
        """Seconds from being queued to being answered that were expected; 0 where nothing was known, or none waits."""
        self.timings = Timings()
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        self._unsettled = [None]  # popping it is atomic: the one who gets it settles
        self._gate = threading.Lock()
        self._gate.acquire()

    @property
    def is_settled(self) -> bool:
        """Whether an answer or an error is there."""
        return not self._unsettled

    def resolve(self, answer: Answer) -> bool:
        """Settle with an answer; return False if it was settled before."""
        return self._settle(answer, None)

    def fail(self, error: BaseException) -> bool:
        """Settle with an error; return False if it was settled before."""
        return self._settle(None, error)

    def cancel(self) -> bool:
        """Settle because the caller went away; return False if it was settled before."""
        return self.fail(Cancelled("the caller went away"))

    def expire(self) -> bool:
        """Settle because the deadline passed; return False if it was settled before."""
        return self.fail(DeadlineExceeded("the deadline passed before the answer was there"))

    def give_up(self) -> bool:
        """Settle because the deadline can no longer be met; return False if it was settled before."""
        return self.fail(DeadlineExceeded("the deadline would pass before the answer is there"))

    def drop(self, now_s: float) -> DropReason | None:
        """Settle it if nobody waits any more and return why; None where somebody still does.

        A passed deadline is the reason even where the caller has gone as well: gRPC lets every late caller go.
        """
        deadline_s = self.caller.deadline_s
        is_late = deadline_s is not None and now_s >= deadline_s
        if not is_late and not self.is_settled:
            return None
        self.expire()
        return "deadline" if is_late else "cancelled"

    def wait(self) -> Answer:
        """Return the answer as soon as it is there, for one waiting thread.

        Raises:
            DeadlineExceeded: the caller's deadline passed first.
            Cancelled: the caller went away first.
            RetinueError: what the worker failed it with; anything else is a fault of ours.
        """
        error = self.wait_error()
        if error is not None:
            raise error
        return self._answer  # type: ignore[return-value]  # an answer is what it was settled with

    def wait_error(self) -> BaseException | None:
        """Return, as soon as it is settled, why there is no answer; None where there is one. For one waiting thread."""
        deadline_s = self.caller.deadline_s
        if deadline_s is None:
            self._gate.acquire()
        elif not self._gate.acquire(timeout=max(0.0, min(deadline_s - time.monotonic(), threading.TIMEOUT_MAX))):
            self.expire()
            self._gate.acquire()  # settled by the line above or, in that instant, by a worker
        self._gate.release()  # a second wait finds it open
        return self._error

    def _settle(self, answer: Answer | None, error: BaseException | None) -> bool:
        try:
            self._unsettled.pop()
        except IndexError:
            return False
        self._answer, self._error = answer, error
        self.caller.forget(self.cancel)
        self._gate.release()
        return True
