"""Who waits for an answer: until when, how urgently, and whether they are still there."""

import threading
from collections.abc import Callable
from typing import Literal

from retinue.runtime.timings import Timings

Priority = Literal["high", "normal"]

_MAX_FOLLOWED = 64  # of a stream without end, the first so many items


class Caller:
    """The caller of one RPC, as the runtime sees it.

    Args:
        deadline_s: when the caller stops waiting, on the monotonic clock; None if it never does.
        priority: ``high`` goes before ``normal`` in the queue of a model; `retinue.runtime.backlog` has the rule.
    """

    __slots__ = ("_cancellers", "_lock", "deadline_s", "followed", "is_cancelled", "priority")

    def __init__(self, deadline_s: float | None = None, priority: Priority = "normal") -> None:
        self.deadline_s = deadline_s
        self.priority: Priority = priority
        self.is_cancelled = False
        self.followed: list[tuple[float, Timings]] | None = None
        """Of a call that is traced, when each of its items was queued and where its time went; None for all others."""
        self._lock = threading.Lock()
        self._cancellers: dict[Callable[[], object], None] = {}  # an ordered set

    def part(self, deadline_s: float | None) -> "Caller":
        """Return who waits for a part of the call: in the same hurry, followed by the same trace.

        It is cancelled by whoever asked for it, not with the whole.

        Args:
            deadline_s: when it stops waiting, on the monotonic clock; None if it never does.
        """
        part = Caller(deadline_s, self.priority)
        part.followed = self.followed
        return part

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

    def follow(self, enqueued_s: float, timings: Timings) -> None:
        """Remember where an item's time goes, if the call is traced."""
        if self.followed is not None and len(self.followed) < _MAX_FOLLOWED:
            self.followed.append((enqueued_s, timings))

    def cancel(self) -> None:
        """Say that the caller went away. Calling it again, or after the answer, changes nothing."""
        with self._lock:
            self.is_cancelled = True
            cancellers, self._cancellers = self._cancellers, {}
        for canceller in cancellers:
            canceller()
