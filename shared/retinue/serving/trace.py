"""The trace of one call, as the serving kit sees it; `tracing.py` makes them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from retinue.runtime.timings import Timings


class Trace(Protocol):
    """One call that is traced."""

    def end(self, code: str, items: Sequence[tuple[float, Timings]], facts: Mapping[str, Any]) -> None:
        """Say how the call ended and where the time of its items went.

        Args:
            code: name of the gRPC status.
            items: when each was queued, on the monotonic clock, and its timings.
            facts: what the log says of the call.
        """
