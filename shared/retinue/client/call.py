"""What every call carries besides its message: a deadline and an id to find it by in the service's logs."""

import math
import re
import uuid
from dataclasses import dataclass

DEFAULT_TIMEOUT_S = 10.0
DEFAULT_STREAM_TIMEOUT_S = 3600.0
REQUEST_ID_KEY = "x-request-id"

_REQUEST_ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Call:
    """The deadline and the id of one call.

    Args:
        timeout_s: how long to wait for an answer, seconds, above 0.
        request_id: 1 to 128 printable ASCII characters without spaces.
    """

    timeout_s: float
    request_id: str

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The headers to send."""
        return ((REQUEST_ID_KEY, self.request_id),)


def plan_call(default_timeout_s: float, timeout_s: float | None = None, request_id: str | None = None) -> Call:
    """Return a call with this deadline and id, or else the default deadline and a fresh id.

    Raises:
        ValueError: the deadline is not a positive number, or the id cannot be sent.

    >>> plan_call(10.0, request_id="frame-17")
    Call(timeout_s=10.0, request_id='frame-17')
    """
    if request_id is None:
        request_id = uuid.uuid4().hex
    elif not _REQUEST_ID.fullmatch(request_id):
        raise ValueError("request_id must be 1 to 128 printable ASCII characters without spaces")
    return Call(checked_timeout_s(default_timeout_s if timeout_s is None else timeout_s), request_id)


def checked_timeout_s(timeout_s: float | None, name: str = "timeout_s") -> float:
    """Return a deadline that can be sent.

    Raises:
        ValueError: it is None, not finite, or not above 0.
    """
    if timeout_s is None or not 0 < timeout_s < math.inf:
        raise ValueError(f"{name} is {timeout_s}, must be a number of seconds above 0: every call has a deadline")
    return float(timeout_s)
