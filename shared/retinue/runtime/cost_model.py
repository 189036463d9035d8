"""What a batch costs: a straight line for each bucket, learned from the batches that were worked on.

A worker spends ``a * n + b`` seconds on a batch of n items: ``a`` for each (decoding, resizing, its share of the run),
``b`` for all together (a launch, a call). The queue asks this line what still makes its deadline.
"""

import statistics
import threading
import time
from collections.abc import Callable, Hashable
from typing import NamedTuple

_FIRST_BATCHES = 8  # until so many were seen, nothing is claimed
_MEMORY = 1 - 1 / 50  # what a batch still counts when the next one has come: the last 50 or so make the line
_MOST_TIMES = (
    3.0  # a batch that takes so many times what is expected counts as this many, and one below a third as that
)
_SHRINKAGE = 0.01  # what holds b near 0 where all batches have about one size, and any b would fit
_LEAST_S = 1e-6  # three times nothing would stay nothing
_TRUSTED_S = 1.0
_TRUSTED_TIMES = 10.0
_KEPT_BUCKETS = 256


class Line(NamedTuple):
    """Seconds for each item of a batch and for the batch as such, both at least 0."""

    per_item_s: float
    per_batch_s: float

    def seconds(self, item_count: int) -> float:
        """Return how long a batch takes.

        >>> Line(2.0, 1.0).seconds(3)
        7.0
        """
        return self.per_item_s * item_count + self.per_batch_s


class CostModel:
    """The lines of one engine, safe for threads.

    A bucket is cold, and has no line, until eight of its batches were seen, and again when none has come for a second
    (for ten batches' time where a batch takes long): the line that refuses everybody would else never be corrected.

    Args:
        clock: monotonic seconds; tests give their own.

    Notes:
        Least squares with exponential forgetting. Outliers are clipped to three times, or a third, of what the line
        says, so that one hiccup moves it by 4 % at most, while a machine that has become slower for good is believed
        within a few dozen batches; the line begins at the median of the first eight.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._fits: dict[Hashable, _Fit] = {}

    def observe(self, bucket: Hashable, item_count: int, seconds: float) -> None:
        """Learn that a batch of ``item_count`` items, at least 1, took so long."""
        with self._lock:
            fit = self._fits.pop(bucket, None) or _Fit()
            self._fits[bucket] = fit  # the one that was seen last is the last
            if len(self._fits) > _KEPT_BUCKETS:
                del self._fits[next(iter(self._fits))]
            fit.add(item_count, seconds)
            line = fit.line
            if line is not None:
                fit.trusted_until_s = self._clock() + max(_TRUSTED_S, _TRUSTED_TIMES * line.seconds(item_count))

    def line(self, bucket: Hashable) -> Line | None:
        """Return what batches of a bucket cost; None while that is not known."""
        fit = self._fits.get(bucket)  # a line is replaced and never changed, so no lock is needed to read one
        if fit is None or self._clock() >= fit.trusted_until_s:
            return None
        return fit.line

    def lone(self) -> tuple[Hashable, Line] | None:
        """Return the bucket and its line where one has been seen only; None where there were more, or it is cold."""
        with self._lock:
            buckets = list(self._fits)
        line = self.line(buckets[0]) if len(buckets) == 1 else None
        return None if line is None else (buckets[0], line)


class _Fit:
    """Weighted sums over the batches of one bucket, and the line through them."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.trusted_until_s = -1e300
        self._first: list[tuple[int, float]] = []
        # Of 1, n, n * n, t and n * t, where a batch of n items took t seconds.
        self._weight = self._n = self._nn = self._t = self._nt = 0.0

    def add(self, item_count: int, seconds: float) -> None:
        if self.line is not None:
            self._add(item_count, seconds, self.line)
            return
        self._first.append((item_count, seconds))
        if len(self._first) < _FIRST_BATCHES:
            return
        guess = Line(statistics.median(seconds / count for count, seconds in self._first), 0.0)
        for count, taken_s in self._first:
            self._add(count, taken_s, guess)
        self._first.clear()

    def _add(self, item_count: int, seconds: float, line: Line) -> None:
        expected_s = max(line.seconds(item_count), _LEAST_S)
        seconds = min(max(seconds, expected_s / _MOST_TIMES), expected_s * _MOST_TIMES)
        self._weight = self._weight * _MEMORY + 1
        self._n = self._n * _MEMORY + item_count
        self._nn = self._nn * _MEMORY + item_count * item_count
        self._t = self._t * _MEMORY + seconds
        self._nt = self._nt * _MEMORY + item_count * seconds
        self.line = self._through_sums()

    def _through_sums(self) -> Line:
        """Return the a and b, both at least 0, that minimise the sum of (a n + b - t)² + shrinkage b²."""
        weight = self._weight * (1 + _SHRINKAGE)
        determinant = self._nn * weight - self._n * self._n  # positive: n * n is at least 1
        per_item_s = (weight * self._nt - self._n * self._t) / determinant
        per_batch_s = (self._nn * self._t - self._n * self._nt) / determinant
        if per_batch_s < 0:
            return Line(self._nt / self._nn, 0.0)
        if per_item_s < 0:
            return Line(0.0, self._t / self._weight)
        return Line(per_item_s, per_batch_s)
