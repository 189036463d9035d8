"""What happens to a slide under way, event by event: when to go on waiting, and whether it came to its end."""

from dataclasses import dataclass

import grpc

from retinue.client.errors import CallFailed, DeadlinePassed
from retinue.client.slide_answer import SlideEvent, SlideSummary
from retinue.client.stream_order import Answered, Ended, Exhausted, Sent


@dataclass(frozen=True, slots=True)
class Asked:
    """The caller's tiles are asked for the next one, however long it takes."""


class SlideOrder:
    """Follows one slide.

    Args:
        timeout_s: the longest wait for a sign of life of the service, seconds: that it takes a tile, or answers.
        request_id: the id of the call.
        now_s: reading of the clock that the events have too, seconds.
    """

    def __init__(self, timeout_s: float, request_id: str, now_s: float) -> None:
        self.is_over = False
        self._timeout_s = timeout_s
        self._request_id = request_id
        self._last_s = now_s
        self._is_source_waited_for = False
        self._has_summary = False

    def take(self, event: Asked | Sent | Exhausted | Answered[SlideEvent] | Ended) -> SlideEvent | None:
        """Return what can be given out now that this has happened.

        Raises:
            CallFailed: the stream failed, or ended before its summary.
            Exception: whatever reading the tiles raised.
        """
        match event:
            case Asked():
                self._is_source_waited_for = True
            case Sent(at_s):
                self._is_source_waited_for = False
                self._last_s = max(self._last_s, at_s)
            case Exhausted(error):
                if error is not None:
                    raise error
                self._is_source_waited_for = False
            case Answered(answer, at_s):
                self._last_s = max(self._last_s, at_s)
                self._has_summary |= isinstance(answer, SlideSummary)
                return answer
            case Ended(failure):
                if failure is not None:
                    raise failure
                if not self._has_summary:
                    message = "the service ended the stream before its summary"
                    raise CallFailed(grpc.StatusCode.INTERNAL, message, "STREAM_BROKEN", request_id=self._request_id)
                self.is_over = True
        return None

    def resume(self, now_s: float) -> None:
        """Begin to wait anew, after the caller was busy with what it got: answers had to wait for that."""
        self._last_s = max(self._last_s, now_s)

    def patience_s(self, now_s: float) -> float | None:
        """Return how much longer to wait for the next event; None while it is the caller's tiles that take long."""
        return None if self._is_source_waited_for else max(0.0, self._last_s + self._timeout_s - now_s)

    def late(self) -> DeadlinePassed:
        """Return the failure of a slide whose service gave no sign of life in time."""
        return DeadlinePassed(
            grpc.StatusCode.DEADLINE_EXCEEDED,
            f"the service took no tile and gave no answer for {self._timeout_s:g} s",
            request_id=self._request_id,
        )
