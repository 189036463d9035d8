"""Callers who call without pause through one client, while replicas come and go."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from retinue.client import CallFailed


class SteadyLoad:
    """Calls from entry to exit; keeps what was lost and how long the slowest took.

    Args:
        call: what is called again and again.
        callers: how many threads call at once.
    """

    def __init__(self, call: Callable[[], object], callers: int = 8) -> None:
        self._call = call
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(callers)]
        self._is_over = threading.Event()
        self._changed = threading.Condition()
        self.answered = 0
        self.lost: list[str] = []
        self.longest_s = 0.0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(30)

    def wait_for(self, calls: int) -> None:
        """Wait until so many more calls have ended."""
        with self._changed:
            enough = self.answered + len(self.lost) + calls
            assert self._changed.wait_for(lambda: self.answered + len(self.lost) >= enough, timeout=120)

    def _run(self) -> None:
        while not self._is_over.is_set():
            begin_s = time.monotonic()
            failure = None
            try:
                self._call()
            except CallFailed as error:
                failure = f"{error} after {time.monotonic() - begin_s:.2f} s"
            with self._changed:
                if failure is None:
                    self.answered += 1
                else:
                    self.lost.append(failure)
                self.longest_s = max(self.longest_s, time.monotonic() - begin_s)
                self._changed.notify_all()
