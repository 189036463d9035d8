"""The door: calls that would be answered too late are turned away before their message is read.

Under overload a server spends its cores on refusals: one that went through a handler thread cost a quarter of a small
model's answer, most of it the switching between threads. A refusal at the door is made in gRPC's polling thread and
reads no message; it costs a third of that.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from retinue.runtime.caller import Priority
from retinue.serving.call import PRIORITY_KEY


class Inline(ThreadPoolExecutor):
    """Runs a task in the thread that submits it, where it must not wait for anything."""

    def __init__(self) -> None:
        super().__init__(1)  # which is never started

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a task and return when it is done."""
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class Door(ThreadPoolExecutor):
    """Stands before the handler threads of the methods that ask a model.

    gRPC submits each call with its event. The deadline is read from there, since nothing public tells it before a
    handler runs; were it not found, the call would pass and be refused by the queue of its model.

    Args:
        pool: the handler threads.
        methods: full names, ``/package.Service/Method``, of unary calls.
        late_s: how much too late the answer would be to a call with so many seconds left, 0 or less if in time.
    """

    def __init__(
        self, pool: ThreadPoolExecutor, methods: Iterable[str], late_s: Callable[[float, Priority], float]
    ) -> None:
        super().__init__(1)  # which is never started
        self.methods = frozenset(methods)
        self._pool = pool
        self._late_s = late_s
        self._inline = Inline()
        self._here = threading.local()

    @property
    def late_s(self) -> float:
        """Whether the call that this thread handles is being turned away: how much too late it would be, else 0.

        Infinite where its deadline has passed already: such a call waited before gRPC handed it over.
        """
        late_s: float = getattr(self._here, "late_s", 0.0)
        return late_s

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the handler of a call: in a thread of the pool or, to be turned away, at once."""
        left_s, priority = _asked(args)
        if left_s is None:
            return self._pool.submit(fn, *args, **kwargs)
        late_s = math.inf if left_s <= 0 else self._late_s(left_s, priority)
        if late_s <= 0:
            return self._pool.submit(fn, *args, **kwargs)
        self._here.late_s = late_s
        try:
            return self._inline.submit(fn, *args, **kwargs)
        finally:
            self._here.late_s = 0.0


def _asked(args: tuple[Any, ...]) -> tuple[float | None, Priority]:
    """Return the seconds that a call has left, None where it has no deadline, and its priority."""
    event = args[1] if len(args) > 1 else None
    deadline = getattr(getattr(event, "call_details", None), "deadline", None)  # seconds since the epoch
    if not isinstance(deadline, float) or (left_s := deadline - time.time()) > threading.TIMEOUT_MAX:
        return None, "normal"
    is_high = any(key == PRIORITY_KEY and value == "high" for key, value in getattr(event, "invocation_metadata", ()))
    return left_s, "high" if is_high else "normal"
