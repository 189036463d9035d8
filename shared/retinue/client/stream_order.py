"""The order of a stream's answers: what was sent, what could not be, and what came back, put in line.

Feeder, reader and caller of a stream run side by side. The first two only report events; the caller alone holds the
`StreamOrder`, so that it needs no lock and serves threads and event loops alike.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc

from retinue.client.errors import CallFailed, DeadlinePassed, ItemError

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Sent:
    """A picture is about to be sent, at this reading of a monotonic clock, seconds."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The next picture cannot be sent."""

    error: ItemError


@dataclass(frozen=True, slots=True)
class Exhausted:
    """There are no more pictures; or reading them raised this."""

    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Answered(Generic[Answer]):
    """An answer arrived, at this reading of the same clock, seconds."""

    answer: Answer
    at_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The service closed the stream; with an error if it failed."""

    error: CallFailed | None = None


class StreamOrder(Generic[Answer]):
    """Turns events into results in the order of the pictures.

    Args:
        timeout_s: the longest wait for the next answer, seconds.
        request_id: the id of the call.
    """

    def __init__(self, timeout_s: float, request_id: str) -> None:
        self.is_over = False
        self._timeout_s = timeout_s
        self._request_id = request_id
        self._line: deque[Sent | Refused] = deque()
        self._is_exhausted = False
        self._last_answer_s = float("-inf")

    def take(self, event: Sent | Refused | Exhausted | Answered[Answer] | Ended) -> list[Answer | ItemError]:
        """Return the results that can be given out now that this has happened.

        Raises:
            CallFailed: the stream ended with pictures unanswered, or answered more than it was sent.
            Exception: whatever reading the pictures raised.
        """
        match event:
            case Sent():
                self._line.append(event)
            case Refused():
                self._line.append(event)
                return self._refusals()
            case Exhausted(error):
                if error is not None:
                    raise error
                self._is_exhausted = True
            case Answered(answer, at_s):
                if not self._line:
                    raise self._broken("the service answered more pictures than it was sent")
                self._line.popleft()
                self._last_answer_s = at_s
                return [answer, *self._refusals()]
            case Ended(failure):
                if self._line or not self._is_exhausted:
                    raise failure or self._broken("the service ended the stream before all pictures were answered")
                self.is_over = True
        return []

    def patience_s(self, now_s: float) -> float | None:
        """Return how much longer to wait for the next event; None where no answer is due."""
        if self._line and isinstance(oldest := self._line[0], Sent):
            return max(0.0, max(oldest.at_s, self._last_answer_s) + self._timeout_s - now_s)
        return None

    def late(self) -> DeadlinePassed:
        """Return the failure of a stream whose next answer did not come in time."""
        return DeadlinePassed(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            f"no answer for {self._timeout_s:g} s",
            request_id=self._request_id,
        )

    def _refusals(self) -> list[Answer | ItemError]:
        """Return the refused pictures that stand first in line, so that after it a sent one does."""
        ready: list[Answer | ItemError] = []
        while self._line and isinstance(refused := self._line[0], Refused):
            ready.append(refused.error)
            self._line.popleft()
        return ready

    def _broken(self, message: str) -> CallFailed:
        return CallFailed(grpc.StatusCode.INTERNAL, message, "STREAM_BROKEN", request_id=self._request_id)
