"""Leave to hold something large, such as a decoded picture, for few callers at a time."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled, DeadlineExceeded


class Slots:
    """So many may be held at a time; a caller who goes away waits for none.

    A semaphore would keep the thread of a caller who has left until a slot is free, and with it one of the server's.

    Args:
        count: how many, at least 1.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._change = threading.Condition()

    @contextmanager
    def held(self, caller: Caller) -> Iterator[None]:
        """Hold a slot while the block runs.

        Raises:
            DeadlineExceeded: the caller's deadline passed before one was free.
            Cancelled: the caller went away before.
        """
        caller.on_cancel(self._wake)
        try:
            self._take(caller)
        finally:
            caller.forget(self._wake)
        try:
            yield
        finally:
            with self._change:
                self._free += 1
                self._change.notify_all()

    def _take(self, caller: Caller) -> None:
        deadline_s = caller.deadline_s
        left_s = None if deadline_s is None else max(0.0, min(deadline_s - time.monotonic(), threading.TIMEOUT_MAX))
        with self._change:
            is_over = self._change.wait_for(lambda: self._free or caller.is_cancelled, left_s)
            if caller.is_cancelled:
                raise Cancelled("the caller went away")
            if not is_over:
                raise DeadlineExceeded("the deadline passed before the picture's turn came")
            self._free -= 1

    def _wake(self) -> None:
        with self._change:
            self._change.notify_all()
