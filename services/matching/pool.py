"""The threads that large problems are solved in: a few, so that those who ask small ones are not starved."""

import threading
import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from retinue.ops import Stop, Stopped
from retinue.ops.stopping import NEVER
from retinue.runtime.caller import Caller
from retinue.runtime.errors import Overloaded
from retinue.runtime.ticket import DropReason, Ticket
from services.matching.problem import Problem

Outcome = TypeVar("Outcome")

_RETRY_AFTER_S: Final = 0.5


class SolverPool:
    """Solves problems in the order in which they come, each in one thread.

    Args:
        worker_count: how many threads.
        max_queue_count: how many problems may wait for one.
        on_drop: told of a problem that nobody waited for any more, when its turn came or while it was solved, and why.
    """

    def __init__(self, worker_count: int, max_queue_count: int, on_drop: Callable[[DropReason], object]) -> None:
        self._queue: SimpleQueue[Ticket[Callable[[], Any], Any] | None] = SimpleQueue()
        self._max_queue_count = max_queue_count
        self._places = threading.Semaphore(max_queue_count)
        self._on_drop = on_drop
        self._threads = [
            threading.Thread(target=self._work, name=f"solver-{number}", daemon=True) for number in range(worker_count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def queue_length(self) -> int:
        """How many problems wait."""
        return self._queue.qsize()

    def submit(
        self, problem: Problem[Outcome], caller: Caller, stop: Stop = NEVER
    ) -> Ticket[Callable[[], Outcome], Outcome]:
        """Return the ticket of a problem that waits for a thread; its timings say how long that and solving took.

        Whoever waits for it sets ``stop`` when that ends without an answer, so that the thread is free again soon.

        Raises:
            Overloaded: as many wait already as may.
        """
        if not self._places.acquire(blocking=False):
            message = f"the queue of large problems is full ({self._max_queue_count})"
            raise Overloaded(message, retry_after_s=_RETRY_AFTER_S, cause="queue_full")
        solve = partial(problem.solve, stop)
        ticket: Ticket[Callable[[], Outcome], Outcome] = Ticket(solve, caller, time.monotonic())
        caller.on_cancel(ticket.cancel)
        self._queue.put(ticket)
        return ticket

    def close(self, *, timeout_s: float) -> None:
        """Let the threads end when what waits is done, and wait for them so long in all."""
        for _ in self._threads:
            self._queue.put(None)
        end_s = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))

    def _work(self) -> None:
        while self._step(self._queue.get()):
            pass

    def _step(self, ticket: Ticket[Callable[[], Any], Any] | None) -> bool:
        """Settle a ticket; in a function of its own, so that an idle thread holds no problem."""
        if ticket is None:
            return False
        self._places.release()
        now_s = time.monotonic()
        if reason := ticket.drop(now_s):
            self._on_drop(reason)
            return True
        ticket.timings.queue_s = now_s - ticket.enqueued_s
        try:
            outcome = ticket.item()
        except Stopped:
            self._on_drop(ticket.drop(time.monotonic()) or "cancelled")
            return True
        except Exception as error:  # noqa: BLE001 - the edge of a thread: the error belongs to the one who waits
            ticket.fail(error)
            return True
        ticket.timings.infer_s = time.monotonic() - now_s
        ticket.resolve(outcome)
        return True
