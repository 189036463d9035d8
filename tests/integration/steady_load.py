"""Callers who call without pause through one client, while replicas come and go."""

import time
from collections.abc import Callable

from retinue.client import CallFailed
from tests.integration.repeated import PATIENCE_S, Repeated


class SteadyLoad(Repeated):
    """Calls from entry to exit; keeps what was lost and how long the slowest took.

    Args:
        call: what is called again and again.
        callers: how many threads call at once.
    """

    def __init__(self, call: Callable[[], object], callers: int = 8) -> None:
        super().__init__(*[self._step] * callers)
        self._call = call
        self.answered = 0
        self.lost: list[str] = []
        self.longest_s = 0.0

    def wait_for(self, calls: int) -> None:
        """Wait until so many more calls have ended."""
        with self.change:
            enough = self.answered + len(self.lost) + calls
            assert self.change.wait_for(lambda: self.answered + len(self.lost) >= enough, timeout=PATIENCE_S)

    def _step(self) -> None:
        begin_s = time.monotonic()
        failure = None
        try:
            self._call()
        except CallFailed as error:
            failure = f"{error} after {time.monotonic() - begin_s:.2f} s"
        with self.change:
            if failure is None:
                self.answered += 1
            else:
                self.lost.append(failure)
            self.longest_s = max(self.longest_s, time.monotonic() - begin_s)
            self.change.notify_all()
