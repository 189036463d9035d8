"""A load in a process of its own: one gRPC method called with so many calls always in flight.

Messages go out and come back as bytes, so that the generator takes as little as it can of the cores that it shares with
the server. Run as `python -m loadtests.benchmarks.closed_loop TARGET METHOD FILE IN_FLIGHT SECONDS`; prints one JSON
object.
"""

import json
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What one load saw."""

    answers: int
    failures: int
    seconds: float
    p50_ms: float
    p99_ms: float
    answer_bytes: int


class ClosedLoop:
    """Calls one method, each answer followed by the next call.

    Args:
        target: address of the server.
        method: ``/package.Service/Method``.
        message: the serialised request.
    """

    def __init__(self, target: str, method: str, message: bytes) -> None:
        self._channel = grpc.insecure_channel(target)
        self._call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            method, request_serializer=None, response_deserializer=None
        )
        self._message = message

    def run(self, in_flight: int, seconds: float) -> LoadResult:
        """Keep ``in_flight`` calls under way for so long and return what came of those that ended in that time."""
        latencies_s: list[float] = []
        failures: list[str] = []
        sizes: set[int] = set()
        end_s = time.perf_counter() + seconds
        left = threading.Semaphore(0)

        def start() -> None:
            begin_s = time.perf_counter()
            if begin_s >= end_s:
                left.release()
                return
            call = self._call.future(self._message, timeout=60)

            def done(finished: "grpc.Future[bytes]") -> None:
                now_s = time.perf_counter()
                if finished.exception() is not None:
                    failures.append(str(finished.exception()))
                elif now_s <= end_s:
                    latencies_s.append(now_s - begin_s)
                    sizes.add(len(finished.result()))
                start()

            call.add_done_callback(done)

        for _ in range(in_flight):
            start()
        for _ in range(in_flight):
            left.acquire()
        latencies_s.sort()
        count = len(latencies_s)
        if not count:
            raise RuntimeError(f"no answers; {failures[:1]}")
        return LoadResult(
            answers=count,
            failures=len(failures),
            seconds=seconds,
            p50_ms=1e3 * latencies_s[count // 2],
            p99_ms=1e3 * latencies_s[int(count * 0.99)],
            answer_bytes=max(sizes),
        )


def run_load(target: str, method: str, message: Path, in_flight: int, seconds: float) -> LoadResult:
    """Return the result of a load run in a process of its own."""
    arguments = [target, method, str(message), str(in_flight), str(seconds)]
    command = [sys.executable, "-m", "loadtests.benchmarks.closed_loop", *arguments]
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f"the load failed: {finished.stderr.strip()[-2000:]}")
    return LoadResult(**json.loads(finished.stdout))


def main() -> None:
    """Run one load as the command line says."""
    target, method, file, in_flight, seconds = sys.argv[1:]
    loop = ClosedLoop(target, method, Path(file).read_bytes())
    print(json.dumps(asdict(loop.run(int(in_flight), float(seconds)))))


if __name__ == "__main__":
    main()
