"""One comparison: an operation of ours, and peers that answer the same question on the same input."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# What getrusage calls the peak includes that of the process which started this one, so Linux is asked.
_READ = "held = lambda key: int(open('/proc/self/status').read().split(key + ':')[1].split()[0])"
_RESET = "open('/proc/self/clear_refs', 'w').write('5')"


@dataclass(frozen=True, slots=True)
class Case:
    """An operation and its peers.

    Args:
        name: what is measured, with its size: ``"nms n=4741"``.
        ours: the call to measure, without arguments; its input is made ahead.
        peers: the calls of peers by name.
        target: how many times as fast as `rival` it is to be; None where nothing was promised.
        rival: the peer that the target speaks of; None means the fastest of all.
        note: what a reader must know to judge the figure fairly.
    """

    name: str
    ours: Callable[[], object]
    peers: Mapping[str, Callable[[], object]] = field(default_factory=dict)
    target: float | None = None
    rival: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class MemoryCase:
    """A program whose peak memory counts: it is run in a process of its own.

    Args:
        name: what is measured, with its size.
        setup: Python source that makes the input.
        action: Python source of the call; what the process's peak grows by is the figure.
        limit_mib: what it must stay below; None where nothing was promised.
    """

    name: str
    setup: str
    action: str
    limit_mib: float | None = None

    def growth_mib(self) -> float:
        """Return by how many MiB the action's peak is above what the process held before."""
        code = f"{_READ}\n{self.setup}\n{_RESET}\nbefore = held('VmRSS')\n{self.action}\nprint(held('VmHWM') - before)"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=600)
        return int(done.stdout) / 1024


def median_times(case: Case, *, seconds: float) -> dict[str, float]:
    """Return the median time of each call in seconds, "ours" among them; the calls take turns, so that noise hits all.

    Args:
        case: what to measure.
        seconds: how long each of the calls may take in all; every call is made at least three times.
    """
    calls = {"ours": case.ours, **case.peers}
    batch: dict[str, int] = {}
    for name, call in calls.items():  # also the warm-up: kernels are compiled, caches filled
        call()
        once = min(_elapsed(call, 1) for _ in range(3))
        batch[name] = max(1, min(1000, int(1e-3 / max(once, 1e-7))))  # short calls are timed by the millisecond
    times: dict[str, list[float]] = {name: [] for name in calls}
    begin = time.perf_counter()
    while len(times["ours"]) < 3 or time.perf_counter() - begin < seconds * len(calls):
        for name, call in calls.items():
            times[name].append(_elapsed(call, batch[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def _elapsed(call: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begin) / count
