"""Steps that threads take again and again while a block is run."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

PATIENCE_S = 120


class Repeated:
    """Takes steps from entry to exit, each in a thread of its own.

    Args:
        steps: what is done again and again; each holds `change` while it notes what came of it, and notifies it.
    """

    def __init__(self, *steps: Callable[[], None]) -> None:
        self.change = threading.Condition()
        self.is_over = threading.Event()
        self._threads = [threading.Thread(target=self._repeat, args=(step,), daemon=True) for step in steps]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Begin no step any more, and wait for those under way."""
        self.is_over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _repeat(self, step: Callable[[], None]) -> None:
        while not self.is_over.is_set():
            step()
