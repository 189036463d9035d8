"""JPEG to MobileNetV3-small logits over the Open Inference Protocol: Retinue, Triton and MLServer in one run.

Run as `python -m loadtests.benchmarks.engine` (or `make bench-engine`). Pictures have 500 x 375 pixels, the graph takes
224 x 224. All run the same graph on the same runtime with the same decode and resize; beside them the best bare loop,
without any server. One server runs at a time, they take turns, and CPU per answer is what is compared: wall time here
also holds the load generator's. The peers are installed into environments of their own under ``out/peers``; one that
cannot be is left out, and named.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtests.benchmarks.bare_loop import BareResult, run_bare_loop
from loadtests.benchmarks.classification import MODEL_INFER, SIDE_PX, write_model, write_picture
from loadtests.benchmarks.contestants import PEERS, Contestant, Server, contestants_of
from loadtests.benchmarks.open_loop import OpenLoopResult, run_open_loop

BATCHES = (1, 2, 4, 8, 16)
IN_FLIGHT = (1, 4, 16, 64, 256)
TARGET_RATIO = 1.10


@dataclass(frozen=True, slots=True)
class Point:
    """One load on one server."""

    result: OpenLoopResult
    cpu_ms: float


def main() -> int:
    """Measure, print the tables, and return 1 where a call failed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.benchmarks.engine", description=__doc__)
    parser.add_argument("--in-flight", type=int, nargs="+", default=IN_FLIGHT, help="calls under way at once")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often all are measured; medians are shown")
    parser.add_argument("--peers", type=Path, default=PEERS, help="where the peers' environments lie")
    parser.add_argument("--without", nargs="*", default=(), choices=("triton", "mlserver"), help="peers to leave out")
    arguments = parser.parse_args()
    bare: list[BareResult] = []
    points: dict[tuple[str, int], list[Point]] = {}
    with tempfile.TemporaryDirectory(prefix="retinue-bench-") as name:
        folder = Path(name)
        graph = write_model(folder)
        jpeg = write_picture()
        contestants = contestants_of(folder, graph, jpeg, peers=arguments.peers, without=arguments.without)
        for number in range(arguments.rounds):
            for is_shared in (False, True):
                seconds = arguments.seconds / 4
                bare += run_bare_loop(graph, jpeg, SIDE_PX, BATCHES, seconds, is_session_shared=is_shared)
            for contestant in contestants:
                for count, point in _measured(contestant, arguments.in_flight, arguments.seconds):
                    points.setdefault((contestant.name, count), []).append(point)
            print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
    return _report(bare, points)


def _measured(contestant: Contestant, in_flight: Sequence[int], seconds: float) -> list[tuple[int, Point]]:
    points = []
    with contestant.start() as server:
        for count in in_flight:
            _load(server, contestant, count, 1.0)
            before_s = server.cpu_s()
            result = _load(server, contestant, count, seconds)
            # The generator counts what came after its warm-up; CPU was used for all of it.
            answers = max(1.0, result.in_time / result.seconds * seconds)
            points.append((count, Point(result, 1e3 * (server.cpu_s() - before_s) / answers)))
    return points


def _load(server: Server, contestant: Contestant, in_flight: int, seconds: float) -> OpenLoopResult:
    return run_open_loop(server.target, MODEL_INFER, contestant.message, rate=0, seconds=seconds, patience_ms=in_flight)


def _report(bare: list[BareResult], points: dict[tuple[str, int], list[Point]]) -> int:
    console = Console(width=110)
    table = Table(title=f"Bare loop, {len(os.sched_getaffinity(0))} threads")
    for heading in ("session", "batch", "CPU ms / picture", "pictures / s"):
        table.add_column(heading, justify="right")
    costs: list[float] = []
    for key in dict.fromkeys((result.is_session_shared, result.batch_size) for result in bare):
        same = [result for result in bare if (result.is_session_shared, result.batch_size) == key]
        costs.append(statistics.median(result.cpu_ms for result in same))
        rate = statistics.median(result.pictures_per_s for result in same)
        table.add_row("shared" if key[0] else "own", str(key[1]), f"{costs[-1]:.2f}", f"{rate:.0f}")
    console.print(table)
    table = Table(title=f"Ratio to the best bare loop, {min(costs):.2f} ms; target {TARGET_RATIO:.2f} for Retinue")
    for heading in ("server", "in flight", "answers / s", "p50 ms", "p99 ms", "CPU ms / answer", "ratio", "failed"):
        table.add_column(heading, justify="right")
    for (name, count), same_load in sorted(points.items(), key=lambda one: one[0][1]):
        results = [point.result for point in same_load]
        cost_ms = statistics.median(point.cpu_ms for point in same_load)
        table.add_row(
            name,
            str(count),
            f"{statistics.median(one.in_time / one.seconds for one in results):.0f}",
            f"{statistics.median(one.p50_ms for one in results):.1f}",
            f"{statistics.median(one.p99_ms for one in results):.1f}",
            f"{cost_ms:.2f}",
            f"{cost_ms / min(costs):.2f}",
            str(sum(one.offered - one.in_time for one in results)),
        )
    console.print(table)
    return int(any(point.result.failed for same_load in points.values() for point in same_load))


if __name__ == "__main__":
    sys.exit(main())
