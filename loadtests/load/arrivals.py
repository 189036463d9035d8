"""When calls of an open loop are due: a rate that changes evenly within each stage, met evenly or by chance."""

import math
import random
from collections.abc import Iterator, Sequence

from loadtests.load.scenario import Stage


def due_times(stages: Sequence[Stage], share: float, chance: random.Random | None = None) -> Iterator[float]:
    """Yield when each call is due, in seconds since the start, ascending.

    The number of calls expected until t is the integral of the rate; call k is due when that reaches k - 1/2 or, by
    chance, the sum of k unit exponentials: a Poisson process.

    Args:
        stages: of the load; rates in hertz.
        share: part of the calls that is wanted, in (0, 1].
        chance: where arrivals are by chance, what draws them.

    >>> stage = Stage(seconds=2.0, rate_hz=2.0)
    >>> list(due_times([stage], share=1.0))
    [0.25, 0.75, 1.25, 1.75]
    >>> [round(due_s, 2) for due_s in due_times([Stage(seconds=2.0, rate_hz=0.0, to_rate_hz=4.0)], share=1.0)]
    [0.71, 1.22, 1.58, 1.87]
    """
    due_count = chance.expovariate(1.0) if chance else 0.5
    begin_s = begun_count = 0.0
    for stage in stages:
        rate_hz, end_rate_hz = share * (stage.rate_hz or 0.0), share * stage.end_rate_hz
        stage_count = stage.seconds * (rate_hz + end_rate_hz) / 2
        slope = (end_rate_hz - rate_hz) / stage.seconds
        while due_count <= begun_count + stage_count:
            yield begin_s + _time_of(due_count - begun_count, rate_hz, slope, stage.seconds)
            due_count += chance.expovariate(1.0) if chance else 1.0
        begin_s += stage.seconds
        begun_count += stage_count


def _time_of(count: float, rate_hz: float, slope: float, seconds: float) -> float:
    """Return when rate·t + slope·t²/2 reaches the count; written so that a slope of 0 needs no case of its own."""
    root = math.sqrt(max(0.0, rate_hz * rate_hz + 2 * slope * count))
    return min(seconds, 2 * count / (rate_hz + root)) if rate_hz + root else seconds
