"""Who waits for an answer: until when, how urgently, and whether they are still there."""

import threading
from collections.abc import Callable
from typing import Literal

Priority = Literal["high", "normal"]


class Caller:
    """The caller of one RPC, as the runtime sees it.

    Args:
        deadline_s: when the caller stops waiting, on the monotonic clock; None if it never does.
        priority: ``high`` goes before ``normal`` in the queue of a model; `retinue.runtime.backlog` has the rule.
    """

    __slots__ = ("_cancellers", "_lock", "deadline_s", "is_cancelled", "priority")

    def __init__(self, deadline_s: float | None = None, priority: Priority = "normal") -> None:
        self.deadline_s = deadline_s
        self.priority: Priority = priority
        self.is_cancelled = False
        self._lock = threading.Lock()
        self._cancellers: dict[Callable[[], object], None] = {}  # an ordered set

    def on_cancel(self, canceller: Callable[[], object]) -> None:
        """Call ``canceller`` once when the caller goes away; at once if it has gone already."""
        with self._lock:
            if not self.is_cancelled:
                self._cancellers[canceller] = None
                return
        canceller()

    def forget(self, canceller: Callable[[], object]) -> None:
        """Do not call ``canceller`` any more: a caller with many items must not keep those that are answered."""
        with self._lock:
            self._cancellers.pop(canceller, None)

    def cancel(self) -> None:
        """Say that the caller went away. Calling it again, or after the answer, changes nothing."""
        with self._lock:
            self.is_cancelled = True
            cancellers, self._cancellers = self._cancellers, {}
        for canceller in cancellers:
            canceller()
