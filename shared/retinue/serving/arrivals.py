"""Messages of a stream as they arrive, one read ahead; a stream that stalls is not waited for without end."""

import queue
import threading
import time
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

from retinue.runtime.caller import Caller
from retinue.runtime.errors import Cancelled, DeadlineExceeded

Request = TypeVar("Request")

_POLL_S = 0.5  # how soon it is seen that the caller has gone


class Arrivals(Generic[Request]):
    """An iterator over the messages of one stream.

    Args:
        requests: gRPC's iterator of requests; it raises when the call ends.
        caller: whoever waits.
        stall_timeout_s: longest wait for the next message, seconds.
    """

    def __init__(self, requests: Iterator[Request], caller: Caller, stall_timeout_s: float) -> None:
        self._requests = requests
        self._caller = caller
        self._stall_timeout_s = stall_timeout_s
        self._read: queue.Queue[Request | Exception | None] = queue.Queue(1)
        self._is_left = threading.Event()

    def __iter__(self) -> Generator[Request, None, None]:
        """Yield the messages. Whoever does not take all of them closes this, and reading ends.

        Raises:
            DeadlineExceeded: nothing came for too long, or the caller's deadline passed.
            Cancelled: the caller went away.
            Exception: what reading raised.
        """
        threading.Thread(target=self._read_all, name="arrivals-reader", daemon=True).start()
        try:
            while (item := self._next()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self._is_left.set()

    def _next(self) -> Request | Exception | None:
        begin_s = time.monotonic()
        while True:
            try:
                return self._read.get(timeout=min(_POLL_S, self._stall_timeout_s))
            except queue.Empty:
                self._check(time.monotonic() - begin_s)

    def _check(self, waited_s: float) -> None:
        deadline_s = self._caller.deadline_s
        if self._caller.is_cancelled:
            raise Cancelled("the caller went away")
        if deadline_s is not None and time.monotonic() >= deadline_s:
            raise DeadlineExceeded("the deadline passed before the stream was complete")
        if waited_s >= self._stall_timeout_s:
            raise DeadlineExceeded(f"no message came for {self._stall_timeout_s:g} s")

    def _read_all(self) -> None:
        try:
            for request in self._requests:
                if not self._put(request):
                    return
        except Exception as error:  # noqa: BLE001 - the edge of a thread: the error belongs to the one who iterates
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: Request | Exception | None) -> bool:
        """Hand an item over; return False where nobody takes any more."""
        while not self._is_left.is_set():
            try:
                self._read.put(item, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False
