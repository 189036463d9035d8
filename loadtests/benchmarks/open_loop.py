"""A load in a process of its own whose calls come when they come: Poisson arrivals, whatever the server makes of them.

A closed loop slows down with its server and so hides an overload. Run as `python -m loadtests.benchmarks.open_loop
TARGET METHOD FILE RATE SECONDS PATIENCE_MS SEED`; prints one JSON object. Where RATE is 0, that many calls are kept in
flight instead, PATIENCE_MS of them and without deadline: what the server can do, measured by the same generator.
"""

import json
import random
import resource
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from loadtests.benchmarks.http2 import Connection, Ended

_CONNECTIONS = 8  # one has a window that all its calls share
_FAREWELL_S = 1.0  # for what is under way at the end
_WARM_UP_SHARE = 0.2  # of the time, at the beginning, in which nothing is counted
_OK, _DEADLINE_EXCEEDED, _RESOURCE_EXHAUSTED = 0, 4, 8
_RESET = -1  # which is how some servers end a call whose deadline has passed


@dataclass(slots=True)
class OpenLoopResult:
    """What the generator saw of the calls that were due after the warm-up."""

    seconds: float
    offered: int = 0
    in_time: int = 0
    late: int = 0
    refused: int = 0
    expired: int = 0
    failed: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    refusal_p50_ms: float = 0.0
    cpu_s: float = 0.0
    worst_delay_ms: float = 0.0
    """By how much a call was sent later than it was due, at worst: the generator's own fault."""
    statuses: dict[str, int] = field(default_factory=dict)


class OpenLoop:
    """Calls one method over a few connections.

    Args:
        target: address of the server.
        method: ``/package.Service/Method``.
        message: the serialised request.
    """

    def __init__(self, target: str, method: str, message: bytes) -> None:
        self._connections = [Connection(target, method, message) for _ in range(_CONNECTIONS)]
        self._selector = selectors.DefaultSelector()
        for connection in self._connections:
            self._selector.register(connection, selectors.EVENT_READ)
        self._due: dict[tuple[int, int], float] = {}  # when each call under way was due
        self._calls = 0

    def poisson(self, rate: float, seconds: float, patience_s: float, seed: int) -> OpenLoopResult:
        """Send calls at random times, ``rate`` per second; an answer counts if it is there ``patience_s`` after."""
        generator = random.Random(seed)  # noqa: S311 - the seed is the point
        start_s = time.perf_counter()
        counted_from_s, end_s = start_s + seconds * _WARM_UP_SHARE, start_s + seconds
        result = OpenLoopResult(seconds * (1 - _WARM_UP_SHARE))
        latencies_s: list[float] = []
        refusals_s: list[float] = []
        cpu_s = _cpu_s()
        due_s = start_s + generator.expovariate(rate)
        while True:
            now_s = time.perf_counter()
            while due_s <= now_s and due_s < end_s:
                delay_s = now_s - due_s
                result.worst_delay_ms = max(result.worst_delay_ms, 1e3 * delay_s)
                result.offered += due_s >= counted_from_s
                self._call(due_s, max(1, round(1e6 * (patience_s - delay_s))))
                due_s += generator.expovariate(rate)
                now_s = time.perf_counter()
            if now_s > end_s + _FAREWELL_S or (now_s > end_s and not self._due):
                break
            next_s = due_s if due_s < end_s else end_s + _FAREWELL_S
            for call_due_s, one in self._ended(next_s - now_s):
                if call_due_s < counted_from_s:
                    continue
                latency_s = time.perf_counter() - call_due_s
                _count(result, one, is_late=latency_s > patience_s)
                if one.status == _OK:
                    latencies_s.append(latency_s)
                elif one.status == _RESOURCE_EXHAUSTED:
                    refusals_s.append(latency_s)
        result.cpu_s = (_cpu_s() - cpu_s) * (1 - _WARM_UP_SHARE)
        result.p50_ms, result.p99_ms = _quantile_ms(latencies_s, 0.5), _quantile_ms(latencies_s, 0.99)
        result.refusal_p50_ms = _quantile_ms(refusals_s, 0.5)
        return result

    def closed(self, in_flight: int, seconds: float) -> OpenLoopResult:
        """Keep so many calls under way for so long."""
        start_s = time.perf_counter()
        counted_from_s, end_s = start_s + seconds * _WARM_UP_SHARE, start_s + seconds
        result = OpenLoopResult(seconds * (1 - _WARM_UP_SHARE))
        latencies_s: list[float] = []
        cpu_s = _cpu_s()
        for _ in range(in_flight):
            self._call(time.perf_counter(), None)
        while (now_s := time.perf_counter()) < end_s:
            for begun_s, one in self._ended(end_s - now_s):
                now_s = time.perf_counter()
                if counted_from_s <= now_s < end_s:
                    result.offered += 1
                    _count(result, one, is_late=False)
                    latencies_s.append(now_s - begun_s)
                self._call(now_s, None)
        result.cpu_s = (_cpu_s() - cpu_s) * (1 - _WARM_UP_SHARE)
        result.p50_ms, result.p99_ms = _quantile_ms(latencies_s, 0.5), _quantile_ms(latencies_s, 0.99)
        return result

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()

    def _call(self, due_s: float, timeout_us: int | None) -> None:
        index = self._calls % _CONNECTIONS
        self._calls += 1
        connection = self._connections[index]
        self._due[index, connection.call(timeout_us)] = due_s
        self._watch(connection)

    def _ended(self, timeout_s: float) -> Iterator[tuple[float, Ended]]:
        """Wait for the server, and yield the calls that ended with when they were due."""
        for key, events in self._selector.select(max(0.0, timeout_s)):
            connection = key.fileobj
            if not isinstance(connection, Connection):
                raise TypeError(f"{connection!r} is no connection")
            if events & selectors.EVENT_WRITE:
                connection.flush()
            index = self._connections.index(connection)
            for one in connection.ended():
                yield self._due.pop((index, one.stream_id)), one
            self._watch(connection)

    def _watch(self, connection: Connection) -> None:
        """Wait for room in the socket as well while something is to be written."""
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.is_writing else 0)
        if self._selector.get_key(connection).events != wanted:
            self._selector.modify(connection, wanted)


def run_open_loop(
    target: str, method: str, message: Path, *, rate: float, seconds: float, patience_ms: float, seed: int = 0
) -> OpenLoopResult:
    """Return the result of a load run in a process of its own; see the module for ``rate`` 0."""
    arguments = [target, method, str(message), str(rate), str(seconds), str(patience_ms), str(seed)]
    command = [sys.executable, "-m", "loadtests.benchmarks.open_loop", *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return OpenLoopResult(**json.loads(output))


def _count(result: OpenLoopResult, one: Ended, *, is_late: bool) -> None:
    name = str(one.status)
    result.statuses[name] = result.statuses.get(name, 0) + 1
    if one.status == _OK and one.answer_bytes:
        result.in_time += not is_late
        result.late += is_late
    elif one.status == _RESOURCE_EXHAUSTED:
        result.refused += 1
    elif one.status == _DEADLINE_EXCEEDED or (one.status == _RESET and is_late):
        result.expired += 1
    else:
        result.failed += 1


def _quantile_ms(seconds: list[float], share: float) -> float:
    return 1e3 * sorted(seconds)[int(share * len(seconds))] if seconds else 0.0


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Run one load as the command line says."""
    target, method, file, rate, seconds, patience_ms, seed = sys.argv[1:]
    loop = OpenLoop(target, method, Path(file).read_bytes())
    try:
        if float(rate):
            result = loop.poisson(float(rate), float(seconds), float(patience_ms) / 1e3, int(seed))
        else:
            result = loop.closed(round(float(patience_ms)), float(seconds))
    finally:
        loop.close()
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
