"""One RPC as the serving kit sees it: who called, since when, and what is to be said of it in the log."""

import itertools
import re
import threading
import time
import uuid
from contextvars import ContextVar
from typing import Any

import grpc

from retinue.runtime.caller import Caller, Priority
from retinue.runtime.errors import Cancelled, DeadlineExceeded
from retinue.serving.trace import Trace

REQUEST_ID_KEY = "x-request-id"
PRIORITY_KEY = "x-priority"
# A caller whose deadline passed cancels the call, and its clock started one way through the network before ours: so
# close to the deadline it is the deadline that ended the call.
_DEADLINE_SLACK_S = 0.05
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
# Ids of our own: random per process, then counted. Asking the system for random bytes on every call would cost more.
_ID_PREFIX = uuid.uuid4().hex[:20]
_ID_COUNTER = itertools.count()
_current: ContextVar["Call"] = ContextVar("call")


class Call:
    """An RPC under way.

    Args:
        method: full name, ``/package.Service/Method``.
        context: gRPC's own view of the call.
    """

    __slots__ = ("caller", "facts", "method", "request_id", "started_s", "trace")

    def __init__(self, method: str, context: grpc.ServicerContext) -> None:
        self.method = method
        self.started_s = time.monotonic()
        self.request_id, priority = _request_id_and_priority(context)
        remaining_s = context.time_remaining()
        # gRPC gives a huge number where the caller set no deadline.
        has_deadline = remaining_s < threading.TIMEOUT_MAX
        self.caller = Caller(self.started_s + remaining_s if has_deadline else None, priority)
        self.facts: dict[str, Any] = {}
        self.trace: Trace | None = None  # most calls have none
        if not context.add_callback(self.caller.cancel):
            self.caller.cancel()
        _current.set(self)

    @property
    def duration_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.started_s

    def departure(self) -> Cancelled | DeadlineExceeded:
        """Return why a caller that no longer waits does not: its deadline passed, or it went away."""
        deadline_s = self.caller.deadline_s
        if deadline_s is not None and time.monotonic() >= deadline_s - _DEADLINE_SLACK_S:
            return DeadlineExceeded("the deadline passed before the answer was there")
        return Cancelled("the caller went away")


def current_call() -> Call:
    """Return the call that the running handler serves; each handler runs in a thread of its own."""
    return _current.get()


def caller_of(context: grpc.ServicerContext) -> Caller:  # noqa: ARG001 - says for whom, and keeps handlers honest
    """Return who waits for the running handler's answer."""
    return _current.get().caller


def _request_id_and_priority(context: grpc.ServicerContext) -> tuple[str, Priority]:
    """Return the caller's request id where it gave a usable one, else a new one; and whether it is in a hurry."""
    request_id = ""
    priority: Priority = "normal"
    for key, value in context.invocation_metadata():
        if key == REQUEST_ID_KEY and not request_id and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            request_id = value
        elif key == PRIORITY_KEY and value == "high":
            priority = "high"
    return request_id or f"{_ID_PREFIX}{next(_ID_COUNTER):012x}", priority
