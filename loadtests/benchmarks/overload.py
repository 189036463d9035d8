"""JPEG 500 x 375 to MobileNetV3-small 224 logits, more of them than can be answered: what is still answered in time.

Run as `python -m loadtests.benchmarks.overload` (or `make bench-overload`). Calls come at random times, whatever the
server makes of them, and an answer counts if it is there within the deadline, counted from when its call was due. The
capacity is what the same generator gets in a closed loop, before and after each load, so that a neighbour on the
machine disturbs both alike. Writes `out/overload.png`.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from loadtests.benchmarks.classification import CLASSIFY, write_messages, write_model, write_picture
from loadtests.benchmarks.open_loop import OpenLoopResult, run_open_loop
from loadtests.service_process import ServiceProcess

FACTORS = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
TARGETS = {2.0: 0.95, 3.0: 0.90}
_IN_FLIGHT = 32  # of the closed loop
_SIZE_PX = (480, 720)  # of the plot


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


class Bench:
    """A service under measurement.

    Args:
        service: that runs.
        message: the request, in a file.
        seconds: how long each load lasts.
        patience_ms: the deadline.
    """

    def __init__(self, service: ServiceProcess, message: Path, seconds: float, patience_ms: float) -> None:
        self._service = service
        self._message = message
        self._seconds = seconds
        self._patience_ms = patience_ms

    def capacity(self) -> tuple[float, float]:
        """Return answers per second of a closed loop, and CPU seconds of the server for each."""
        before_s = self._service.cpu_s()
        result = self._run(rate=0, seconds=self._seconds / 2, patience_ms=_IN_FLIGHT)
        rate = result.in_time / result.seconds
        return rate, (self._service.cpu_s() - before_s) / (rate * self._seconds / 2)

    def load(self, rate: float, seed: int) -> tuple[OpenLoopResult, float]:
        """Return what comes of so many calls per second, and CPU seconds of the server for each answer in time."""
        before_s = self._service.cpu_s()
        result = self._run(rate=rate, seconds=self._seconds, patience_ms=self._patience_ms, seed=seed)
        answers = max(1.0, result.in_time / result.seconds * self._seconds)
        return result, (self._service.cpu_s() - before_s) / answers

    def _run(self, *, rate: float, seconds: float, patience_ms: float, seed: int = 0) -> OpenLoopResult:
        return run_open_loop(
            self._service.target,
            CLASSIFY,
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
    parser.add_argument("--out", type=Path, default=Path("out/overload.png"), help="the plot")
    arguments = parser.parse_args()
    points: dict[float, list[Point]] = {factor: [] for factor in arguments.factors}
    with tempfile.TemporaryDirectory(prefix="retinue-bench-") as name:
        folder = Path(name)
        write_model(folder)
        message = write_messages(write_picture(), folder)[CLASSIFY]
        settings = {"RETINUE_MODELS__ROOTS": f'["{folder / "models"}"]', "RETINUE_MODELS__IS_EMBEDDED_SERVED": "false"}
        with ServiceProcess("classification", folder / "service.log", settings) as service:
            bench = Bench(service, message, arguments.seconds, arguments.patience_ms)
            for number in range(arguments.rounds):
                before = bench.capacity()
                for factor, measured in points.items():
                    result, cost_s = bench.load(before[0] * factor, seed=number)
                    after = bench.capacity()
                    capacity, own_s = ((one + other) / 2 for one, other in zip(before, after, strict=True))
                    measured.append(Point(capacity, result, own_s / cost_s))
                    before = after
                print(f"round {number + 1} of {arguments.rounds} done", file=sys.stderr)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(arguments.out), drawn(points))
    return _report(points, arguments.patience_ms, arguments.out)


def _report(points: Mapping[float, Sequence[Point]], patience_ms: float, plot: Path) -> int:
    console = Console(width=140)
    table = Table(title=f"Open loop, deadline {patience_ms:.0f} ms; medians")
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
    for factor, measured in points.items():
        results = [point.result for point in measured]

        def median(values: Sequence[float]) -> float:
            return statistics.median(values)

        table.add_row(
            f"{factor:g}",
            f"{median([one.offered / one.seconds for one in results]):.0f}",
            f"{median([point.capacity for point in measured]):.0f}",
            f"{median([point.goodput for point in measured]):.0f}",
            f"{median([point.share for point in measured]):.2f}",
            f"{TARGETS[factor]:.2f}" if factor in TARGETS else "",
            f"{median([point.cpu_share for point in measured]):.2f}",
            f"{median([one.p50_ms for one in results]):.0f}",
            f"{median([one.p99_ms for one in results]):.0f}",
            f"{median([one.late / one.offered for one in results]):.1%}",
            f"{median([one.refused / one.offered for one in results]):.1%}",
            f"{median([one.expired / one.offered for one in results]):.1%}",
            f"{median([one.refusal_p50_ms for one in results]):.1f}",
            f"{median([one.cpu_s / one.seconds for one in results]):.2f}",
        )
    console.print(table)
    console.print(f"plot: {plot}")
    failures = sum(point.result.failed for measured in points.values() for point in measured)
    if failures:
        console.print(f"{failures} calls failed")
    return 1 if failures else 0


def drawn(points: Mapping[float, Sequence[Point]]) -> NDArray[np.uint8]:
    """Return the plot, uint8 [height, width, 3] BGR: goodput over load, both in times of the capacity."""
    height, width = _SIZE_PX
    left, right, top, bottom = 70, width - 20, 40, height - 50
    most = max(*points, 1.0)
    canvas = np.full((height, width, 3), 255, np.uint8)

    def at(load: float, share: float) -> tuple[int, int]:
        return round(left + (right - left) * load / most), round(bottom - (bottom - top) * min(share, 1.2) / 1.2)

    def text(words: str, x: int, y: int) -> None:
        cv2.putText(canvas, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (60, 60, 60), 1, cv2.LINE_AA)

    def path(corners: Sequence[tuple[int, int]], colour: tuple[int, int, int], thickness: int) -> None:
        cv2.polylines(canvas, [np.array(corners, np.int32)], False, colour, thickness, cv2.LINE_AA)

    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        path([at(0, share), at(most, share)], (220, 220, 220), 1)
        text(f"{share:.2f}", 20, at(0, share)[1] + 5)
    for factor in points:
        text(f"{factor:g}", at(factor, 0)[0] - 8, bottom + 20)
    text("answers in time over load, both in times of the capacity; grey: all that could be", left, 22)
    path([at(0, 0), at(1, 1), at(most, 1)], (170, 170, 170), 2)
    ordered = sorted((factor, statistics.median(point.share for point in points[factor])) for factor in points)
    path([at(*one) for one in ordered], (180, 90, 20), 2)
    for one in ordered:
        cv2.circle(canvas, at(*one), 5, (180, 90, 20), -1, cv2.LINE_AA)
        text(f"{one[1]:.2f}", at(*one)[0] - 14, at(*one)[1] + 22)
    return canvas


if __name__ == "__main__":
    sys.exit(main())
