"""One kind of call as a load test makes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Send = Callable[[Any, float], int]
"""Sends a request with a deadline in seconds and returns how many of its items were answered."""


@dataclass(frozen=True, slots=True)
class ServedCall:
    """One kind of call.

    Args:
        name: ``service.kind``.
        method: its name within the service, as the service's counters have it.
        requests: what to send, each with how many answers it must get.
        send: how.
    """

    name: str
    method: str
    requests: Sequence[tuple[Any, int]]
    send: Send
