"""What the callers saw: one sample per call, and what can be said of many."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OK = "OK"
INCOMPLETE = "INCOMPLETE"  # the status was OK, and an item of the answer was missing, failed or somebody else's


@dataclass(frozen=True, slots=True)
class Sample:
    """One call.

    Args:
        name: ``service.kind``.
        due_s: when it was due, in seconds since the run began; in a closed loop, when it was sent.
        latency_s: from when it was due to its end: what a caller waits.
        duration_s: from when it was sent to its end: what it took.
        code: gRPC status, or INCOMPLETE.
        answered_count: items that were answered.
    """

    name: str
    due_s: float
    latency_s: float
    duration_s: float
    code: str
    answered_count: int


def quantile(values: Iterable[float], share: float) -> float:
    """Return the least value that so large a share of the values does not exceed; NaN where there are none.

    >>> quantile([4.0, 1.0, 3.0, 2.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


@dataclass(frozen=True, slots=True)
class Summary:
    """Many calls at a glance; latencies in seconds, NaN where nothing was answered."""

    call_count: int
    codes: dict[str, int]
    good_count: int
    answered_item_count: int
    rate_hz: float
    items_hz: float
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float

    @property
    def error_ratio(self) -> float:
        """Share of the calls without a full answer."""
        return 1 - self.codes.get(OK, 0) / self.call_count if self.call_count else 0.0

    @property
    def goodput_ratio(self) -> float:
        """Share of the calls that were answered in full within the deadline."""
        return self.good_count / self.call_count if self.call_count else 0.0


def summary_of(samples: Sequence[Sample], deadline_s: float, seconds: float) -> Summary:
    """Return a summary of calls made within so many seconds; latencies are those of all calls, failed ones too.

    A failed call's latency counts as it was: left out, a service would look faster the more it refuses late.
    """
    codes = Counter(sample.code for sample in samples)
    latencies_s = [sample.latency_s for sample in samples]
    items = sum(sample.answered_count for sample in samples)
    return Summary(
        call_count=len(samples),
        codes=dict(codes),
        good_count=sum(sample.code == OK and sample.latency_s <= deadline_s for sample in samples),
        answered_item_count=items,
        rate_hz=codes[OK] / seconds,
        items_hz=items / seconds,
        p50_s=quantile(latencies_s, 0.5),
        p90_s=quantile(latencies_s, 0.9),
        p99_s=quantile(latencies_s, 0.99),
        max_s=max(latencies_s, default=math.nan),
    )
