"""JPEG 500 x 375 to MobileNetV3-small 224 logits, more of them than can be answered: what is still answered in time.

Run as `python -m loadtests.benchmarks.overload` (or `make bench-overload`). Calls come at random times, whatever the
server makes of them, and an answer counts if it is there within the deadline, counted from when its call was due. The
capacity is what the same generator gets in a closed loop from the same server, before and after each load, so that a
neighbour on the machine disturbs both alike. Triton runs beside ours, with the same graph, decode and resize. Writes
`out/overload.png`.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from loadtests.benchmarks.classification import MODEL_INFER, write_model, write_picture
from loadtests.benchmarks.contestants import PEERS, Server, contestants_of
from loadtests.benchmarks.open_loop import OpenLoopResult, run_open_loop

FACTORS = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
TARGETS = {2.0: 0.95, 3.0: 0.90}
_IN_FLIGHT = 32  # of the closed loop


@dataclass(frozen=True, slots=True)
class Point:
    """One load beside the capacity around it.

    ``cpu_share`` is the server's CPU per answer at capacity over that per answer in time: of what it could have
    answered with the CPU that it had, how much it did. It does not move with what neighbours take.
    """

    capacity: float
    result: OpenLoopResult
    cpu_share: float

    @property
    def goodput(self) -> float:
        """Answers in time per second."""
        return self.result.in_time / self.result.seconds

    @property
    def share(self) -> float:
        """Goodput over capacity."""
        return self.goodput / self.capacity


Points: TypeAlias = dict[str, dict[float, list[Point]]]
"""What was measured, by the server's name and the load."""


class Bench:
    """A server under measurement.

    Args:
        server: that runs.
        message: the request, in a file.
        seconds: how long each load lasts.
        patience_ms: the deadline.
    """

    def __init__(self, server: Server, message: Path, seconds: float, patience_ms: float) -> None:
        self._server = server
        self._message = message
        self._seconds = seconds
        self._patience_ms = patience_ms

    def capacity(self) -> tuple[float, float]:
        """Return answers per second of a closed loop, and CPU seconds of the server for each."""
        before_s = self._server.cpu_s()
        result = self._run(rate=0, seconds=self._seconds / 2, patience_ms=_IN_FLIGHT)
        rate = result.in_time / result.seconds
        return rate, (self._server.cpu_s() - before_s) / (rate * self._seconds / 2)

    def load(self, rate: float, seed: int) -> tuple[OpenLoopResult, float]:
        """Return what comes of so many calls per second, and CPU seconds of the server for each answer in time."""
        before_s = self._server.cpu_s()
        result = self._run(rate=rate, seconds=self._seconds, patience_ms=self._patience_ms, seed=seed)
        answers = max(1.0, result.in_time / result.seconds * self._seconds)
        return result, (self._server.cpu_s() - before_s) / answers

    def points(self, factors: Sequence[float], *, seed: int) -> Iterator[tuple[float, Point]]:
        """Yield what comes of each load, in times of the capacity, one after the other."""
        before = self.capacity()
        for factor in factors:
            result, cost_s = self.load(before[0] * factor, seed)
            after = self.capacity()
            capacity, own_s = ((one + other) / 2 for one, other in zip(before, after, strict=True))
            yield factor, Point(capacity, result, own_s / cost_s)
            before = after

    def _run(self, *, rate: float, seconds: float, patience_ms: float, seed: int = 0) -> OpenLoopResult:
        return run_open_loop(
            self._server.target,
            MODEL_INFER,
            self._message,
            rate=rate,
            seconds=seconds,
            patience_ms=patience_ms,
            seed=seed,
        )


def main() -> int:
    """Measure, print the table, draw the plot, and return 1 where a call failed."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.benchmarks.overload", description=__doc__)
    parser.add_argument("--factors", type=float, nargs="+", default=FACTORS, help="loads, in times of the capacity")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each load")
    parser.add_argument("--patience-ms", type=float, default=100.0, help="the deadline of each call")
    parser.add_argument("--rounds", type=int, default=3, help="how often all are measured; medians are shown")
    parser.add_argument("--peers", type=Path, default=PEERS, help="where the peers' environments lie")
    parser.add_argument("--without", nargs="*", default=(), choices=("triton",), help="peers to leave out")
    parser.add_argument("--out", type=Path, default=Path("out/overload.png"), help="the plot")
    arguments = parser.parse_args()
    points: Points = {}
    with tempfile.TemporaryDirectory(prefix="retinue-bench-") as name:
        folder = Path(name)
        graph = write_model(folder)
        without = ("mlserver", *arguments.without)
        contestants = contestants_of(folder, graph, write_picture(), peers=arguments.peers, without=without)
        for number in range(arguments.rounds):
            for contestant in contestants:
                with contestant.start() as server:
                    bench = Bench(server, contestant.message, arguments.seconds, arguments.patience_ms)
                    loads = points.setdefault(contestant.name, {})
                    for factor, point in bench.points(arguments.factors, seed=number):
                        loads.setdefault(factor, []).append(point)
            print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    draw(points, arguments.out)
    return _report(points, arguments.patience_ms, arguments.out)


def _report(points: Points, patience_ms: float, plot: Path) -> int:
    console = Console(width=150)
    for name, loads in points.items():
        console.print(_table(name, loads, patience_ms))
    console.print(f"plot: {plot}")
    failures = sum(point.result.failed for loads in points.values() for same in loads.values() for point in same)
    if failures:
        console.print(f"{failures} calls failed")
    return 1 if failures else 0


def _table(name: str, loads: Mapping[float, Sequence[Point]], patience_ms: float) -> Table:
    table = Table(title=f"{name}, open loop, deadline {patience_ms:.0f} ms; medians")
    headings = (
        "load",
        "offered / s",
        "capacity / s",
        "in time / s",
        "of capacity",
        "target",
        "by CPU",
        "p50 ms",
        "p99 ms",
    )
    for heading in (*headings, "late", "refused", "expired", "refusal p50 ms", "generator cores"):
        table.add_column(heading, justify="right")
    median = statistics.median
    for factor, measured in loads.items():
        results = [point.result for point in measured]
        table.add_row(
            f"{factor:g}",
            f"{median(one.offered / one.seconds for one in results):.0f}",
            f"{median(point.capacity for point in measured):.0f}",
            f"{median(point.goodput for point in measured):.0f}",
            f"{median(point.share for point in measured):.2f}",
            f"{TARGETS[factor]:.2f}" if factor in TARGETS else "",
            f"{median(point.cpu_share for point in measured):.2f}",
            f"{median(one.p50_ms for one in results):.0f}",
            f"{median(one.p99_ms for one in results):.0f}",
            f"{median(one.late / one.offered for one in results):.1%}",
            f"{median(one.refused / one.offered for one in results):.1%}",
            f"{median(one.expired / one.offered for one in results):.1%}",
            f"{median(one.refusal_p50_ms for one in results):.1f}",
            f"{median(one.cpu_s / one.seconds for one in results):.2f}",
        )
    return table


def draw(points: Points, path: Path) -> None:
    """Write the plot as a PNG: goodput over load, both in times of each server's own capacity."""
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    most = max(factor for loads in points.values() for factor in loads)
    axes.plot([0, 1, max(most, 1)], [0, 1, 1], color="lightgrey", linewidth=3, label="all that could be")
    for number, (name, loads) in enumerate(points.items()):
        factors = sorted(loads)
        shares = [statistics.median(point.share for point in loads[factor]) for factor in factors]
        axes.plot(factors, shares, marker="o", label=name)
        for place in zip(factors, shares, strict=True):
            axes.annotate(
                f"{place[1]:.2f}", place, textcoords="offset points", xytext=(0, -16 if number else 8), ha="center"
            )
    axes.set(
        xlabel="load, in times of the capacity", ylabel="answers in time, in times of the capacity", ylim=(-0.05, 1.2)
    )
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
