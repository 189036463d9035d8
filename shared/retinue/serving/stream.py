"""A stream answered in order: requests are read ahead into the queue while earlier answers are awaited."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled

Request = TypeVar("Request")
Pending = TypeVar("Pending")

WINDOW = 32
"""Requests of one stream that may be unanswered; beyond it the stream is read no further, and gRPC slows the sender."""


class OrderedStream(Generic[Request, Pending]):
    """Starts each request as it comes and yields what was started, in order, one thread reading ahead.

    Args:
        requests: gRPC's iterator of requests; it raises when the call ends.
        start: called for each request in the reading thread; it must not raise, an error is a kind of `Pending`.
        caller: whoever waits; when they go away, reading stops.
    """

    def __init__(self, requests: Iterator[Request], start: Callable[[Request], Pending], caller: Caller) -> None:
        self._requests = requests
        self._start = start
        self._caller = caller
        self._pending: deque[Pending] = deque()
        self._change = threading.Condition()
        self._is_read = False
        self._is_left = False
        self._failure: BaseException | None = None

    def __iter__(self) -> Iterator[Pending]:
        """Yield everything that was started, in order.

        Raises:
            Cancelled: the caller went away.
            Exception: what ``requests`` or ``start`` raised, once all before it is yielded.
        """
        self._caller.on_cancel(self._leave)
        threading.Thread(target=self._read, name="stream-reader", daemon=True).start()
        try:
            while True:
                with self._change:
                    self._change.wait_for(lambda: self._pending or self._is_read or self._is_left)
                    if not self._pending:
                        break
                    pending = self._pending[0]
                yield pending
                with self._change:  # its place is free only now that it is answered
                    self._pending.popleft()
                    self._change.notify_all()
        finally:
            self._leave()
        if self._caller.is_cancelled:
            raise Cancelled("the caller went away")
        if self._failure is not None:
            raise self._failure

    def _leave(self) -> None:
        with self._change:
            self._is_left = True
            self._change.notify_all()

    def _read(self) -> None:
        try:
            for request in self._requests:
                pending = self._start(request)
                with self._change:
                    self._pending.append(pending)
                    self._change.notify_all()
                    self._change.wait_for(lambda: len(self._pending) < WINDOW or self._is_left)
                    if self._is_left:
                        break
        except Exception as error:  # noqa: BLE001 - the edge of a thread: the error belongs to the one who iterates
            self._failure = error
        finally:
            with self._change:
                self._is_read = True
                self._change.notify_all()
